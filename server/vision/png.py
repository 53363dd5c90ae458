"""PNG bytes to pixels and back, with memory bounded by what the header says.

Every kind of PNG becomes 8-bit RGB: palettes and grey are spread out, 16 bits are halved, what is
translucent is laid on white. Colour profiles and gamma are not applied: browsers write neither.
"""

import struct
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
