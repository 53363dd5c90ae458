"""PNG bytes to pixels and back, with memory bounded by what the header says.

Every kind of PNG becomes 8-bit RGB: palettes and grey are spread out, 16 bits are halved, what is
translucent is laid on white. Colour profiles and gamma are not applied: browsers write neither.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from server.vision import png_rows
from server.vision.page import MAX_SIDE_PX, Box

RGB, RGBA = 2, 6  # colour types of the PNG specification, section 11.2.1
CHANNELS = {0: 1, RGB: 3, 3: 3, 4: 2, RGBA: 4}  # of each colour type, a palette's colours spread out
Pixels = NDArray[np.uint8]


class ImageError(Exception):
    """An image that cannot be read or is too large; the message says which and why."""


def size(png: bytes, max_megapixels: float) -> tuple[int, int]:
    """Read width and height in px from a PNG's header, decoding nothing.

    Raises ImageError for what is no PNG, has no area, or is too large.
    """
    if not png:
        raise ImageError("the image is empty")
    if len(png) < 33 or png[:8] != png_rows.SIGNATURE or png[12:16] != b"IHDR":
        raise ImageError("not a PNG image")
    width, height = struct.unpack(">II", png[16:24])
    if not width or not height:
        raise ImageError(f"the image has no area: {width}x{height}")
    if width * height > max_megapixels * 1e6:
        raise ImageError(f"the image is too large: {width}x{height}, more than {max_megapixels:g} megapixels")
    if max(width, height) > MAX_SIDE_PX:
        raise ImageError(f"the image is too large: {width}x{height}, a side of more than {MAX_SIDE_PX} px")
    return width, height


class Picture:
    """A PNG that is decoded once, however often it is compared; not for two threads at once."""

    def __init__(self, png: bytes) -> None:
        self.png = png
        self._rows: png_rows.Rows | None = None
        self._raw: NDArray[Any] | None = None  # where another kind of PNG
        self._pixels: Pixels | None = None

    def inflate(self, max_megapixels: float) -> None:
        """Do the part of decoding that threads can do side by side. Raises ImageError."""
        if self._rows is not None or self._raw is not None or self._pixels is not None:
            return
        width, height = size(self.png, max_megapixels)
        self._rows = png_rows.inflate(self.png, width, height)
        if self._rows is None:
            self._raw = _by_a_library(self.png, width, height)

    def pixels(self) -> Pixels:
        """The RGB pixels, shape (height, width, 3), once inflated. They are everybody's: for reading only."""
        if self._rows is not None:
            return self._rows.pixels()
        if self._raw is not None:
            self._pixels, self._raw = _as_rgb(self._raw), None
        assert self._pixels is not None, "not inflated"
        return self._pixels

    def without(self, boxes: Iterable[Box]) -> "Picture":
        """An inflated picture of its own that is black in these boxes, in px; they may reach beyond it."""
        blanked = Picture(self.png)
        blanked._pixels = pixels = self.pixels().copy()
        for box in boxes:
            pixels[max(0, box.y) : max(0, box.y + box.height), max(0, box.x) : max(0, box.x + box.width)] = 0
        return blanked


def pixels_where_unlike(old: Picture, new: Picture, margin: int) -> tuple[Pixels, Pixels, int, int]:
    """The pixels of both, inflated, pictures, and from which row to which they may differ.

    So that an image is not added up where it is the other one's: only these rows and `margin` rows around them need
    be pixels yet; the rows outside are the same in both. `Picture.pixels()` turns the same arrays into pixels.
    """
    before, after = old._rows, new._rows
    if (
        not (before and after and before.untouched and after.untouched)
        or before.lines.shape != after.lines.shape
    ):
        one, two = old.pixels(), new.pixels()
        return one, two, 0, min(len(one), len(two))
    height = len(before.lines)
    first, last = png_rows.unlike(before, after)
    top, bottom = max(0, first - margin), min(height, last + margin)
    one, two = before.pixels_between(top, bottom), after.pixels_between(top, bottom)
    if (one[bottom - 1] != two[bottom - 1]).any():  # what is added to unlike rows leaves them unlike
        return before.pixels(), after.pixels(), top, height
    return one, two, top, bottom


