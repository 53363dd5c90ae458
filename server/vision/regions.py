"""Where two images differ: the changed pixels as a few boxes a person can look at."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from server.vision.align import Shift
from server.vision.page import Box

GAP_PX = 24  # changes closer than this are one region
MOST_REGIONS = 50
MOST_ISLANDS = 1000  # scattered noise: enough to choose the largest from


def regions_of(
    changed: NDArray[np.bool_],
    top: int,
    shifts: Sequence[Shift],
    size_before: tuple[int, int],
    size_after: tuple[int, int],
) -> tuple[Box, ...]:
    """Boxes in px of the later image, of whose rows `changed` has those from `top` on; largest first, at most 50.

    Inserted rows and a change of width are regions too; what was removed is one px at its edge.
    """
    width, height = size_after
    found = list(islice(islands(changed, y=top), MOST_ISLANDS))
    for shift in shifts:
        found.append(Box(0, min(shift.y, height - 1), width, shift.rows if shift.kind == "inserted" else 1))
    if width != size_before[0]:
        left = min(width - 1, size_before[0])
        found.append(Box(left, 0, width - left, height))
    return tuple(sorted(found, key=lambda box: (-box.area, box.y, box.x))[:MOST_REGIONS])


def islands(
    mask: NDArray[np.bool_], x: int = 0, y: int = 0, axis: int = 0, whole: bool = False
) -> Iterator[Box]:
    """Boxes around what is set in a mask, cut along empty rows and columns in turn until neither cuts (XY-cut)."""
    filled = np.flatnonzero(mask.any(axis=1 - axis))
    parts = np.split(filled, np.flatnonzero(np.diff(filled) > GAP_PX) + 1) if filled.size else []
    for part in parts:
        start, stop = int(part[0]), int(part[-1]) + 1
        left, top = (x, y + start) if axis == 0 else (x + start, y)
        island = mask[start:stop] if axis == 0 else mask[:, start:stop]
        if whole and len(parts) == 1:
            yield Box(left, top, island.shape[1], island.shape[0])
        else:
            yield from islands(island, left, top, 1 - axis, len(parts) == 1)
