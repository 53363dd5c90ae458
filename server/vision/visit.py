"""One visit to one page: open it, let it come to rest, take its picture.

What must hold still, and why, stands in the page scripts beside this module. Contexts, concurrency
and the browser's life are `capture.py`'s.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import math
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Iterable
from pathlib import Path
from typing import Any

from playwright.async_api import CDPSession, Frame, Locator
from playwright.async_api import Error as BrowserError
from playwright.async_api import Page as Tab

from server.vision import reasons, visitor
from server.vision.evidence import Evidence
from server.vision.guard import Guard
from server.vision.origins import origin_of
from server.vision.page import MASK_COLOUR, Box, CaptureError, Image, Page, Stabilizer, Step
from server.vision.secrets import Secrets, texts_of
from server.vision.traffic import Traffic

SCRIPTS = {path.stem: path.read_text() for path in (Path(__file__).parent / "scripts").glob("*.js")}

MAX_TILE_PX = 16384  # Chromium draws no larger picture, and says nothing when it cuts one
MAX_SIDE_PX = 65535  # of a picture made of several
MAX_AREA_PX = 100_000_000
MOST_GROWTH = 20  # how many windows a page is followed that grows while it is scrolled
MOST_SHOTS = 4
MOST_DOCUMENTS = 5  # a page that sends the browser on more often than this never comes to rest
SLICES_BEFORE_MS = (125,) * 4
SLICES_AFTER_MS = (*(250,) * 4, 1000)  # numbers that count up after they were scrolled to take two seconds
STOP_MS = 128
TICK_MS = 30
QUANTUM_MS = (
    4000  # a step or wait that takes less real time, on however busy a machine, takes this much virtual time
)
QUIET_S = 0.05
FRAME_S = 3.0  # how long one embedded frame may take over one slice of time
LOAD_ALL_MS = 5000
CRASHED = ("Target crashed", "Page crashed", "has been closed", "Connection closed")


def init_script(page: Page) -> str:
    """What runs in every document of a page's visit before the page's own scripts."""
    script: str = SCRIPTS["backstage"] + (SCRIPTS["clock"] if "time" in page.stabilize else "")
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
        self._masks: list[tuple[Box, str]] = []
        self._tab = tab
        self._devtools = devtools
        self._guard = guard
        self._page = page
        self._growth_note: str | None = None

    async def picture(self, known: frozenset[str]) -> Image:
        """Visit the page and return its picture; raises CaptureError.

        `known` holds the SHA-256 of pictures that are accepted at first sight.
        """
        started = time.monotonic()
        page = self._page
        await self._open()
        self.evidence.mark("navigation")
        await self._wait_for_all(page.wait_for)
        await self._rest(
            SLICES_BEFORE_MS, scroll=page.full_page and page.element is None and self._does("scroll")
        )
        await self._take_steps(page.steps)
        await self._rest(SLICES_AFTER_MS)
        self._check_status()

        self.stage = "holding it still"
        await self._dress()
        await self._freeze()
        clip, note = await self._clip()
        ignore = await self._ignored(clip)
        self._masks = await self._masked()
        self.evidence.mark("settling")

        self.stage = "taking the picture"
        png, shots, moved = await self._shoot_until_still(clip, known)
        self.evidence.mark("shots")
        width, height = struct.unpack(">II", png[16:24])
        return Image(
            png=png,
            sha256=hashlib.sha256(png).hexdigest(),
            width=width,
            height=height,
            ignore=tuple(
                box for box in (_in_image(box, clip, page.scale, width, height) for box in ignore) if box
            ),
            shots=shots,
            moved=moved,
            note="; ".join(filter(None, (note, self._growth_note, self._refused_note()))) or None,
            http_status=self.traffic.status or 0,
            seconds=time.monotonic() - started,
            evidence=self.evidence.as_json(self._secrets),
        )

    async def log_in(self) -> None:
        """Visit the page, take its steps and then wait for what it says; raises CaptureError."""
        await self._open()
        await self._take_steps(self._page.steps)
        await self._wait_for_all(self._page.wait_for)
        await self._rest(SLICES_AFTER_MS)
        self._check_status()

    # --- opening -------------------------------------------------------------------------------------

    async def _open(self) -> None:
        try:
            await self._tab.goto(self._page.url, wait_until="load")
        except BrowserError as error:
            if "interrupted by another navigation" not in error.message:
                raise self._navigation_error(error) from error
            await self._tab.wait_for_load_state("load")
        self._check_status()
        await self.traffic.idle()

    def _navigation_error(self, error: BrowserError) -> Exception:
        if any(sign in error.message for sign in CRASHED):
            return error
        address = self.traffic.address or self._page.url
        return reasons.navigation_error(self._page.url, address, error.message, self._guard)

    def _check_status(self) -> None:
        status, expected = self.traffic.status, self._page.status
        if status is not None and (status != expected if expected is not None else status >= 400):
            raise reasons.status_error(self._page.url, status, expected)

    def _refused_note(self) -> str | None:
        refused = {f"{f.host}:{f.port}": f.reason for f in self._guard.failures if f.kind == "refused"}
        if not refused:
            return None
        return f"parts of the page were not loaded: {'; '.join(list(refused.values())[:3])} (RETESTR_CAPTURE_ALLOW)"

    # --- coming to rest --------------------------------------------------------------------------------

    async def _rest(self, slices_ms: Iterable[int], *, scroll: bool = False) -> None:
        """Let time pass in the page, and again in the page that it sends the browser on to."""
        self.stage = "letting it come to rest"
        for _ in range(MOST_DOCUMENTS):
            document = self.traffic.documents
            try:
                await self._pass_time(slices_ms)
                if scroll:
                    await self._scroll_through()
                await self._in_every_frame(
                    "load_all", {"mostMs": LOAD_ALL_MS, **self._doing("lazy", "fonts", "video")}
                )
                await self.traffic.idle(quiet_s=QUIET_S)
            except BrowserError as error:
                if not _left_behind(error):
                    raise
            if self.traffic.documents == document:
                return
            await self._tab.wait_for_load_state("load")
        raise CaptureError("suite", f"{self._page.url} does not come to rest: it keeps opening another page")

    async def _scroll_through(self) -> None:
        area = self._page.width * self._page.height * self._page.scale**2
        followed = await self._run(
            "scroll_through",
            {
                "mostStops": math.ceil(min(MAX_AREA_PX / area, MAX_SIDE_PX / self._page.height)),
                "mostGrowth": MOST_GROWTH,
                "stopMs": STOP_MS,
                **self._doing("animation"),
            },
        )
        if followed["isEndless"]:
            self._growth_note = (
                f"the page grows while it is scrolled: it was {followed['heightAtFirst']} px high at first, "
                f"and was followed down to {followed['followedTo']} px"
            )

    async def _pass_time(self, slices_ms: Iterable[int]) -> None:
        for slice_ms in slices_ms:
            await self._advance(slice_ms)
            await self.traffic.idle()

    async def _advance(self, ms: int) -> None:
        await self._in_every_frame("advance", {"ms": ms, **self._doing("animation")})

    @contextlib.asynccontextmanager
    async def _time_passing(self) -> AsyncIterator[None]:
        """Let the page's clock run while something is waited for, then bring it to where it always ends."""

        async def tick() -> None:
            while True:
                await self.traffic.idle()  # the network takes no time in the page
                with contextlib.suppress(BrowserError):
                    await self._advance(TICK_MS)
                await asyncio.sleep(TICK_MS / 1000)

        ticking = asyncio.create_task(tick())
        try:
            yield
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
        await self.traffic.idle()
        await self._tab.wait_for_load_state("load")
        with contextlib.suppress(BrowserError):
            await self._in_every_frame("align", QUANTUM_MS)

    async def _freeze(self) -> None:
        doing = self._doing("animation", "caret", "hover", "video")
        doing["blur"] = doing["caret"] and not self._page.steps
        doing["hover"] &= not any(step.action in ("click", "hover") for step in self._page.steps)
        await self._in_every_frame("freeze", doing)

    def _does(self, step: Stabilizer) -> bool:
        return step in self._page.stabilize

    def _doing(self, *steps: Stabilizer) -> dict[str, bool]:
        return {step: self._does(step) for step in steps}

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
            await self._pass_time([250] * whole + [rest])
            return
        try:
            async with self._time_passing():
                await self._act(step)
        except BrowserError as error:
            if any(sign in error.message for sign in CRASHED):
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
                return self._tab.keyboard.press(str(step.value))
            case "scroll", Locator():
                return target.scroll_into_view_if_needed()
            case "scroll", None:
                return self._run("scroll_to", step.value)
        raise CaptureError("suite", f"{self._page.url}: the step {step.action!r} needs a selector")

    def _locate(self, selector: str) -> Locator:
        return self._tab.locator(selector).first

    # --- where things are ----------------------------------------------------------------------------------

    async def _boxes(self, selector: str) -> list[dict[str, float]]:
        try:
            return await self._tab.locator(selector).evaluate_all(SCRIPTS["boxes"])  # type: ignore[no-any-return]
        except BrowserError as error:
            if any(sign in error.message for sign in CRASHED):
                raise
            reason = reasons.first_line(error.message)
            raise CaptureError(
                "suite", f"{self._page.url}: the selector {selector!r} is wrong: {reason}"
            ) from error

    async def _clip(self) -> tuple[Box, str | None]:
        """What to take a picture of, in CSS px of the page, and what a person should know of it."""
        page = self._page
        metrics = await self._devtools.send("Page.getLayoutMetrics")
        view, content = metrics["cssLayoutViewport"], metrics["cssContentSize"]
        if page.element is not None:
            boxes = await self._boxes(page.element)
            if not boxes:
                what = f"the element {page.element!r} is not on the page, or is invisible"
                raise CaptureError("suite", f"{page.url}: {what}")
            clip = _outward(boxes[0])
        elif page.full_page:
            width, height = math.ceil(content["width"]), math.ceil(content["height"])
            clip = Box(0, 0, max(width, page.width), max(height, page.height))
        else:
            clip = Box(int(view["pageX"]), int(view["pageY"]), page.width, page.height)
        return _cut(clip, page.scale)

    async def _ignored(self, clip: Box) -> list[Box]:
        found = [
            _outward(box) for selector in self._page.ignore_selectors for box in await self._boxes(selector)
        ]
        return found + list(self._page.ignore_boxes)

    # --- what is covered --------------------------------------------------------------------------------------

    async def _dress(self) -> None:
        """Make invisible what shall not be seen, and lay the suite's CSS over what was added since the beginning."""
        page = self._page
        if not page.css and not page.hide:
            return
        clothes = {"css": page.css, "hide": list(page.hide)}
        await self._in_every_frame("dress", clothes)
        if wrong := await self._run("dress", clothes):
            raise CaptureError("suite", f"{page.url}: the selector {wrong[0]!r} under hide is wrong")

    async def _masked(self) -> list[tuple[Box, str]]:
        """What is painted over, in CSS px of the page, and with which colour."""
        masks: list[tuple[Box, str]] = []
        for mask in self._page.mask:
            boxes = (
                [_outward(box) for box in await self._boxes(mask.selector)] if mask.selector else [mask.box]
            )
            masks += [(box, mask.colour) for box in boxes if box]
        return masks + [(box, MASK_COLOUR) for box in await self._showing()]

    async def _showing(self) -> list[Box]:
        """Where a secret that the page was given is to be read, be it an echo or a field that shows passwords."""
        texts, found = list(texts_of(self._page)), list[Box]()
        for frame in self._tab.frames:
            values = self._secrets.of(texts, origin_of(frame.url))
            boxes = await frame.evaluate(SCRIPTS["showing"], values) if values else []
            if boxes and frame is not self._tab.main_frame:
                element = await frame.frame_element()
                boxes = [await element.evaluate(f"(frame) => ({SCRIPTS['boxes']})([frame])[0]")]
            found += [_outward(box) for box in boxes if box]
        return found

    # --- taking pictures -----------------------------------------------------------------------------------

    async def _shoot_until_still(
        self, clip: Box, known: frozenset[str]
    ) -> tuple[bytes, int, tuple[Box, ...]]:
        """Take pictures until one is known or two in a row agree, or there are enough.

        Returns the last, how many there were, and where the last two differ.
        """
        tiles = await self._shoot(clip)
        png = await _stitched(tiles)
        for count in range(1, MOST_SHOTS):
            if hashlib.sha256(png).hexdigest() in known:
                return png, count, ()
            tiles, before = await self._shoot(clip), tiles
            if tiles == before:
                return png, count + 1, ()
            png, previous = await _stitched(tiles), png
        if hashlib.sha256(png).hexdigest() in known:
            return png, MOST_SHOTS, ()
        from server.vision.compare import regions_between  # loads NumPy, and is rarely needed

        return png, MOST_SHOTS, await asyncio.to_thread(regions_between, previous, png)

    async def _shoot(self, clip: Box) -> list[bytes]:
        """One picture, in as many tiles below each other as the browser needs."""
        rows = math.floor(MAX_TILE_PX / self._page.scale)
        tops = range(clip.y, clip.y + clip.height, rows)
        bottom = clip.y + clip.height
        return [await self._shoot_tile(Box(clip.x, top, clip.width, min(rows, bottom - top))) for top in tops]

    async def _shoot_tile(self, clip: Box) -> bytes:
        answer = await self._devtools.send(
            "Page.captureScreenshot",
            {
                "format": "png",
                "clip": {"x": clip.x, "y": clip.y, "width": clip.width, "height": clip.height, "scale": 1},
                "captureBeyondViewport": self._page.full_page or self._page.element is not None,
                "optimizeForSpeed": True,
            },
        )
        png = base64.b64decode(answer["data"])
        if not self._masks:
            return png
        from server.vision.cover import paint  # loads NumPy, and is rarely needed

        width, height = struct.unpack(">II", png[16:24])
        placed = [
            (_in_image(box, clip, self._page.scale, width, height), colour) for box, colour in self._masks
        ]
        here = [(box, colour) for box, colour in placed if box]
        return await asyncio.to_thread(paint, png, here, MAX_AREA_PX / 1e6) if here else png

    # --- running scripts -------------------------------------------------------------------------------------

    async def _run(self, script: str, argument: Any = None) -> Any:
        return await self._tab.main_frame.evaluate(SCRIPTS[script], argument)

    async def _in_every_frame(self, script: str, argument: Any = None) -> None:
        """Run a script in all documents at once; an embedded one that fails or hangs is left out."""

        async def embedded(frame: Frame) -> None:
            with contextlib.suppress(BrowserError, TimeoutError):
                async with asyncio.timeout(FRAME_S):
                    await frame.evaluate(SCRIPTS[script], argument)

        others = self._tab.frames[1:]
        await asyncio.gather(self._run(script, argument), *map(embedded, others))


