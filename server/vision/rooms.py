"""Rooms: a browser context, the guard that is its only way out, and the tab where one page after another is visited.

Between two pages all is cleaned away. The tab itself is used again where that can be done without a trace: a new
one, with a process of its own, costs as much time as a small page takes to load. But its process grows with every
page, whatever is swept out of it.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urldefrag

from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, CDPSession
from playwright.async_api import Error as BrowserError
from playwright.async_api import Page as Tab

from server.vision import reasons, visitor
from server.vision.camera import window_metrics
from server.vision.guard import AddressPolicy, Guard
from server.vision.page import CaptureError, Page
from server.vision.secrets import Secrets
from server.vision.upstream import Upstream
from server.vision.visit import Visit, init_script
from server.vision.visitor import State

CLOSE_S = 5.0
TAB_S = 15.0
COLLECT_EVERY = 3  # visits to a tab: the browser itself lets rubbish lie, about 4 MB of each page's
MOST_VISITS = 6  # to a tab: each leaves about 1 MB in its process for good


class Room:
    """Made by `open`; `visit` and `tidy` take turns, `close` ends it."""

    def __init__(self, context: BrowserContext, guard: Guard, closing: contextlib.AsyncExitStack) -> None:
        self._context = context
        self._guard = guard
        self._closing = closing
        self._origins: set[str] = set()  # that the last visit may have left something in
        self._tab: Tab | None = None  # that may be used again
        self._script = ""  # which it runs in every document
        self._devtools: CDPSession | None = None  # of the tab, with nothing of the last visit in it
        self._visits = 0  # to this tab

    @classmethod
    async def open(
        cls,
        chromium: Chromium,
        page: Page,
        secrets: Secrets,
        policy: AddressPolicy,
        upstream: Upstream | None,
    ) -> Self:
        """A room for pages of this scale and visitor; raises CaptureError where the browser knows no such one."""
        async with contextlib.AsyncExitStack() as stack:
            ports = visitor.only_ports(page, secrets)
            guard = await stack.enter_async_context(
                Guard(policy, block_hosts=page.visitor.block_hosts, only_ports=ports, upstream=upstream)
            )
            try:
                context = await chromium.new_context(
                    viewport={"width": page.width, "height": page.height},
                    device_scale_factor=page.scale,
                    proxy={"server": guard.url, "bypass": "<-loopback>"},
                    accept_downloads=False,
                    service_workers="block",
                    reduced_motion="reduce",
                    **visitor.context_options(page.visitor),
                )
            except BrowserError as error:
                if "timezone" in error.message.lower() or "locale" in error.message.lower():
                    raise CaptureError("suite", f"{page.url}: {reasons.first_line(error.message)}") from None
                raise
            stack.push_async_callback(_close_context, context)
            context.set_default_timeout(0)  # `Page.timeout_s` is the only time limit
            return cls(context, guard, stack.pop_all())
        raise AssertionError  # for mypy: the stack swallows nothing

    async def visit(self, page: Page, secrets: Secrets, state: State, too_much: Callable[[], None]) -> Visit:
        """Make a tab ready for a page: nothing left of the visit before, nothing opened beside it.

        `too_much` is called if the visit loads more than the guard lets through.
        """
        self._guard.start_visit(too_much)
        script = init_script(page)
        tab, self._tab = self._tab, None
        if tab is not None and not self._suits(tab, page, script):
            await tab.close()
            tab = None
        devtools, self._devtools = self._devtools if tab else None, None
        tab = tab or await self._new_tab(script)
        devtools = devtools or await self._context.new_cdp_session(tab)
        if tab.viewport_size != {"width": page.width, "height": page.height}:
            await tab.set_viewport_size({"width": page.width, "height": page.height})
        forgotten = (
            devtools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
            for origin in self._origins
        )
        await asyncio.gather(
            # Taking a picture knows the metrics of its own session only, not Playwright's.
            devtools.send("Emulation.setDeviceMetricsOverride", window_metrics(page)),
            *((self._context.clear_cookies(), *forgotten) if self._origins else ()),
        )
        if not await visitor.introduce(self._context, devtools, page, secrets, state):
            self._devtools = devtools
        return Visit(tab, devtools, self._guard, page, secrets)

    @property
    def has_loaded_too_much(self) -> bool:
        """Whether the visit came to the limit of what it may load."""
        return self._guard.has_loaded_too_much

    def _suits(self, tab: Tab, page: Page, script: str) -> bool:
        """Whether a page looks in a tab that was used before as it does in a new one.

        Going to the address where one is already reloads it, or, where only the part after # differs, does nothing. In a
        new tab the browser believes the mouse to be in the top left corner, in others not.
        """
        elsewhere = urldefrag(tab.url).url != urldefrag(page.url).url
        return elsewhere and script == self._script and "hover" in page.stabilize

    async def _new_tab(self, script: str) -> Tab:
        try:
            async with asyncio.timeout(TAB_S):
                tab = await self._context.new_page()
        except TimeoutError:  # as when the process that makes its processes is gone: it would take for ever
            raise BrowserError(f"it made no tab in {TAB_S:.0f} s") from None
        # A page that is gone makes every pending call fail, also those that a crash leaves hanging.
        tab.on("crash", lambda _: _spawn(tab.close()))
        tab.on("popup", lambda popup: _spawn(popup.close()))
        # As long as anybody listens, a visit that begins or stops to listen costs no message to the browser.
        for event in ("request", "requestfinished", "requestfailed", "response", "console"):
            tab.on(event, lambda _: None)
        await tab.add_init_script(script)
        self._script = script
        self._visits = 0
        return tab

    async def tidy(self, visit: Visit) -> bool:
        """Leave nothing of a visit but its tab, if that; returns whether the room can be used again.

        Now and then a tab that a frame of another site has opened does not close; the room goes, then.
        """
        self._origins = visit.traffic.origins
        if self._context.pages != [visit.tab]:
            return False
        try:
            async with asyncio.timeout(CLOSE_S):
                self._visits += 1
                if self._can_be_used_again(visit) and await visit.end():
                    self._tab = visit.tab
                    if self._visits % COLLECT_EVERY == 0:
                        await visit.devtools.send("HeapProfiler.collectGarbage")
                    if self._devtools is None:
                        await visit.devtools.detach()
                else:
                    self._devtools = None
                    await visit.tab.close()
        except (BrowserError, TimeoutError):
            return False
        return True

    def _can_be_used_again(self, visit: Visit) -> bool:
        """Whether a visit's tab has not grown too much and can be cleaned.

        The mouse stays where a step has left it; what frames of other origins keep for the tab cannot be cleared.
        """
        return self._visits < MOST_VISITS and not visit.has_steps and len(self._origins) == 1

    async def state(self) -> State:
        """What the visits have left in the browser."""
        return await State.of(self._context)

    async def close(self) -> None:
        """Close all of it, even while the task that used it is being cancelled."""
        await asyncio.shield(self._closing.aclose())


async def _close_context(context: BrowserContext) -> None:
    with contextlib.suppress(BrowserError, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await context.close()


_under_way: set[asyncio.Task[None]] = set()


def _spawn(doing: Any) -> None:
    async def quietly() -> None:
        with contextlib.suppress(BrowserError):
            await doing

    task = asyncio.create_task(quietly())
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
