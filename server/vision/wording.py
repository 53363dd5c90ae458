"""A difference in one sentence for a person: size, inserted and removed rows, regions and their place."""

from collections.abc import Iterator, Sequence

from server.vision.align import Shift
from server.vision.page import Box
from server.vision.regions import MOST_REGIONS


def unchanged(antialiased: int = 0, same: bool = True) -> str:
    """Say that nothing counts: how many pixels are only anti-aliased otherwise, and whether all others are the same."""
    if antialiased:
        return f"Only anti-aliasing differs ({_pixels(antialiased)})."
    return "The images are the same." if same else "Only faint differences, below the threshold."


def sentence(
    changed: int,
    ratio: float,
    regions: Sequence[Box],
    size_before: tuple[int, int],
    size_after: tuple[int, int],
    shifts: Sequence[Shift],
) -> str:
    """Say what changed; sizes are (width, height) in px, regions largest first, at most MOST_REGIONS."""
    parts = [*_size(size_before, size_after), *_shifted(shifts, size_after[1])]
    if islands := _islands(regions, size_before, size_after, shifts):
        largest = islands[0]
        where = f"{largest.width}x{largest.height} px {_place(largest, size_after)}"
        count = how_many(len(islands), len(regions))
        parts.append(
            f"{count} changed, {where}" if len(islands) == 1 else f"{count} changed, the largest {where}"
        )
    text = "; ".join(parts) + f": {_pixels(changed)}, {_percent(ratio)} of the image."
    return text[0].upper() + text[1:]


def how_many(shown: int, found: int) -> str:
    """A number of regions; of those found MOST_REGIONS are kept, so there may be more."""
    count = "one region" if shown == 1 else f"{shown} regions"
    return f"at least {count}" if found >= MOST_REGIONS else count


def _size(before: tuple[int, int], after: tuple[int, int]) -> Iterator[str]:
    for change, more, less in (
        (after[0] - before[0], "wider", "narrower"),
        (after[1] - before[1], "taller", "shorter"),
    ):
        if change:
            yield f"{abs(change)} px {more if change > 0 else less}"


def _shifted(shifts: Sequence[Shift], height: int) -> Iterator[str]:
    for shift in shifts[:3]:
        if shift.y == 0:
            where = "at the top"
        elif shift.y + (shift.rows if shift.kind == "inserted" else 0) >= height:
            where = "at the bottom"
        else:
            where = f"at y = {shift.y}"
        yield f"{shift.rows} row{'s' if shift.rows > 1 else ''} {shift.kind} {where}"
    if len(shifts) > 3:
        yield f"rows inserted or removed at {len(shifts) - 3} more places"


def _islands(
    regions: Sequence[Box], before: tuple[int, int], after: tuple[int, int], shifts: Sequence[Shift]
) -> list[Box]:
    """The regions that neither a shift nor a change of width has told already."""
    told = {(0, min(shift.y, after[1] - 1), after[0]) for shift in shifts}
    return [
        box
        for box in regions
        if (box.x, box.y, box.width) not in told and not (before[0] != after[0] and box.height == after[1])
    ]


def _place(box: Box, size: tuple[int, int]) -> str:
    across = ("left", "", "right")[min(2, 3 * (box.x + box.width // 2) // size[0])]
    down = ("top", "", "bottom")[min(2, 3 * (box.y + box.height // 2) // size[1])]
    if box.width * 2 > size[0]:
        across = ""
        if box.height * 2 > size[1]:
            return "over most of the image"
    where = " ".join(filter(None, (down, across)))
    return f"at the {where} ({box.x}, {box.y})" if where else f"in the middle ({box.x}, {box.y})"


def _pixels(count: int) -> str:
    return "one pixel" if count == 1 else f"{count:,} pixels"


def _percent(ratio: float) -> str:
    return f"{ratio:.2%}" if ratio >= 0.0001 else "less than 0.01%"
