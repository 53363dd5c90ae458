"""Two screenshots to a verdict: how many pixels changed, where, and in one sentence.

Colour distance and the anti-aliasing rule are pixelmatch's, and so are the counts (Kotsarenko and
Ramos 2010; Vysniauskas 2009); equal rows are skipped first. Reading PNG is `png.py`'s, finding
inserted rows `align.py`'s, the places `regions.py`'s, the words `wording.py`'s, the picture for people `drawing.py`'s.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pybind11_pixelmatch import Color, pixelmatch
from pybind11_pixelmatch import Options as PixelmatchOptions

from server.vision import drawing, png, wording
from server.vision.align import Shift, Stretch, align, shifts_of
from server.vision.page import Box
from server.vision.png import ImageError, Pixels
from server.vision.regions import regions_of

__all__ = ["Difference", "ImageError", "Options", "Shift", "compare", "regions_between"]

BLOCK_ROWS = 128
MARGIN_ROWS = 2  # how far the anti-aliasing rule looks
FEW_ROWS = 24  # so few differing rows are not worth an alignment
EQUAL, ANTIALIASED, CHANGED = 0, 1, 2
Marks = NDArray[np.uint8]  # one of the three for each pixel of the actual image


@dataclass(frozen=True, slots=True)
class Options:
    """How two images are compared.

    `threshold` is pixelmatch's, from 0 (every difference counts) to 1. `antialiasing` says whether
    anti-aliased pixels count. `ignore` are boxes in image px whose content is never looked at, in
    either image. The images are equal with at most `max_diff_pixels` changed pixels, or at most
    `max_diff_ratio` of all. Larger images than `max_megapixels` are refused.
    """

    threshold: float = 0.1
    antialiasing: bool = False
    ignore: tuple[Box, ...] = ()
    max_diff_pixels: int = 0
    max_diff_ratio: float = 0.0
    max_megapixels: float = 100.0


@dataclass(frozen=True, slots=True)
class Drawable:
    """What a difference keeps so that it can be drawn later."""

    before: Pixels
    after: Pixels
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

    def image(self) -> bytes:
        """Draw the difference for people, as PNG; raises ValueError where the files are equal.

        The actual image in grey, changes magenta, anti-aliasing yellow, inserted rows striped green,
        removed rows (where they were) striped red: it is higher than the actual image by the latter.
        """
        if self._drawable is None:
            raise ValueError("equal files have no difference to draw")
        what = self._drawable
        return png.encode(
            drawing.draw(
                what.before, what.after, what.stretches, what.marks == CHANGED, what.marks == ANTIALIASED
            )
        )


def compare(baseline: bytes, actual: bytes, options: Options | None = None) -> Difference:
    """Compare two PNG images; raises ImageError where one cannot be read.

    Different sizes are compared on what they share, rows aligned; what only one has counts as changed.
    """
    options = options or Options()
    with _naming("baseline"):
        size_before = png.size(baseline, options.max_megapixels)
    with _naming("captured image"):
        size_after = png.size(actual, options.max_megapixels)
    if baseline == actual:
        return Difference(True, 0, 0, 0.0, (), size_before, size_after, (), wording.SAME)
    before, after = _decode_both(baseline, actual, options)
    stretches = _stretches(before, after)
    shifts = tuple(shifts_of(stretches))
    marks = _marks(before, after, stretches, options)

    width, shared = max(size_before[0], size_after[0]), min(size_before[0], size_after[0])
    rows = sum(max(stretch.removed, stretch.inserted) for stretch in stretches)
    unpaired = sum(shift.rows for shift in shifts)
    changed = (
        int(np.count_nonzero(marks == CHANGED)) + unpaired * width + (rows - unpaired) * (width - shared)
    )
    antialiased = int(np.count_nonzero(marks == ANTIALIASED))
    ratio = changed / (width * rows)
    regions = regions_of(marks == CHANGED, shifts, size_before, size_after)
    return Difference(
        equal=changed <= options.max_diff_pixels or ratio <= options.max_diff_ratio,
        changed_pixels=changed,
        antialiased_pixels=antialiased,
        ratio=ratio,
        regions=regions,
        size_before=size_before,
        size_after=size_after,
        shifts=shifts,
        sentence=wording.sentence(changed, antialiased, ratio, regions, size_before, size_after, shifts),
        _drawable=Drawable(before, after, tuple(stretches), marks),
    )


def regions_between(first: bytes, second: bytes) -> tuple[Box, ...]:
    """Where two shots of one page differ, in image px, largest first; every difference counts."""
    return compare(first, second, Options(threshold=0.0, antialiasing=True)).regions


def _decode_both(baseline: bytes, actual: bytes, options: Options) -> tuple[Pixels, Pixels]:
    """Decode side by side (the decoder lets go of the interpreter) and blank what is ignored."""
    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(png.decode, baseline, options.max_megapixels)
        with _naming("captured image"):
            after = png.decode(actual, options.max_megapixels)
        with _naming("baseline"):
            before = other.result()
    for box in options.ignore:
        for pixels in (before, after):
            pixels[max(0, box.y) : max(0, box.y + box.height), max(0, box.x) : max(0, box.x + box.width)] = 0
    return before, after


@contextmanager
def _naming(which: str) -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise ImageError(f"the {which} cannot be compared: {error}") from error


def _stretches(before: Pixels, after: Pixels) -> list[Stretch]:
    """Row for row where few rows differ or an alignment explains no more, else aligned."""
    width, height = min(before.shape[1], after.shape[1]), min(len(before), len(after))
    differing = sum(
        stop - start for start, stop in _differing(before[:height, :width], after[:height, :width])
    )
    if differing <= FEW_ROWS and len(before) == len(after):
        return [Stretch(False, 0, height, 0, height)]
    aligned = align(before[:, :width], after[:, :width])
    unlike = sum(max(stretch.removed, stretch.inserted) for stretch in aligned if not stretch.same)
    if len(before) == len(after) and unlike > differing / 2:
        return [Stretch(False, 0, height, 0, height)]
    return aligned


def _marks(before: Pixels, after: Pixels, stretches: Sequence[Stretch], options: Options) -> Marks:
    """Judge every pixel that both images have."""
    judge = PixelmatchOptions()
    judge.threshold, judge.includeAA = options.threshold, options.antialiasing
    judge.diffColor, judge.aaColor = Color(255, 0, 255, 255), Color(255, 255, 0, 255)
    marks = np.zeros(after.shape[:2], np.uint8)
    width = min(before.shape[1], after.shape[1])
    for stretch in stretches:
        rows = 0 if stretch.same else min(stretch.removed, stretch.inserted)
        old = before[stretch.before : stretch.before + rows, :width]
        new = after[stretch.after : stretch.after + rows, :width]
        for start, stop in _differing(old, new):
            place = slice(stretch.after + start, stretch.after + stop)
            marks[place, :width] = _judged(old, new, start, stop, judge)
    return marks


def _differing(old: Pixels, new: Pixels) -> Iterator[tuple[int, int]]:
    """Row ranges, at most BLOCK_ROWS long, outside of which two images of one shape are equal."""
    for top in range(0, len(old), BLOCK_ROWS):
        one, two = old[top : top + BLOCK_ROWS], new[top : top + BLOCK_ROWS]
        if not np.array_equal(*_words(one, two)):
            rows = np.flatnonzero((one != two).any(axis=(1, 2)))
            yield top + int(rows[0]), top + int(rows[-1]) + 1


def _words(one: Pixels, two: Pixels) -> tuple[NDArray[Any], NDArray[Any]]:
    """The same bytes, eight at a time where they lie so: the comparison is that much shorter."""
    if one.flags.c_contiguous and two.flags.c_contiguous and one.size % 8 == 0:
        return one.reshape(-1).view(np.uint64), two.reshape(-1).view(np.uint64)
    return one, two


def _judged(old: Pixels, new: Pixels, start: int, stop: int, judge: PixelmatchOptions) -> Marks:
    """Pixelmatch's marks for rows `start` to `stop`, given the rows around them that its rule looks at."""
    top, bottom = max(0, start - MARGIN_ROWS), min(len(old), stop + MARGIN_ROWS)
    one, two = (_opaque(image[top:bottom]) for image in (old, new))
    drawn = np.zeros_like(one)
    pixelmatch(one, two, output=drawn, options=judge)
    red, green, blue = np.moveaxis(drawn[start - top : stop - top, :, :3], 2, 0)
    # Whatever is neither of the two colours is drawn grey.
    return np.where(red > green, CHANGED, np.where(green > blue, ANTIALIASED, EQUAL)).astype(np.uint8)


def _opaque(rgb: Pixels) -> Pixels:
    rgba = np.full((*rgb.shape[:2], 4), 255, np.uint8)
    rgba[..., :3] = rgb
    return rgba
