"""Lets a page come to rest: time passes as it is told, the network is awaited, then everything is held still.

What must hold still, and why, stands in the page scripts beside this module.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Iterable

from playwright.async_api import Error as BrowserError
from playwright.async_api import Page as Tab

from server.vision.documents import Documents
from server.vision.page import MAX_AREA_PX, MAX_SIDE_PX, CaptureError, Page, Stabilizer
from server.vision.traffic import Traffic

MOST_GROWTH = 20  # how many windows a page is followed that grows while it is scrolled
MOST_DOCUMENTS = 5  # a page that sends the browser on more often than this never comes to rest
STOP_MS = 128
TICK_MS = 30
QUANTUM_MS = 4000
"""What a step or wait takes in virtual time that takes less real time, however busy the machine is."""
MOST_CHAINED = 20  # how often what comes may ask for more before the picture is taken nevertheless
PATIENCE_S = 0.5  # how long the network is waited for before asking whether it is a worker that it brings
LOAD_ALL_MS = 5000


class Rest:
    """Time, scrolling and stillness of `page` in a tab."""

    def __init__(self, tab: Tab, documents: Documents, traffic: Traffic, page: Page) -> None:
        self.growth_note: str | None = None
        self._tab = tab
        self._documents = documents
        self._traffic = traffic
        self._page = page

    async def come(self, slices_ms: Iterable[int], *, scroll: bool = False) -> None:
        """Let time pass in the page, and again in the page that it sends the browser on to."""
        for _ in range(MOST_DOCUMENTS):
            document, asked = self._traffic.documents, self._traffic.asked
            try:
                stirs = await self.pass_time(slices_ms)
                if scroll:
                    stirs |= await self._scroll_through()
                await self._documents.run_everywhere(
                    "load_all", {"mostMs": LOAD_ALL_MS, **self._doing("lazy", "fonts", "video")}
                )
                stirs |= self._traffic.asked != asked
                await (self._all_loaded() if stirs else self.network_idle())
                if self._traffic.documents == document:
                    return
            except BrowserError as error:  # that another document is on its way is told before it arrives
                if not _left_behind(error):
                    raise
            await self._tab.wait_for_load_state("load")
        raise CaptureError("suite", f"{self._page.url} does not come to rest: it keeps opening another page")

    async def _scroll_through(self) -> bool:
        """Returns whether the page may have changed since it was last drawn."""
        area = self._page.width * self._page.height * self._page.scale**2
        followed = await self._documents.run(
            "scroll_through",
            {
                "mostStops": math.ceil(min(MAX_AREA_PX / area, MAX_SIDE_PX / self._page.height)),
                "mostGrowth": MOST_GROWTH,
                "stopMs": STOP_MS,
                **self._doing("animation"),
            },
        )
        if followed["isEndless"]:
            self.growth_note = (
                f"the page grows while it is scrolled: it was {followed['heightAtFirst']} px high at first, "
                f"and was followed down to {followed['followedTo']} px"
            )
        return followed["mayHaveChanged"] or not self._documents.is_one

    async def pass_time(self, slices_ms: Iterable[int]) -> bool:
        """Let time pass, slice by slice, or all that is left at once where nothing stirs; returns whether anything did."""
        left = list(slices_ms)
        stirred = False
        while left:
            asked = self._traffic.asked
            found = await self._advance(left)
            await self.network_idle()
            stirs = any(found) or self._traffic.asked != asked
            stirred |= stirs
            left = [] if found == [None] else left[1:]
            if left and not stirs:
                left = [sum(left)]
        return stirred

    async def _advance(self, slices_ms: list[int]) -> list[bool | None]:
        """Let the first slice pass; tells for each document whether it stirs, or None where all slices have passed."""
        what = {"slices": slices_ms, "isAlone": self._documents.is_one, **self._doing("animation")}
        return await self._documents.run_everywhere("advance", what)

    @contextlib.asynccontextmanager
    async def time_passing(self) -> AsyncIterator[None]:
        """Let the page's clock run while something is waited for, then bring it to where it always ends."""

        async def tick() -> None:
            while True:
                await self.network_idle()  # the network takes no time in the page
                with contextlib.suppress(BrowserError):
                    await self._advance([TICK_MS])
                await asyncio.sleep(TICK_MS / 1000)

        ticking = asyncio.create_task(tick())
        try:
            yield
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
        await self.network_idle()
        await self._tab.wait_for_load_state("load")
        with contextlib.suppress(BrowserError):
            await self._documents.run_everywhere("align", QUANTUM_MS)

    async def freeze(self) -> None:
        doing = self._doing("animation", "caret", "hover", "video")
        doing["blur"] = doing["caret"] and not self._page.steps
        doing["hover"] &= not any(step.action in ("click", "hover") for step in self._page.steps)
        await self._documents.run_everywhere("freeze", doing)

    def _does(self, step: Stabilizer) -> bool:
        return step in self._page.stabilize

    def _doing(self, *steps: Stabilizer) -> dict[str, bool]:
        return {step: self._does(step) for step in steps}

    async def _all_loaded(self) -> None:
        """Wait until the page has been drawn and asked for nothing more: what it draws, it asks for before it is drawn."""
        for _ in range(MOST_CHAINED):
            asked = self._traffic.asked
            await self.network_idle()
            await self._documents.run("draw")
            if self._traffic.asked == asked:
                return

    async def network_idle(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    return await self._traffic.idle()
            with contextlib.suppress(BrowserError):
                for urls in await self._documents.run_everywhere("workers"):
                    self._traffic.leave_out(urls or ())


def _left_behind(error: BrowserError) -> bool:
    """Whether a script failed only because its document went away."""
    return any(sign in error.message for sign in ("context was destroyed", "navigat", "Frame was detached"))
