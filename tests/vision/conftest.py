"""One site and one browser for all tests of captures in this process."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from vision_site import Secret, Site

from server.vision.browser import find_browser
from server.vision.capture import Browser, Session
from server.vision.guard import AddressPolicy
from server.vision.page import Image, Page


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


@pytest.fixture(scope="session")
def run() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.stop()


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def secret() -> Iterator[Secret]:
    with Secret() as secret:
        yield secret


@contextlib.contextmanager
def browsing(run: Runner, policy: AddressPolicy) -> Iterator[Browser]:
    executable = find_browser()
    assert executable is not None, "these tests need a browser"
    browser = Browser(executable, policy=policy)
    run(browser.__aenter__())
    yield browser
    run(browser.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def browser(run: Runner, site: Site) -> Iterator[Browser]:
    """May reach the site, and nothing else that is private."""
    with browsing(run, AddressPolicy(allow=(site.host,))) as browser:
        yield browser


@pytest.fixture
def session(run: Runner, browser: Browser) -> Iterator[Session]:
    manager = browser.session()
    yield run(manager.__aenter__())
    run(manager.__aexit__(None, None, None))


@pytest.fixture
def capture(run: Runner, session: Session, site: Site) -> Callable[..., Image]:
    """Capture a path of the site in a small window; keywords are those of `Page`."""

    def capture(path: str, known: frozenset[str] = frozenset(), **asked: Any) -> Image:
        address = path if re.match(r"\w+://", path) else f"{site.url}/{path}"
        return run(session.capture(Page(address, **{"width": 800, "height": 600, **asked}), known))

    return capture
