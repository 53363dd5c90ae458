"""Paints over parts of a picture."""

from collections.abc import Sequence

from server.vision.page import Box
from server.vision.png import decode, encode


def paint(png: bytes, boxes: Sequence[tuple[Box, str]], max_megapixels: float) -> bytes:
    """The PNG with each box (image px, within the image) filled with its colour, `#rrggbb`."""
    pixels = decode(png, max_megapixels)
    for box, colour in boxes:
        pixels[box.y : box.y + box.height, box.x : box.x + box.width] = tuple(bytes.fromhex(colour[1:]))
    return encode(pixels)