async def _stitched(tiles: list[bytes]) -> bytes:
    if len(tiles) == 1:
        return tiles[0]
    from server.vision.png import stitch  # loads NumPy, and is rarely needed

    return await asyncio.to_thread(stitch, tiles, MAX_AREA_PX / 1e6)


def _left_behind(error: BrowserError) -> bool:
    """Whether a script failed only because its document went away."""
    return any(sign in error.message for sign in ("context was destroyed", "navigat", "Frame was detached"))


def _in_words(step: Step) -> str:
    parts = [step.action, json.dumps(step.selector) if step.selector else None]
    if step.action in ("press", "scroll", "wait") and step.value is not None:
        parts.append(str(step.value))
    return " ".join(filter(None, parts))


def _outward(box: dict[str, float]) -> Box:
    """Whole px that contain a box."""
    left, top = math.floor(box["x"]), math.floor(box["y"])
    right, bottom = math.ceil(box["x"] + box["width"]), math.ceil(box["y"] + box["height"])
    return Box(left, top, right - left, bottom - top)


def _cut(clip: Box, scale: float) -> tuple[Box, str | None]:
    """Cut a clip to what makes a picture of bearable size; CSS px, like the clip."""
    width = min(clip.width, math.floor(MAX_TILE_PX / scale))
    height = min(clip.height, math.floor(MAX_SIDE_PX / scale), math.floor(MAX_AREA_PX / (width * scale**2)))
    if (width, height) == (clip.width, clip.height):
        return clip, None
    note = f"cut to {width}x{height} px: the page is {clip.width}x{clip.height}"
    return Box(clip.x, clip.y, width, height), note


def _in_image(box: Box, clip: Box, scale: float, width: int, height: int) -> Box | None:
    """A box of the page (CSS px) as image px, cut to the image; None when it lies outside."""
    left = max(0, math.floor((box.x - clip.x) * scale))
    top = max(0, math.floor((box.y - clip.y) * scale))
    right = min(width, math.ceil((box.x + box.width - clip.x) * scale))
    bottom = min(height, math.ceil((box.y + box.height - clip.y) * scale))
    return Box(left, top, right - left, bottom - top) if right > left and bottom > top else None
