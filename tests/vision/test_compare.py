"""Two images to a count: pixelmatch's, whatever was skipped on the way; and broken images to words."""

import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as Pillow
from PIL import ImageDraw
from pybind11_pixelmatch import Options as PixelmatchOptions
from pybind11_pixelmatch import pixelmatch

from server.vision.align import Shift, align
from server.vision.compare import Difference, ImageError, Options, compare, regions_between
from server.vision.page import Box


def png(pixels: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    picture = pixels if isinstance(pixels, Pillow.Image) else Pillow.fromarray(pixels)
    picture.save(file, "PNG", **options)
    return file.getvalue()


def page(height: int = 600, *, banner: int = 0, word: str = "fox", nudge: float = 0, width: int = 400) -> Any:
    """A page of text lines; a banner on top, another word in one line, or a line moved by part of a px."""
    picture = Pillow.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    for line, y in enumerate(range(10, height - 20, 20)):
        text = f"{line}: the quick brown {word if line == 7 else 'fox'}"
        pen.text((10 + (nudge if line == 3 else 0), y), text, fill="black")
    return np.concatenate([np.full((banner, width, 3), (200, 30, 30), np.uint8), np.array(picture)])


def dot(x: int, y: int, size: int = 10, colour: str = "red") -> Any:
    picture = Pillow.fromarray(page())
    ImageDraw.Draw(picture).rectangle((x, y, x + size - 1, y + size - 1), fill=colour)
    return np.array(picture)


def reference(before: Any, after: Any, options: Options) -> int:
    """What pixelmatch itself counts over the whole images."""
    judge = PixelmatchOptions()
    judge.threshold, judge.includeAA = options.threshold, options.antialiasing
    opaque = [np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]) for image in (before, after)]
    return int(pixelmatch(*map(np.ascontiguousarray, opaque), options=judge))


PLAIN = Options()
STRICT = Options(threshold=0.0, antialiasing=True)
TABLE = [
    ("same pixels", page(), page(), PLAIN, 0),
    ("a red dot", page(), dot(300, 300), PLAIN, 100),
    ("ignored", page(), dot(300, 300), Options(ignore=(Box(300, 300, 10, 10),)), 0),
    ("half ignored", page(), dot(300, 300), Options(ignore=(Box(305, 300, 500, 500),)), 50),
    ("ignored off the edge", page(), dot(300, 300), Options(ignore=(Box(-50, -50, 20, 20),)), 100),
    ("too faint", page(), dot(300, 300, colour="#fdfdfd"), PLAIN, 0),
    ("faint but strict", page(), dot(300, 300, colour="#fdfdfd"), STRICT, 100),
    ("40 rows inserted", page(), page(banner=40), PLAIN, 40 * 400),
    ("40 rows removed", page(banner=40), page(), PLAIN, 40 * 400),
    ("10 columns more", page()[:, :390], page(), PLAIN, 10 * 600),
    ("columns and rows", page()[:500, :390], page(), PLAIN, 10 * 500 + 100 * 400),
    (
        "nothing shared",
        np.zeros((5, 7, 3), np.uint8),
        np.full((7, 5, 3), 255, np.uint8),
        PLAIN,
        5 * 5 + 2 * 5 + 2 * 7,
    ),
]


