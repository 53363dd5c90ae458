"""One visit to one page: open it, let it come to rest, take its picture.

Time and stillness are `rest.py`'s, the picture is `camera.py`'s. Contexts, concurrency and the browser's life are
`capture.py`'s.
"""

import asyncio
import hashlib
import json
import struct
import time
from collections.abc import Awaitable

from playwright.async_api import CDPSession, Locator
from playwright.async_api import Error as BrowserError
from playwright.async_api import Page as Tab

from server.vision import reasons, visitor
from server.vision.camera import Camera, in_image
from server.vision.documents import SCRIPTS, Documents, is_crash
from server.vision.evidence import Evidence
from server.vision.guard import Guard
from server.vision.page import CaptureError, Image, Page, Step
from server.vision.rest import Rest
from server.vision.secrets import Secrets
from server.vision.traffic import Traffic

SLICES_BEFORE_MS = (125,) * 4
SLICES_AFTER_MS = (*(250,) * 4, 1000)  # numbers that count up after they were scrolled to take two seconds


def init_script(page: Page) -> str:
    """What runs in every document of a page's visit before the page's own scripts."""
    script: str = SCRIPTS["backstage"]
    script += SCRIPTS["clock"] if "time" in page.stabilize else ""
    script += SCRIPTS["no_mouse"] if "hover" in page.stabilize else ""
    if page.css:
        script += f"({SCRIPTS['dress']})({json.dumps({'css': page.css, 'hide': []})});"
    return script


