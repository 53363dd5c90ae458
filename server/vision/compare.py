"""Two screenshots to a verdict: how many pixels changed, where, and in one sentence.

Reading PNG is `png.py`'s, finding inserted rows `align.py`'s, judging pixels `marks.py`'s, the places
`regions.py`'s, the words `wording.py`'s, the pictures for people `drawing.py`'s and `thumbnail.py`'s, recognising
the same change elsewhere `fingerprint.py`'s.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from server.vision import drawing, embedded, png, thumbnail, wording
from server.vision.align import Shift, Stretch, align, shifts_of
from server.vision.fingerprint import fingerprint
from server.vision.marks import ANTIALIASED, CHANGED, MARGIN_PX, Marks, differing, marks_of
from server.vision.page import Box
from server.vision.png import ImageError, Picture, Pixels
from server.vision.regions import regions_of

__all__ = ["Difference", "ImageError", "Options", "Picture", "Shift", "compare", "regions_between"]

FEW_ROWS = 24  # so few differing rows are not worth an alignment


@dataclass(frozen=True, slots=True)
class Options:
    """How two images are compared.

    `threshold` is pixelmatch's, from 0 (every difference counts) to 1. `antialiasing` says whether
    anti-aliased pixels count. `ignore` are boxes in image px whose content is never looked at, in
    either image. The images are equal with at most `max_diff_pixels` changed pixels, or at most
    `max_diff_ratio` of all. With `align`, rows that were inserted or removed are found, and what stands
    below them is compared with what it was; without, rows are compared with those at the same height.
    Larger images than `max_megapixels` are refused.
    """

    threshold: float = 0.1
    antialiasing: bool = False
    ignore: tuple[Box, ...] = ()
    max_diff_pixels: int = 0
    max_diff_ratio: float = 0.0
    align: bool = True
    max_megapixels: float = 100.0


@dataclass(frozen=True, slots=True)
class Drawable:
    """What a difference keeps so that it can be drawn later."""

    before: Picture
    after: Picture
    stretches: tuple[Stretch, ...]
    marks: Marks


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between a baseline and an actual image; boxes are px of the actual one.

    `ratio` is changed pixels over all, inserted and removed ones included. `regions` are the largest,
    at most 50, largest first. Sizes are (width, height). `sentence` is for a person.
    """

    equal: bool
    changed_pixels: int
    antialiased_pixels: int
    ratio: float
    regions: tuple[Box, ...]
    size_before: tuple[int, int]
    size_after: tuple[int, int]
    shifts: tuple[Shift, ...]
    sentence: str
    _drawable: Drawable | None = field(default=None, repr=False, compare=False)

    @property
    def fingerprint(self) -> str | None:
        """What changed, wherever it stands, in 64 hexadecimal digits; None where nothing did.

        The same change on many pages has one fingerprint. Worked out when asked for.
        """
        if self._drawable is None:
            return None
        what = self._drawable
        return fingerprint(what.before.pixels(), what.after.pixels(), what.stretches, what.marks == CHANGED)

    def image(self) -> bytes:
        """Draw the difference for people, as PNG; raises ValueError where the files are equal.

        The actual image in grey, changes magenta, anti-aliasing yellow, inserted rows striped green,
        removed rows (where they were) striped red: it is higher than the actual image by the latter.
        Inside it (`embedded`) lies a small picture of the largest region as it was and as it is.
        """
        if self._drawable is None:
            raise ValueError("equal files have no difference to draw")
        what = self._drawable
        before, after = what.before.pixels(), what.after.pixels()
        drawn = png.encode(
            drawing.draw(before, after, what.stretches, what.marks == CHANGED, what.marks == ANTIALIASED)
        )
        if not self.regions:
            return drawn
        small = thumbnail.draw(before, after, what.stretches, self.regions[0])
        return embedded.put(drawn, png.encode(small))


