"""Asynchronous code and a real browser, for tests that are plain functions."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

from server.vision.browser import find_browser
from server.vision.capture import Browser
from server.vision.guard import AddressPolicy


class Runner:
    """Lets plain tests use asynchronous code: its loop runs in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def __call__(self, work: Coroutine[Any, Any, Any], timeout_s: float = 40) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextlib.contextmanager
def browsing(run: Runner, policy: AddressPolicy) -> Iterator[Browser]:
    executable = find_browser()
    assert executable is not None, "these tests need a browser"
    browser = Browser(executable, policy=policy)
    run(browser.__aenter__())
    yield browser
    run(browser.__aexit__(None, None, None))
