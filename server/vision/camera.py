"""Takes the picture of a page that is at rest: what of it, what is covered, in how many tiles, until it is still."""

import asyncio
import base64
import hashlib
import math
import struct
from typing import Any

from playwright.async_api import CDPSession, Frame
from playwright.async_api import Error as BrowserError
from playwright.async_api import Page as Tab

from server.vision import reasons
from server.vision.documents import SCRIPTS, Documents, is_crash
from server.vision.origins import origin_of
from server.vision.page import MASK_COLOUR, MAX_AREA_PX, MAX_SIDE_PX, Box, CaptureError, Page
from server.vision.secrets import Secrets, texts_of

MAX_TILE_PX = 16384  # Chromium draws no larger picture, and says nothing when it cuts one
MOST_SHOTS = 4


def window_metrics(page: Page) -> dict[str, Any]:
    """A page's window as `Emulation.setDeviceMetricsOverride` takes it."""
    return {
        "width": page.width,
        "height": page.height,
        "deviceScaleFactor": page.scale,
        "mobile": page.visitor.is_mobile,
    }


class Camera:
    """Takes pictures of `page` in a tab."""

    def __init__(
        self, tab: Tab, devtools: CDPSession, documents: Documents, page: Page, secrets: Secrets
    ) -> None:
        self._tab = tab
        self._devtools = devtools
        self._documents = documents
        self._page = page
        self._secrets = secrets
        self._masks: list[tuple[Box, str]] = []

    async def dress(self) -> None:
        """Make invisible what shall not be seen, and lay the suite's CSS over what was added since the beginning."""
        page = self._page
        if not page.css and not page.hide:
            return
        clothes = {"css": page.css, "hide": list(page.hide)}
        await self._documents.run_everywhere("dress", clothes)
        if wrong := await self._documents.run("dress", clothes):
            raise CaptureError("suite", f"{page.url}: the selector {wrong[0]!r} under hide is wrong")

    async def clip(self) -> tuple[Box, str | None]:
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

    async def ignored(self) -> list[Box]:
        """What shall be ignored, in CSS px of the page."""
        found = [
            _outward(box) for selector in self._page.ignore_selectors for box in await self._boxes(selector)
        ]
        return found + list(self._page.ignore_boxes)

    async def mask(self) -> None:
        """Find what is to be painted over in every picture from now on."""
        masks: list[tuple[Box, str]] = []  # in CSS px of the page, and with which colour
        for mask in self._page.mask:
            boxes = (
                [_outward(box) for box in await self._boxes(mask.selector)] if mask.selector else [mask.box]
            )
            masks += [(box, mask.colour) for box in boxes if box]
        self._masks = masks + [(box, MASK_COLOUR) for box in await self._showing()]

    async def _showing(self) -> list[Box]:
        """Where a secret that the page was given is to be read, be it an echo or a field that shows passwords."""
        texts, found = list(texts_of(self._page)), list[Box]()
        for frame in self._tab.frames:
            values = self._secrets.of(texts, origin_of(frame.url))
            boxes = await frame.evaluate(SCRIPTS["showing"], values) if values else []
            if boxes and frame is not self._tab.main_frame:
                element = await _outermost(frame).frame_element()
                boxes = [await element.evaluate(f"(frame) => ({SCRIPTS['boxes']})([frame])[0]")]
            found += [_outward(box) for box in boxes if box]
        return found

    async def _boxes(self, selector: str) -> list[dict[str, float]]:
        try:
            return await self._tab.locator(selector).evaluate_all(SCRIPTS["boxes"])  # type: ignore[no-any-return]
        except BrowserError as error:
            if is_crash(error):
                raise
            reason = reasons.first_line(error.message)
            raise CaptureError(
                "suite", f"{self._page.url}: the selector {selector!r} is wrong: {reason}"
            ) from error

    async def shoot_until_still(self, clip: Box, known: frozenset[str]) -> tuple[bytes, int, tuple[Box, ...]]:
        """Take pictures until one is known or two in a row agree, or there are enough.

        Returns the last, how many there were, and where the last two differ.
        """
        await self._show(clip)
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

    async def _show(self, clip: Box) -> None:
        """Have the browser draw the whole clip while the page believes its window to be as large as before.

        Taking a picture would do the same, and undo it each time. A clip of several tiles is left to it.
        """
        page = self._page
        if clip.height * page.scale <= MAX_TILE_PX:
            shown = {"x": clip.x, "y": clip.y, "width": clip.width, "height": clip.height, "scale": 1}
            metrics = window_metrics(page) | {"viewport": shown, "dontSetVisibleSize": True}
            size = {"width": round(clip.width * page.scale), "height": round(clip.height * page.scale)}
            await self._devtools.send("Emulation.setDeviceMetricsOverride", metrics)
            await self._devtools.send("Emulation.setVisibleSize", size)

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
                "optimizeForSpeed": True,
            },
        )
        png = base64.b64decode(answer["data"])
        if not self._masks:
            return png
        from server.vision.cover import paint  # loads NumPy, and is rarely needed

        width, height = struct.unpack(">II", png[16:24])
        placed = [
            (in_image(box, clip, self._page.scale, width, height), colour) for box, colour in self._masks
        ]
        here = [(box, colour) for box, colour in placed if box]
        return await asyncio.to_thread(paint, png, here, MAX_AREA_PX / 1e6) if here else png


def _outermost(frame: Frame) -> Frame:
    """The frame of the main document that holds a frame, or is it: only its box is in px of the page."""
    while frame.parent_frame is not None and frame.parent_frame.parent_frame is not None:
        frame = frame.parent_frame
    return frame


async def _stitched(tiles: list[bytes]) -> bytes:
    if len(tiles) == 1:
        return tiles[0]
    from server.vision.png import stitch  # loads NumPy, and is rarely needed

    return await asyncio.to_thread(stitch, tiles, MAX_AREA_PX / 1e6)


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


def in_image(box: Box, clip: Box, scale: float, width: int, height: int) -> Box | None:
    """A box of the page (CSS px) as image px, cut to the image; None when it lies outside."""
    left = max(0, math.floor((box.x - clip.x) * scale))
    top = max(0, math.floor((box.y - clip.y) * scale))
    right = min(width, math.ceil((box.x + box.width - clip.x) * scale))
    bottom = min(height, math.ceil((box.y + box.height - clip.y) * scale))
    return Box(left, top, right - left, bottom - top) if right > left and bottom > top else None