def compare(
    baseline: bytes | Path, actual: bytes | Path | Picture, options: Options | None = None
) -> Difference:
    """Compare two PNG images, or files; raises ImageError where one cannot be read, OSError where a file cannot.

    Different sizes are compared on what they share; what only one image has counts as changed. An image that is
    compared with several is decoded once as a `Picture`.
    """
    options = options or Options()
    old, new = _picture(baseline), _picture(actual)
    with _naming("baseline"):
        size_before = png.size(old.png, options.max_megapixels)
    with _naming("captured image"):
        size_after = png.size(new.png, options.max_megapixels)
    if old.png == new.png:
        return Difference(True, 0, 0, 0.0, (), size_before, size_after, (), wording.unchanged())
    _inflate_both(old, new, options.max_megapixels)
    if options.ignore:
        old, new = old.without(options.ignore), new.without(options.ignore)
    before, after, top, bottom = png.pixels_where_unlike(old, new, MARGIN_PX)
    stretches = _stretches(before, after, top, bottom, options.align)
    shifts = tuple(shifts_of(stretches))
    marks = marks_of(before, after, stretches, options.threshold, options.antialiasing)

    width, shared = max(size_before[0], size_after[0]), min(size_before[0], size_after[0])
    rows = sum(max(stretch.removed, stretch.inserted) for stretch in stretches)
    unpaired = sum(shift.rows for shift in shifts)
    top, looked_at = _looked_at(stretches, marks)
    changed = int(np.count_nonzero(looked_at == CHANGED))
    changed += unpaired * width + (rows - unpaired) * (width - shared)
    antialiased = int(np.count_nonzero(looked_at == ANTIALIASED))
    ratio = changed / (width * rows)
    regions = regions_of(looked_at == CHANGED, top, shifts, size_before, size_after)
    if changed:
        sentence = wording.sentence(changed, ratio, regions, size_before, size_after, shifts)
    else:
        sentence = wording.unchanged(antialiased, same=all(stretch.same for stretch in stretches))
    return Difference(
        equal=changed <= options.max_diff_pixels or ratio <= options.max_diff_ratio,
        changed_pixels=changed,
        antialiased_pixels=antialiased,
        ratio=ratio,
        regions=regions,
        size_before=size_before,
        size_after=size_after,
        shifts=shifts,
        sentence=sentence,
        _drawable=Drawable(old, new, tuple(stretches), marks),
    )


def regions_between(first: bytes, second: bytes) -> tuple[Box, ...]:
    """Where two shots of one page differ, in image px, largest first; every difference counts."""
    return compare(first, second, Options(threshold=0.0, antialiasing=True)).regions


def _picture(image: bytes | Path | Picture) -> Picture:
    if isinstance(image, Picture):
        return image
    return Picture(image.read_bytes() if isinstance(image, Path) else image)


def _inflate_both(old: Picture, new: Picture, max_megapixels: float) -> None:
    """Decompress side by side: it lets go of the interpreter."""
    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(old.inflate, max_megapixels)
        with _naming("captured image"):
            new.inflate(max_megapixels)
        with _naming("baseline"):
            other.result()


@contextmanager
def _naming(which: str) -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise ImageError(f"the {which} cannot be compared: {error}") from error


def _stretches(before: Pixels, after: Pixels, top: int, bottom: int, aligning: bool) -> list[Stretch]:
    """Row for row where few rows differ or an alignment explains no more, else aligned.

    Of the rows that both images have, those before `top` and from `bottom` on are equal.
    """
    width, height = min(before.shape[1], after.shape[1]), min(len(before), len(after))
    same_height = len(before) == len(after)
    found = list(differing(before[top:bottom, :width], after[top:bottom, :width]))
    first, last = (top + found[0].y, top + found[-1].y + found[-1].height) if found else (height, height)
    rows = sum(box.height for box in found)
    if not aligning or (same_height and rows <= FEW_ROWS):
        return _row_for_row(before, after, first, last)
    aligned = align(before[:, :width], after[:, :width], first, height - last if same_height else 0)
    unlike = sum(max(stretch.removed, stretch.inserted) for stretch in aligned if not stretch.same)
    return _row_for_row(before, after, first, last) if same_height and unlike > rows / 2 else aligned


def _looked_at(stretches: list[Stretch], marks: Marks) -> tuple[int, Marks]:
    """The marks of the rows that are not known to be the same, and what is between these; and which row is the first."""
    judged = [stretch for stretch in stretches if not stretch.same]
    if not judged:
        return 0, marks[:0]
    return judged[0].after, marks[judged[0].after : judged[-1].after + judged[-1].inserted]


def _row_for_row(before: Pixels, after: Pixels, first: int, last: int) -> list[Stretch]:
    """Rows with those at the same height, of which all that differ are from `first` to `last`; the rest is same."""
    height = min(len(before), len(after))
    end = last if len(before) == len(after) else height
    stretches = [
        Stretch(True, 0, first, 0, first),
        Stretch(False, first, len(before) - height + end - first, first, len(after) - height + end - first),
        Stretch(True, end, height - end, end, height - end),
    ]
    return [stretch for stretch in stretches if stretch.removed or stretch.inserted]
