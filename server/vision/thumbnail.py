"""A small picture of a change for a report: the largest region as it was and as it is, side by side."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from server.vision.align import Stretch
from server.vision.drawing import CHANGED
from server.vision.page import Box
from server.vision.png import Pixels

TILE_WIDTH_PX, TILE_HEIGHT_PX = 240, 180
GAP_PX = 8
AROUND_PX = 48  # of the page, on each side of the region
LEAST_WIDTH_PX = 480  # of the page: less would not tell where one is


def draw(before: Pixels, after: Pixels, stretches: Sequence[Stretch], region: Box) -> Pixels:
    """Draw what is around a region of the later image, framed, and beside it what stood there; at most 488x180 px."""
    view = _view(region, after.shape[1], after.shape[0])
    factor = max(-(-view.width // TILE_WIDTH_PX), -(-view.height // TILE_HEIGHT_PX))
    now = _reduced(_part(after, view), factor)
    _frame(now, region, view, factor)
    moved = _row_before(stretches, region.y) - region.y
    was = _reduced(_part(before, Box(view.x, view.y + moved, view.width, view.height)), factor)
    return np.concatenate([was, np.full((len(now), GAP_PX, 3), 255, np.uint8), now], axis=1)


def _view(region: Box, width: int, height: int) -> Box:
    """The part of the page that is shown: around the region, its upper end where it is higher than a tile is."""
    wide = min(width, max(LEAST_WIDTH_PX, region.width + 2 * AROUND_PX))
    high = min(height, max(wide, LEAST_WIDTH_PX) * TILE_HEIGHT_PX // TILE_WIDTH_PX)
    left = region.x + region.width // 2 - wide // 2
    top = region.y + min(region.height, high - AROUND_PX) // 2 - high // 2
    return Box(max(0, min(left, width - wide)), max(0, min(top, height - high)), wide, high)


def _row_before(stretches: Sequence[Stretch], row: int) -> int:
    """The row of the earlier image that stood where this row of the later one does."""
    begins = [one.after for one in stretches]
    first = bisect_left(begins, row)  # of several that begin here the one whose rows were removed comes first
    at = stretches[first if first < len(begins) and begins[first] == row else first - 1]
    return at.before + min(row - at.after, at.removed)


def _part(pixels: Pixels, view: Box) -> Pixels:
    """A part of an image, white where it reaches beyond."""
    part = np.full((view.height, view.width, 3), 255, np.uint8)
    top, bottom = max(0, view.y), min(len(pixels), view.y + view.height)
    found = pixels[top : max(top, bottom), view.x : view.x + view.width]
    part[top - view.y : top - view.y + len(found), : found.shape[1]] = found
    return part


def _reduced(pixels: Pixels, factor: int) -> Pixels:
    """Each square of so many pixels as one, their mean; what is left over at the right and below is cut off."""
    high, wide = (max(1, side // factor) for side in pixels.shape[:2])
    factor_y, factor_x = min(factor, pixels.shape[0]), min(factor, pixels.shape[1])
    # Rows first: that is several times quicker than both at once
    rows = pixels[: high * factor_y].reshape(high, factor_y, -1).sum(axis=1, dtype=np.uint32)
    columns = rows.reshape(high, -1, 3)[:, : wide * factor_x].reshape(high, wide, factor_x, 3)
    means: Pixels = (columns.sum(axis=2) // (factor_y * factor_x)).astype(np.uint8)
    return means


def _frame(pixels: Pixels, region: Box, view: Box, factor: int) -> None:
    """Lay a line around the region, in place."""
    high, wide = pixels.shape[:2]
    left, top = max(0, (region.x - view.x) // factor - 2), max(0, (region.y - view.y) // factor - 2)
    right = min(wide - 1, (region.x + region.width - view.x) // factor + 2)
    bottom = min(high - 1, (region.y + region.height - view.y) // factor + 2)
    pixels[top : bottom + 1, [left, right]] = CHANGED
    pixels[[top, bottom], left : right + 1] = CHANGED
