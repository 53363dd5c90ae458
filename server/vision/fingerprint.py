"""What changed, wherever it stands: the same new header on ten pages has one fingerprint.

Two differences with one fingerprint show the same pixels before and after in every changed region,
inserted band and removed band; where these stand, and what is beside them, does not matter.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from server.vision.align import Stretch
from server.vision.page import Box
from server.vision.png import Pixels
from server.vision.regions import MOST_ISLANDS, islands


def fingerprint(
    before: Pixels, after: Pixels, stretches: Sequence[Stretch], changed: NDArray[np.bool_]
) -> str | None:
    """SHA-256, in hexadecimal, of what changed; None where nothing did.

    `changed` has the later image's shape, without its anti-aliased pixels.
    """
    parts = [*_regions(before, after, stretches, changed), *_bands(before, after, stretches)]
    if before.shape[1] != after.shape[1]:
        parts.append(_width(before, after))
    return hashlib.sha256(b"".join(sorted(parts))).hexdigest() if parts else None


def _regions(
    before: Pixels, after: Pixels, stretches: Sequence[Stretch], changed: NDArray[np.bool_]
) -> Iterator[bytes]:
    """Of each region its shape, and its changed pixels before and after: not what is between them."""
    rows_before = np.zeros(len(after), np.intp)
    for stretch in stretches:
        rows_before[stretch.after :][: stretch.inserted] = np.arange(stretch.inserted) + stretch.before
    boxes = list(islice(islands(changed), MOST_ISLANDS + 1))
    if len(boxes) > MOST_ISLANDS:  # noise all over: one region
        boxes = [Box(0, 0, min(before.shape[1], after.shape[1]), len(after))]
    for box in boxes:
        rows, columns = slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)
        mask = changed[rows, columns]
        lines = np.flatnonzero(mask.any(axis=1))
        mask = mask[lines]
        old = before[rows_before[rows][lines], columns][mask]
        new = after[rows, columns][lines][mask]
        yield _digest("changed", mask.shape, lines, np.packbits(mask), old, new)


def _bands(before: Pixels, after: Pixels, stretches: Sequence[Stretch]) -> Iterator[bytes]:
    """Of each inserted or removed band its rows.

    A page that fills the window keeps its height: what is inserted above is taken from the blank below.
    That blank is left out, so that a long page with the same insertion has the same fingerprint.
    """
    bands = []
    for stretch in stretches:
        paired = min(stretch.removed, stretch.inserted)
        for kind, image, start, stop in (
            ("removed", before, stretch.before + paired, stretch.before + stretch.removed),
            ("inserted", after, stretch.after + paired, stretch.after + stretch.inserted),
        ):
            if stop > start:
                bands.append((kind, image, start, stop))
    if bands and len(before) == len(after) and _continues_blank(*bands[-1][1:]):
        bands.pop()
    for kind, image, start, stop in bands:
        yield _digest(kind, image[start:stop].shape, image[start:stop])


def _continues_blank(image: Pixels, start: int, stop: int) -> bool:
    """Whether the rows are of one colour, and the row above or below them too."""
    colour = image[start, 0]
    beside = [image[row] for row in (start - 1, stop) if 0 <= row < len(image)]
    return bool((image[start:stop] == colour).all()) and any((row == colour).all() for row in beside)


def _width(before: Pixels, after: Pixels) -> bytes:
    """Both widths, and what the columns that only one image has show besides blank rows."""
    wider = max(before, after, key=lambda image: image.shape[1])
    columns = wider[:, min(before.shape[1], after.shape[1]) :]
    shown = columns[(columns != columns[:, :1]).any(axis=(1, 2))]
    return _digest("width", (before.shape[1], after.shape[1]), shown)


def _digest(kind: str, *what: object) -> bytes:
    """SHA-256 of arrays, as they lie in memory, and sizes."""
    hashed = hashlib.sha256(kind.encode())
    for part in what:
        hashed.update(np.ascontiguousarray(part))  # type: ignore[arg-type]
    return hashed.digest()