class Visit:
    """A visit to `page` in a fresh tab; `stage` tells what it is at, for a person."""

    def __init__(
        self, tab: Tab, devtools: CDPSession, guard: Guard, page: Page, secrets: Secrets | None = None
    ) -> None:
        self.stage = "loading"
        self.traffic = Traffic(tab)
        self.evidence = Evidence(tab, guard)
        self._secrets = secrets or Secrets()
        self.tab = tab
        self.has_steps = bool(page.steps)
        self.devtools = devtools
        self._guard = guard
        self._page = page
        self._documents = Documents(tab)
        self._rest = Rest(tab, self._documents, self.traffic, page)
        self._camera = Camera(tab, devtools, self._documents, page, self._secrets)

    async def picture(self, known: frozenset[str]) -> Image:
        """Visit the page and return its picture; raises CaptureError.

        `known` holds the SHA-256 of pictures that are accepted at first sight.
        """
        started = time.monotonic()
        page = self._page
        await self._open()
        self.evidence.mark("navigation")
        await self._wait_for_all(page.wait_for)
        whole = page.full_page and page.element is None
        await self._come_to_rest(SLICES_BEFORE_MS, scroll=whole and "scroll" in page.stabilize)
        await self._take_steps(page.steps)
        await self._come_to_rest(SLICES_AFTER_MS)
        self._check_status()

        self.stage = "holding it still"
        await self._camera.dress()
        await self._rest.freeze()
        clip, note = await self._camera.clip()
        ignore = await self._camera.ignored()
        await self._camera.mask()
        self.evidence.mark("settling")

        self.stage = "taking the picture"
        png, shots, moved = await self._camera.shoot_until_still(clip, known)
        self.evidence.mark("shots")
        width, height = struct.unpack(">II", png[16:24])
        return Image(
            png=png,
            sha256=hashlib.sha256(png).hexdigest(),
            width=width,
            height=height,
            ignore=tuple(filter(None, (in_image(box, clip, page.scale, width, height) for box in ignore))),
            shots=shots,
            moved=moved,
            note="; ".join(filter(None, (note, self._rest.growth_note, self._refused_note()))) or None,
            http_status=self.traffic.status or 0,
            seconds=time.monotonic() - started,
            evidence=self.evidence.as_json(self._secrets),
        )

    async def log_in(self) -> None:
        """Visit the page, take its steps and then wait for what it says; raises CaptureError."""
        await self._open()
        await self._take_steps(self._page.steps)
        await self._wait_for_all(self._page.wait_for)
        await self._come_to_rest(SLICES_AFTER_MS)
        self._check_status()

    async def end(self) -> bool:
        """Leave nothing behind, so that the tab can be used again; returns whether it can."""
        self.traffic.stop()
        self.evidence.stop()
        try:
            await asyncio.gather(
                self._documents.run_everywhere("forget"), self.devtools.send("Page.resetNavigationHistory")
            )
        except BrowserError:  # the page opens another one, or crashed
            return False
        return True

    # --- opening -------------------------------------------------------------------------------------

    async def _open(self) -> None:
        try:
            await self.tab.goto(self._page.url, wait_until="load")
        except BrowserError as error:
            if "interrupted by another navigation" not in error.message:
                raise self._navigation_error(error) from error
            await self.tab.wait_for_load_state("load")
        self._check_status()
        await self._rest.network_idle()

    async def _come_to_rest(self, slices_ms: tuple[int, ...], *, scroll: bool = False) -> None:
        self.stage = "letting it come to rest"
        try:
            await self._rest.come(slices_ms, scroll=scroll)
        except CaptureError as error:  # what was kept from it may be why it restarts
            if refused := self._refused_note():
                raise CaptureError(error.kind, f"{error.message}; {refused}", retry=error.retry) from None
            raise

    def _navigation_error(self, error: BrowserError) -> Exception:
        """Why it did not open; raises CaptureError itself for a status that was not expected."""
        if is_crash(error):
            return error
        if reasons.EMPTY in error.message:
            self._check_status()
            return reasons.empty_error(self._page.url, self.traffic.status)
        address = self.traffic.address or self._page.url
        masked = self._secrets.masked
        return reasons.navigation_error(self._page.url, address, error.message, self._guard, masked)

    def _check_status(self) -> None:
        status, expected = self.traffic.status, self._page.status
        if status is not None and (status != expected if expected is not None else status >= 400):
            raise reasons.status_error(self._page.url, status, expected)

    def _refused_note(self) -> str | None:
        refused = {f"{f.host}:{f.port}": f.reason for f in self._guard.failures if f.kind == "refused"}
        if not refused:
            return None
        return f"parts of the page were not loaded: {'; '.join(list(refused.values())[:3])} (RETESTR_CAPTURE_ALLOW)"

    # --- waiting and steps -------------------------------------------------------------------------------

    async def _wait_for_all(self, conditions: tuple[str | int, ...]) -> None:
        for condition in conditions:
            if isinstance(condition, str):
                await self._take_step(Step("wait", selector=condition))
            else:
                await self._take_step(Step("wait", value=condition))

    async def _take_steps(self, steps: tuple[Step, ...]) -> None:
        for number, step in enumerate(steps, 1):
            await self._take_step(step, f"step {number}, ")

    async def _take_step(self, step: Step, which: str = "") -> None:
        self.stage = f"at {which}{_in_words(step)}"
        if step.action == "wait" and step.selector is None:
            whole, rest = divmod(int(step.value or 0), 250)
            await self._rest.pass_time([250] * whole + [rest])
            return
        try:
            async with self._rest.time_passing():
                await self._act(step)
        except BrowserError as error:
            if is_crash(error):
                raise
            where = f"{self._page.url}, {which}{_in_words(step)}"
            raise CaptureError("suite", f"{where}: {reasons.first_line(error.message)}") from error

    def _act(self, step: Step) -> Awaitable[object]:
        target = self._locate(step.selector) if step.selector else None
        match step.action, target:
            case "click", Locator():
                return target.click()
            case "hover", Locator():
                return target.hover()
            case "fill", Locator():
                return visitor.fill(target, step, self._secrets)
            case "wait", Locator():
                return target.wait_for(state="visible")
            case "press", Locator():
                return target.press(str(step.value))
            case "press", None:
                return self.tab.keyboard.press(str(step.value))
            case "scroll", Locator():
                return target.scroll_into_view_if_needed()
            case "scroll", None:
                return self._documents.run("scroll_to", step.value)
        raise CaptureError("suite", f"{self._page.url}: the step {step.action!r} needs a selector")

    def _locate(self, selector: str) -> Locator:
        return self.tab.locator(selector).first


def _in_words(step: Step) -> str:
    parts = [step.action, json.dumps(step.selector) if step.selector else None]
    if step.action in ("press", "scroll", "wait") and step.value is not None:
        parts.append(str(step.value))
    return " ".join(filter(None, parts))
