"""The picture of a difference for people: context in grey, what changed in colours that stand out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from server.vision.align import Stretch
from server.vision.png import Pixels

CHANGED = (230, 0, 200)
ANTIALIASED = (235, 190, 0)
INSERTED = (70, 180, 90)
REMOVED = (220, 70, 60)
CONTEXT = 0.3  # how much of the image is left; the rest is white
STRIPE_PX = 8
FAINTER = (255 - CONTEXT * (255 - np.arange(256))).astype(np.uint8)


def draw(
    before: Pixels,
    after: Pixels,
    stretches: Sequence[Stretch],
    changed: NDArray[np.bool_],
    antialiased: NDArray[np.bool_],
) -> Pixels:
    """Draw the later image with its changes, and the rows it has lost where they were.

    The masks have the later image's shape. The picture is as wide as the wider image and as high as
    the later one with all removed rows put back.
    """
    shared = min(before.shape[1], after.shape[1])
    width = max(before.shape[1], after.shape[1])
    context = _grey(after)
    context[antialiased], context[changed] = ANTIALIASED, CHANGED
    bands: list[Pixels] = []
    for stretch in stretches:
        paired = min(stretch.removed, stretch.inserted)
        rows = slice(stretch.after, stretch.after + stretch.inserted)
        band = _widened(context[rows], width)
        if after.shape[1] > before.shape[1]:
            _stripe(band[:, shared:], INSERTED)
        else:
            _stripe(band[:, shared:], REMOVED)
        _stripe(band[paired:], INSERTED)
        bands.append(band)
        lost = before[stretch.before + paired : stretch.before + stretch.removed]
        if len(lost):
            band = _widened(_grey(lost), width)
            _stripe(band, REMOVED)
            bands.append(band)
    return np.concatenate(bands)


def _grey(pixels: Pixels) -> Pixels:
    """Grey and faint, as three channels; luma by ITU-R BT.601 in 256ths, some rows at a time."""
    faint = np.empty_like(pixels)
    for top in range(0, len(pixels), 128):
        red, green, blue = np.moveaxis(pixels[top : top + 128].astype(np.uint16), 2, 0)
        luma = (77 * red + 150 * green + 29 * blue) >> 8
        faint[top : top + 128] = FAINTER[luma][..., np.newaxis]
    return faint


def _widened(pixels: Pixels, width: int) -> Pixels:
    return np.pad(pixels, ((0, 0), (0, width - pixels.shape[1]), (0, 0)), constant_values=255)


def _stripe(pixels: Pixels, colour: tuple[int, int, int]) -> None:
    """Lay diagonal stripes over what is drawn, in place: half the colour, half what was there."""
    rows, columns = np.arange(pixels.shape[0])[:, np.newaxis], np.arange(pixels.shape[1])
    stripes = (rows + columns) // STRIPE_PX % 2 == 0
    pixels[stripes] = (pixels[stripes] // 2) + np.array(colour, np.uint8) // 2
