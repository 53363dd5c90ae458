"""The documents of a tab, in which the page scripts beside this module are run."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from playwright.async_api import Error as BrowserError
from playwright.async_api import Frame
from playwright.async_api import Page as Tab

SCRIPTS = {path.stem: path.read_text() for path in (Path(__file__).parent / "scripts").glob("*.js")}
FRAME_S = 3.0  # how long an embedded frame may take over one script
CRASHED = ("Target crashed", "Page crashed", "has been closed", "Connection closed")


def is_crash(error: BrowserError) -> bool:
    """Whether the browser or the tab is gone."""
    return any(sign in error.message for sign in CRASHED)


class Documents:
    """The page's own document and those of its frames, whichever a tab has just then."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab

    @property
    def is_one(self) -> bool:
        """Whether there is the page's own document only."""
        return len(self._tab.frames) == 1

    async def run(self, script: str, argument: Any = None) -> Any:
        """What a script, a function, returns in the page's own document."""
        return await self._tab.main_frame.evaluate(SCRIPTS[script], argument)

    async def run_everywhere(self, script: str, argument: Any = None) -> list[Any]:
        """What a script returns in all documents at once; None in an embedded one that fails or hangs."""

        async def embedded(frame: Frame) -> Any:
            with contextlib.suppress(BrowserError, TimeoutError):
                async with asyncio.timeout(FRAME_S):
                    return await frame.evaluate(SCRIPTS[script], argument)

        others = self._tab.frames[1:]
        return await asyncio.gather(self.run(script, argument), *map(embedded, others))
