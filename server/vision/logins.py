"""Logs in once for all pages of a run that need it; what a log-in leaves in the browser is `visitor.State`."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from server.vision.page import CaptureError
from server.vision.visitor import State

MOST_KEPT = 32


class Logins:
    """The log-ins of the runs that one browser works on, by run and by what they do.

    One that failed for a reason that may pass is tried again with the next page that asks; another is not.
    """

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[State]] = {}

    async def state(self, key: Hashable, log_in: Callable[[], Coroutine[Any, Any, State]]) -> State:
        """What logging in left behind; done now unless it was before. Raises CaptureError `login failed: …`."""
        task = self._tasks.get(key)
        if task is None:
            self._forget_the_oldest()
            task = self._tasks[key] = asyncio.create_task(log_in())
            task.add_done_callback(_look_at)
        try:
            return await asyncio.shield(task)  # others wait for it, too
        except CaptureError as error:
            if error.retry and self._tasks.get(key) is task:
                del self._tasks[key]
            failure = CaptureError(error.kind, f"login failed: {error.message}", retry=error.retry)
            failure.evidence = error.evidence
            raise failure from None

    async def close(self) -> None:
        """End what is under way and forget everything."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget_the_oldest(self) -> None:
        finished = [key for key, task in self._tasks.items() if task.done()]
        for key in finished[: max(0, len(self._tasks) - MOST_KEPT + 1)]:
            del self._tasks[key]


def _look_at(task: asyncio.Task[State]) -> None:
    """So that an error which nobody waits for any more is not reported as lost."""
    if not task.cancelled():
        task.exception()