@pytest.mark.parametrize(
    ("before", "after", "options", "count"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_it_counts_what_changed(before: Any, after: Any, options: Options, count: int) -> None:
    difference = compare(png(before), png(after, compress_level=1), options)

    assert difference.changed_pixels == count
    assert difference.equal == (count == 0)


@pytest.mark.parametrize("options", [PLAIN, STRICT, Options(threshold=0.3), Options(antialiasing=True)])
@pytest.mark.parametrize("after", [page(word="cat"), page(nudge=0.5), dot(5, 126), dot(395, 0), 255 - page()])
def test_the_count_is_pixelmatchs_on_whole_images(after: Any, options: Options) -> None:
    assert compare(png(page()), png(after), options).changed_pixels == reference(page(), after, options)


def test_equal_bytes_are_never_decoded() -> None:
    damaged = png(page())[:200]

    assert compare(damaged, damaged).equal


def test_tolerances() -> None:
    before, after = png(page()), png(dot(300, 300))

    assert not compare(before, after, Options(max_diff_pixels=99)).equal
    assert compare(before, after, Options(max_diff_pixels=100)).equal
    assert not compare(before, after, Options(max_diff_ratio=99 / 240_000)).equal
    assert compare(before, after, Options(max_diff_ratio=100 / 240_000)).equal


@pytest.mark.parametrize(
    ("before", "after", "shifts", "words"),
    [
        (page(), page(), (), "The images are the same."),
        (page(), page(nudge=0.5), (), "region changed"),
        (page(), dot(20, 20), (), "One region changed, 10x10 px at the top left (20, 20): 100 pixels, 0.04%"),
        (page(), page(banner=40), (Shift("inserted", 0, 40),), "40 px taller; 40 rows inserted at the top"),
        (page(banner=40), page(), (Shift("removed", 0, 40),), "40 px shorter; 40 rows removed at the top"),
        (page(), page()[:400], (Shift("removed", 400, 200),), "200 rows removed at the bottom"),
        (
            page(),
            np.concatenate([dot(300, 20)[:100], page()[100:200], page()[230:]]),
            (Shift("removed", 200, 30),),
            "30 rows removed at y = 200; one region changed, 10x10 px at the top right",
        ),
        (page(), page()[:, :300], (), "100 px narrower"),
    ],
)
def test_it_says_what_differs_in_a_sentence(before: Any, after: Any, shifts: Any, words: str) -> None:
    difference = compare(png(before), png(after, compress_level=1))

    assert difference.shifts == shifts
    assert words in difference.sentence


def test_only_antialiasing_is_said() -> None:
    edges = []
    for shade in (90, 170):
        edge = np.full((40, 40, 3), 255, np.uint8)
        edge[:, :20], edge[:, 20] = 0, shade
        edges.append(png(edge))
    difference = compare(*edges)

    assert (difference.changed_pixels, difference.antialiased_pixels) == (0, 40)
    assert "Only anti-aliasing differs" in difference.sentence


def test_regions_are_tight_apart_and_largest_first() -> None:
    after = dot(50, 50, 10)
    after[300:340, 300:340] = (0, 0, 255)
    after[310:320, 350:360] = (0, 0, 255)  # near: the same region

    assert compare(png(page()), png(after)).regions == (Box(300, 300, 60, 40), Box(50, 50, 10, 10))
    assert regions_between(png(page()), png(after))[1] == Box(50, 50, 10, 10)


def test_regions_are_bounded() -> None:
    after = page()
    after[::30, ::30] = (0, 255, 0)

    assert len(compare(png(page()), png(after)).regions) == 50


def test_the_picture_shows_changes_and_bands() -> None:
    drawn = np.array(Pillow.open(io.BytesIO(compare(png(page()), png(dot(300, 300))).image())))
    taller = np.array(Pillow.open(io.BytesIO(compare(png(page()), png(page(banner=40))).image())))
    shorter = np.array(Pillow.open(io.BytesIO(compare(png(page(banner=40)), png(page())).image())))

    assert (drawn[305, 305] == (230, 0, 200)).all()
    assert drawn.shape == (600, 400, 3)
    assert taller.shape == shorter.shape == (640, 400, 3)
    assert (taller[:40].std(axis=(0, 1)) > 0).any()  # striped
    assert int(np.count_nonzero((drawn == (230, 0, 200)).all(axis=2))) == 100


def test_equal_files_have_no_picture() -> None:
    with pytest.raises(ValueError, match="no difference to draw"):
        compare(png(page()), png(page())).image()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "I;16", "RGBA"])
def test_every_kind_of_png_is_read(mode: str) -> None:
    black_and_white = Pillow.fromarray(page()).convert("1")
    if mode == "I;16":
        other = Pillow.fromarray(np.array(black_and_white, np.uint16) * 65535)
    else:
        other = black_and_white.convert("RGB").convert(mode)

    assert compare(png(black_and_white.convert("RGB")), png(other)).changed_pixels == 0


def test_what_is_translucent_is_laid_on_white() -> None:
    clear = Pillow.new("RGBA", (20, 20), (255, 0, 0, 0))
    half = Pillow.new("RGBA", (20, 20), (0, 0, 0, 128))
    palette = Pillow.new("P", (20, 20), 0)

    assert compare(png(clear), png(Pillow.new("RGB", (20, 20), "white"))).equal
    assert compare(png(half), png(Pillow.new("RGB", (20, 20), (127, 127, 127))), STRICT).equal
    assert compare(png(palette, transparency=0), png(Pillow.new("RGB", (20, 20), "white"))).equal


def header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


GOOD = png(page())


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"", "empty"),
        (b"hello, I am a text" * 10, "not a PNG"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "not a PNG"),
        (GOOD[:20], "not a PNG"),
        (GOOD[: len(GOOD) // 2], "damaged"),
        (GOOD[:60], "damaged"),
        (GOOD[:300] + bytes([GOOD[300] ^ 255]) + GOOD[301:], "damaged"),
        (header(0, 10) + bytes(40), "no area"),
        (header(60000, 60000) + bytes(40), "too large: 60000x60000"),
        (header(9000, 9000) + GOOD[33:], "damaged"),
        (header(400, 600, depth=7) + GOOD[33:], "damaged"),
        (header(400, 600, colour=5) + GOOD[33:], "damaged"),
    ],
)
def test_a_broken_image_is_told_in_words(bad: bytes, words: str) -> None:
    for pair, which in (((bad, GOOD), "baseline"), ((GOOD, bad), "captured image")):
        with pytest.raises(ImageError, match=words) as caught:
            compare(*pair)
        assert which in str(caught.value)


def test_a_huge_header_costs_no_memory() -> None:
    tracemalloc.start()
    with pytest.raises(ImageError):
        compare(header(60000, 60000) + bytes(40), GOOD)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


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


def test_a_difference_knows_both_sizes() -> None:
    difference: Difference = compare(png(page()), png(page(banner=40)))

    assert (difference.size_before, difference.size_after) == ((400, 600), (400, 640))
    assert difference.ratio == pytest.approx(40 / 640)
