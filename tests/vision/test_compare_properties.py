"""What holds of any two images."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from server.vision.align import align
from server.vision.compare import Difference, Options, compare
from server.vision.page import Box
from tests.vision.images import PLAIN, STRICT, page, png

small = arrays(
    np.uint8,
    st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)),
    elements=st.sampled_from([0, 90, 255]),
)
pairs = st.integers(1, 14).flatmap(
    lambda size: st.tuples(
        *[arrays(np.uint8, (size, 9, 3), elements=st.sampled_from([0, 128, 140, 255]))] * 2
    )
)
boxes = st.builds(Box, *[st.integers(-3, 14)] * 2, *[st.integers(0, 14)] * 2)


def count(before: Any, after: Any, options: Options = PLAIN) -> int:
    return compare(png(before), png(after, compress_level=0), options).changed_pixels


@settings(max_examples=60, deadline=None)
@given(small)
def test_an_image_is_equal_to_itself(image: Any) -> None:
    assert count(image, image, STRICT) == 0


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_the_order_does_not_matter(pair: tuple[Any, Any]) -> None:
    assert count(*pair) == count(*pair[::-1])


@settings(max_examples=60, deadline=None)
@given(pairs, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_threshold_never_counts_more(pair: tuple[Any, Any], one: float, two: float) -> None:
    low, high = sorted((one, two))
    assert count(*pair, Options(threshold=high)) <= count(*pair, Options(threshold=low))


@settings(max_examples=60, deadline=None)
@given(pairs, st.lists(boxes, max_size=3))
def test_what_is_ignored_is_ignored(pair: tuple[Any, Any], ignore: list[Box]) -> None:
    before, after = pair
    for box in ignore:
        place = (
            slice(max(0, box.y), max(0, box.y + box.height)),
            slice(max(0, box.x), max(0, box.x + box.width)),
        )
        after[place] = before[place] ^ 255
        before = before.copy()
    inside = np.zeros(before.shape[:2], bool)
    for box in ignore:
        inside[max(0, box.y) : max(0, box.y + box.height), max(0, box.x) : max(0, box.x + box.width)] = True
    outside = int(np.count_nonzero((before != after).any(axis=2) & ~inside))

    assert count(before, after, Options(threshold=0, antialiasing=True, ignore=tuple(ignore))) == outside


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=40), st.lists(st.integers(0, 6), max_size=40))
def test_an_alignment_covers_both_images_and_tells_the_truth(old: list[int], new: list[int]) -> None:
    before, after = (np.array(rows, np.uint8).reshape(-1, 1, 1) for rows in (old, new))
    i = j = 0
    for stretch in align(before, after):
        assert (stretch.before, stretch.after) == (i, j)
        i, j = i + stretch.removed, j + stretch.inserted
        if stretch.same:
            assert (before[stretch.before : i] == after[stretch.after : j]).all()
    assert (i, j) == (len(old), len(new))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=30), st.lists(st.integers(0, 4), min_size=1, max_size=30)
)
def test_of_aligned_rows_only_what_differs_is_changed(old: list[int], new: list[int]) -> None:
    before, after = (
        np.repeat(np.array(rows, np.uint8)[:, np.newaxis, np.newaxis] * 60, 3, axis=2) for rows in (old, new)
    )
    if len(old) == len(new):
        after = np.concatenate([after, before[:1]])
    expected = 0
    for stretch in align(before, after):
        paired = min(stretch.removed, stretch.inserted)
        there, here = (
            image[start : start + paired]
            for image, start in ((before, stretch.before), (after, stretch.after))
        )
        expected += int((there != here).any(axis=(1, 2)).sum()) + abs(stretch.removed - stretch.inserted)

    assert count(before, after, STRICT) == expected


def test_a_difference_knows_both_sizes() -> None:
    difference: Difference = compare(png(page()), png(page(banner=40)))

    assert (difference.size_before, difference.size_after) == ((400, 600), (400, 640))
    assert difference.ratio == pytest.approx(40 / 640)
