"""Which rows of one image are which rows of the other, where rows were inserted or removed.

Rows are compared by hash. Rows that occur once in either image are anchors, kept in their longest
increasing order (patience diff); equal neighbours join them. Linear but for a sort: no image takes
long.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import xxhash

from server.vision.png import Pixels


class Stretch(NamedTuple):
    """Rows `before` to `before + removed` of one image stand where `after` to `after + inserted` do.

    Where `same`, both counts are equal and so are the rows.
    """

    same: bool
    before: int
    removed: int
    after: int
    inserted: int


@dataclass(frozen=True, slots=True)
class Shift:
    """Rows that were inserted or removed; `y` is where, in px of the later image."""

    kind: Literal["inserted", "removed"]
    y: int
    rows: int


def align(before: Pixels, after: Pixels, top: int = 0, bottom: int = 0) -> list[Stretch]:
    """Divide two images of one width into stretches of rows, from top to bottom, covering both.

    The first `top` and the last `bottom` rows are known to be equal.
    """
    end_old, end_new = len(before) - bottom, len(after) - bottom
    old = list(map(xxhash.xxh3_64_intdigest, before[top:end_old]))
    new = list(map(xxhash.xxh3_64_intdigest, after[top:end_new]))
    between = [(i + top, j + top, count) for i, j, count in _matches(old, new)]
    stretches: list[Stretch] = []
    i = j = 0
    for start_old, start_new, count in [(0, 0, top), *between, (end_old, end_new, bottom)]:
        if (start_old, start_new) != (i, j):
            stretches.append(Stretch(False, i, start_old - i, j, start_new - j))
        if count:
            stretches.append(Stretch(True, start_old, count, start_new, count))
        i, j = start_old + count, start_new + count
    return stretches


def shifts_of(stretches: Sequence[Stretch]) -> Iterator[Shift]:
    """What was inserted or removed in the stretches of an alignment, from top to bottom."""
    for stretch in stretches:
        extra = stretch.inserted - stretch.removed
        if extra > 0:
            yield Shift("inserted", stretch.after + stretch.removed, extra)
        elif extra < 0:
            yield Shift("removed", stretch.after + stretch.inserted, -extra)


def _matches(old: list[int], new: list[int]) -> list[tuple[int, int, int]]:
    """Equal runs (row in old, row in new, count), increasing in both."""
    top = 0
    while top < min(len(old), len(new)) and old[top] == new[top]:
        top += 1
    bottom = 0
    while bottom < min(len(old), len(new)) - top and old[-1 - bottom] == new[-1 - bottom]:
        bottom += 1
    end_old, end_new = len(old) - bottom, len(new) - bottom

    runs = [(0, 0, top)] if top else []
    i = j = top
    for anchor_old, anchor_new in _anchors(old[top:end_old], new[top:end_new]):
        row_old, row_new = anchor_old + top, anchor_new + top
        if row_old < i or row_new < j:
            continue  # inside the run before
        first = 0
        while (
            row_old - first > i
            and row_new - first > j
            and old[row_old - first - 1] == new[row_new - first - 1]
        ):
            first += 1
        last = 1
        while (
            row_old + last < end_old
            and row_new + last < end_new
            and old[row_old + last] == new[row_new + last]
        ):
            last += 1
        runs.append((row_old - first, row_new - first, first + last))
        i, j = row_old + last, row_new + last
    return [*runs, (end_old, end_new, bottom)] if bottom else runs


def _anchors(old: list[int], new: list[int]) -> list[tuple[int, int]]:
    """Rows that occur once in both, in the longest order that increases in both."""
    count_old, count_new = Counter(old), Counter(new)
    place = {row: i for i, row in enumerate(new)}
    pairs = [(i, place[row]) for i, row in enumerate(old) if count_old[row] == 1 == count_new[row]]
    ends: list[int] = []  # of the best order of each length, its last row in new
    owner: list[int] = []  # and which pair that is
    previous: list[int] = []
    for index, (_, row_new) in enumerate(pairs):
        length = bisect_left(ends, row_new)
        previous.append(owner[length - 1] if length else -1)
        ends[length : length + 1] = [row_new]
        owner[length : length + 1] = [index]
    chain: list[tuple[int, int]] = []
    index = owner[-1] if owner else -1
    while index >= 0:
        chain.append(pairs[index])
        index = previous[index]
    return chain[::-1]
