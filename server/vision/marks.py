"""Which pixels of two images changed, and which are only anti-aliased otherwise, by pixelmatch's rule.

The colour distance is that of Kotsarenko and Ramos 2010, the anti-aliasing rule that of Vysniauskas 2009. Equal
rows and columns are found by comparing memory; pixelmatch is shown only what is between.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pybind11_pixelmatch import Color, pixelmatch
from pybind11_pixelmatch import Options as PixelmatchOptions

from server.vision.align import Stretch
from server.vision.page import Box
from server.vision.png import Pixels

BLOCK_ROWS = 128
MARGIN_PX = 2  # how far the anti-aliasing rule looks
EQUAL, ANTIALIASED, CHANGED = 0, 1, 2
# What pixelmatch draws them with, RGBA; equal pixels are drawn grey.
YELLOW, MAGENTA = np.frombuffer(b"\xff\xff\x00\xff\xff\x00\xff\xff", np.uint32)
Marks = NDArray[np.uint8]  # one of the three for each pixel of the later image


def marks_of(
    before: Pixels, after: Pixels, stretches: Sequence[Stretch], threshold: float, antialiasing: bool
) -> Marks:
    """Judge every pixel that both images have; what only one of them has is EQUAL here.

    With `antialiasing`, anti-aliased pixels are CHANGED. Between two stretches that differ there is one that is same.
    """
    judge = PixelmatchOptions()
    judge.threshold, judge.includeAA = threshold, antialiasing
    judge.diffColor, judge.aaColor = Color(*MAGENTA.tobytes()), Color(*YELLOW.tobytes())
    marks = np.zeros(after.shape[:2], np.uint8)
    width = min(before.shape[1], after.shape[1])
    for number, stretch in enumerate(stretches):
        if stretch.same:
            continue
        # What stands beside it is the same in both images: above, and below where as much was removed as inserted.
        above = min(MARGIN_PX, stretches[number - 1].inserted) if number else 0
        rows = above + min(stretch.removed, stretch.inserted)
        if stretch.removed == stretch.inserted and number + 1 < len(stretches):
            rows += min(MARGIN_PX, stretches[number + 1].inserted)
        old = before[stretch.before - above :, :width][:rows]
        new = after[stretch.after - above :, :width][:rows]
        here = marks[stretch.after - above :, :width]
        for box in differing(old, new):
            here[box.y : box.y + box.height, box.x : box.x + box.width] = _judged(old, new, box, judge)
    return marks


def differing(old: Pixels, new: Pixels) -> Iterator[Box]:
    """Boxes, at most BLOCK_ROWS high, from top to bottom, outside of which two images of one shape are equal."""
    for top in range(0, len(old), BLOCK_ROWS):
        one, two = old[top : top + BLOCK_ROWS], new[top : top + BLOCK_ROWS]
        unlike = one.reshape(len(one), -1) != two.reshape(len(two), -1)
        if unlike.any():
            rows, bytes_ = np.flatnonzero(unlike.any(axis=1)), np.flatnonzero(unlike.any(axis=0))
            left, right = int(bytes_[0]) // 3, int(bytes_[-1]) // 3
            yield Box(left, top + int(rows[0]), right - left + 1, int(rows[-1] - rows[0]) + 1)


def _judged(old: Pixels, new: Pixels, box: Box, judge: PixelmatchOptions) -> Marks:
    """Pixelmatch's marks for a box, given what is around it that its rule looks at."""
    top, left = max(0, box.y - MARGIN_PX), max(0, box.x - MARGIN_PX)
    rows = slice(top, box.y + box.height + MARGIN_PX)
    columns = slice(left, box.x + box.width + MARGIN_PX)
    one, two = (_opaque(image[rows, columns]) for image in (old, new))
    drawn = np.zeros_like(one)
    pixelmatch(one, two, output=drawn, options=judge)
    colours = drawn.view(np.uint32)[box.y - top :, box.x - left :, 0][: box.height, : box.width]
    marks = np.zeros(colours.shape, np.uint8)
    marks[colours == YELLOW], marks[colours == MAGENTA] = ANTIALIASED, CHANGED
    return marks


def _opaque(rgb: Pixels) -> Pixels:
    rgba = np.empty((*rgb.shape[:2], 4), np.uint8)
    for channel in range(3):  # three times as fast as all at once
        rgba[..., channel] = rgb[..., channel]
    rgba[..., 3] = 255
    return rgba
