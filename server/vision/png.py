"""PNG bytes to pixels and back, with memory bounded by what the header says.

Every kind of PNG becomes 8-bit RGB: palettes and grey are spread out, 16 bits are halved, what is
translucent is laid on white. Colour profiles and gamma are not applied: browsers write neither.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGB, RGBA = 2, 6  # colour types of the PNG specification, section 11.2.1
MAX_SIDE_PX = 65535
Pixels = NDArray[np.uint8]


class ImageError(Exception):
    """An image that cannot be read or is too large; the message says which and why."""


def size(png: bytes, max_megapixels: float) -> tuple[int, int]:
    """Read width and height in px from a PNG's header, decoding nothing.

    Raises ImageError for what is no PNG, has no area, or has more than `max_megapixels`.
    """
    if not png:
        raise ImageError("the image is empty")
    if len(png) < 33 or png[:8] != SIGNATURE or png[12:16] != b"IHDR":
        raise ImageError("not a PNG image")
    width, height = struct.unpack(">II", png[16:24])
    if not width or not height:
        raise ImageError(f"the image has no area: {width}x{height}")
    if width * height > max_megapixels * 1e6 or max(width, height) > MAX_SIDE_PX:
        raise ImageError(f"the image is too large: {width}x{height}, more than {max_megapixels:g} megapixels")
    return width, height


def decode(png: bytes, max_megapixels: float) -> Pixels:
    """Decode a PNG to RGB pixels, shape (height, width, 3), in memory of its own; raises ImageError."""
    width, height = size(png, max_megapixels)
    depth, colour = png[24], png[25]
    transparent = png.find(b"tRNS", 0, max(png.find(b"IDAT"), 0)) > 0
    # The quick decoder knows what browsers write; the slow one knows the rest of the specification.
    quick = depth == 8 and colour in (RGB, RGBA) and not transparent
    try:
        pixels = imagecodecs.spng_decode(png) if quick else imagecodecs.png_decode(png)
    except (imagecodecs.SpngError, imagecodecs.PngError, ValueError, MemoryError) as error:
        raise ImageError(f"the image is damaged ({width}x{height} by its header): {error}") from error
    return _as_rgb(pixels)


def encode(pixels: Pixels) -> bytes:
    """Encode RGB pixels as PNG, quickly rather than small."""
    return bytes(imagecodecs.png_encode(pixels, level=1))


def stitch(tiles: Sequence[bytes], max_megapixels: float) -> bytes:
    """Put PNG images of one width below each other into one; raises ImageError.

    Decodes one tile at a time and compresses as it goes: memory is a tile's pixels and the two files.
    """
    width, height = size(tiles[0], max_megapixels)[0], 0
    packer = zlib.compressobj(level=1, strategy=zlib.Z_RLE)  # twice as fast, a tenth larger
    packed = []
    above = np.zeros((1, width, 3), np.uint8)
    for tile in tiles:
        rows = decode(tile, max_megapixels)
        if rows.shape[1] != width:
            raise ImageError(f"tiles of different widths: {width} and {rows.shape[1]}")
        # Filter type 2, "up": each row is written as its difference from the one above.
        lines = np.full((len(rows), 1 + width * 3), 2, np.uint8)
        lines[:, 1:] = (rows - np.concatenate((above, rows[:-1]))).reshape(len(rows), -1)
        packed.append(packer.compress(lines.data))
        height, above = height + len(rows), rows[-1:]
    packed.append(packer.flush())
    header = struct.pack(">IIBBBBB", width, height, 8, RGB, 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"".join(packed)) + _chunk(b"IEND", b"")


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _as_rgb(pixels: NDArray[Any]) -> Pixels:
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    channels = pixels.shape[2]
    if channels in (2, 4):
        colour, alpha = pixels[..., :-1], pixels[..., -1:]
        if alpha.min() < 255:
            alpha = alpha.astype(np.uint16)
            colour = ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
        pixels = colour
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels, dtype=np.uint8)