def decode(png: bytes, max_megapixels: float) -> Pixels:
    """Decode a PNG to RGB pixels, shape (height, width, 3), in memory of its own; raises ImageError.

    Each row lies in one piece; between two rows there may be a gap.
    """
    picture = Picture(png)
    picture.inflate(max_megapixels)
    return picture.pixels()


def _by_a_library(png: bytes, width: int, height: int) -> NDArray[Any]:
    depth, colour = png[24], png[25]
    transparent = png.find(b"tRNS", 0, max(png.find(b"IDAT"), 0)) > 0
    # The quick library knows few kinds of PNG; the slow one knows the rest of the specification.
    quick = depth == 8 and colour in (RGB, RGBA) and not transparent
    try:
        if quick:
            return imagecodecs.spng_decode(png)
        return _by_libpng(png, width, height, depth, colour, transparent)
    except (imagecodecs.SpngError, imagecodecs.PngError, ValueError, MemoryError) as error:
        raise ImageError(f"the image is damaged ({width}x{height} by its header): {error}") from error


def _by_libpng(
    png: bytes, width: int, height: int, depth: int, colour: int, transparent: bool
) -> NDArray[Any]:
    """Decode into memory that is ours, because of how imagecodecs fails on a damaged image.

    It keeps what it decodes into for ever; and where that is not given, it lets go of None once too often, which
    ends a process with Python 3.11 after some thousand images.
    """
    channels = CHANNELS.get(colour, 3) + transparent
    shape = (height, width, channels) if channels > 1 else (height, width)
    pixels = np.empty(shape, np.uint16 if depth == 16 else np.uint8)
    try:
        imagecodecs.png_decode(png, out=pixels)
    except imagecodecs.PngError:
        pixels.resize(0, refcheck=False)
        raise
    return pixels


def encode(pixels: Pixels) -> bytes:
    """Encode RGB pixels as PNG, quickly rather than small."""
    height, width = pixels.shape[:2]
    lines = png_rows.take_up(pixels, np.zeros_like(pixels[0]))
    return png_rows.file_of(bytes(imagecodecs.deflate_encode(lines.tobytes(), level=2)), width, height)


def stitch(tiles: Sequence[bytes], max_megapixels: float) -> bytes:
    """Put PNG images of one width below each other into one; raises ImageError.

    Decodes one tile at a time and compresses as it goes: memory is a tile's pixels and the two files.
    """
    width, height = size(tiles[0], max_megapixels)[0], 0
    packer = zlib.compressobj(level=1, strategy=zlib.Z_RLE)  # twice as fast, a tenth larger
    packed = []
    above = np.zeros((width, 3), np.uint8)
    for tile in tiles:
        rows = decode(tile, max_megapixels)
        if rows.shape[1] != width:
            raise ImageError(f"tiles of different widths: {width} and {rows.shape[1]}")
        packed.append(packer.compress(png_rows.take_up(rows, above).data))
        height, above = height + len(rows), rows[-1]
    packed.append(packer.flush())
    return png_rows.file_of(b"".join(packed), width, height)


def _as_rgb(pixels: NDArray[Any]) -> Pixels:
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.shape[2] in (2, 4):
        pixels = _on_white(pixels)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def _on_white(pixels: Pixels) -> Pixels:
    """Grey or RGB of what has an alpha channel, some rows at a time: 16 bits for each number are twice the memory."""
    colours = np.ascontiguousarray(pixels[..., :-1])
    for top in range(0, len(pixels), 128):
        alpha = pixels[top : top + 128, :, -1:].astype(np.uint16)
        if alpha.min() < 255:
            colours[top : top + 128] = (colours[top : top + 128] * alpha + 255 * (255 - alpha) + 127) // 255
    return colours
