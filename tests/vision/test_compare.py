"""Two images to a count: pixelmatch's, whatever was skipped on the way; to words, regions and a picture."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from server.vision import png as pngs
from server.vision.align import Shift
from server.vision.compare import Options, Picture, compare, regions_between
from server.vision.page import Box
from tests.vision.images import PLAIN, STRICT, dot, page, png, reference

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
    ("any colour will do", np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 255, np.uint8), Options(1.0), 0),
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


def test_rows_are_aligned_only_where_asked() -> None:
    before, after = page(), page(banner=40)
    same_height = after[:600]
    difference = compare(png(before), png(after), Options(align=False))

    assert difference.shifts == (Shift("inserted", 600, 40),)
    assert difference.changed_pixels == 40 * 400 + reference(before, same_height, PLAIN)
    assert compare(png(before), png(same_height), Options(align=False)).shifts == ()
    dotted = compare(png(dot(20, 20)[:500]), png(before), Options(align=False))
    assert (dotted.shifts, dotted.changed_pixels) == ((Shift("inserted", 500, 100),), 100 + 100 * 400)
    assert compare(png(before), png(same_height)).shifts[0] == Shift("inserted", 0, 40)


def test_smoothing_beside_moved_rows_is_judged_with_the_rows_around_it() -> None:
    smooth, smoother = page(), page()
    smooth[150:160, 100:300], smoother[150:160, 100:300] = 0, 0
    smooth[160, 100:300], smoother[160, 100:300] = 90, 170  # the last row of a box is half as high
    moved = np.concatenate([smoother[:400], np.full((30, 400, 3), 9, np.uint8), smoother[400:]])

    assert reference(smooth, smoother, PLAIN) == compare(png(smooth), png(smoother)).changed_pixels
    assert compare(png(smooth), png(moved)).changed_pixels == 30 * 400 + reference(smooth, smoother, PLAIN)


def test_files_are_compared_as_their_bytes_are(tmp_path: Path) -> None:
    paths = tmp_path / "before.png", tmp_path / "after.png"
    for path, picture in zip(paths, (page(), dot(300, 300)), strict=True):
        path.write_bytes(png(picture))

    assert compare(*paths) == compare(png(page()), png(dot(300, 300)))
    with pytest.raises(FileNotFoundError):
        compare(paths[0], tmp_path / "missing.png")


@pytest.mark.parametrize("seed", range(12))
def test_the_count_is_pixelmatchs_on_generated_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(1, 300, 2))
    before = page(height + 21, width=width)[:height]
    after = before.copy()
    for _ in range(rng.integers(1, 8)):
        x, y, across, down = (int(rng.integers(0, most)) for most in (width, height, width, height))
        part = after[y : y + down // 3 + 1, x : x + across // 3 + 1]
        shade = rng.integers(0, 256, (part.shape[0], part.shape[1], 3)) if rng.random() < 0.3 else 40
        part[:] = np.clip(part.astype(int) + shade - rng.integers(0, 90), 0, 255)
    if rng.random() < 0.5:  # smoothed all over: edges that are anti-aliased otherwise
        after = ((after[:, :].astype(int) * 3 + np.roll(after, 1, axis=1)) // 4).astype(np.uint8)
    options = Options(threshold=float(rng.choice([0.0, 0.05, 0.1, 0.3])), align=False)

    assert compare(png(before), png(after), options).changed_pixels == reference(before, after, options)


@pytest.mark.parametrize("seed", range(20))
def test_rows_as_the_browser_stores_them_are_judged_as_by_any_other_decoder(seed: int) -> None:
    """Rows outside a change are not even turned into pixels until somebody draws them."""
    rng = np.random.default_rng(seed)
    height, width = int(rng.integers(1, 400)), int(rng.integers(1, 60))
    before = np.kron(rng.integers(0, 256, (height, width, 3)) // 64 * 64, np.ones((1, 2, 1))).astype(np.uint8)
    after = before.copy()
    for _ in range(int(rng.integers(1, 4))):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        end = height if rng.random() < 0.2 else y + 1 + int(rng.integers(0, 20))
        after[y:end, x : x + 1 + int(rng.integers(0, 30))] += np.uint8(rng.integers(0, 256))
    as_stored, otherwise = (compare(kind(before), kind(after)) for kind in (pngs.encode, png))

    assert as_stored == otherwise
    assert as_stored.fingerprint == otherwise.fingerprint
    assert as_stored.image() == otherwise.image()


def test_a_picture_is_decoded_once_and_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[bytes] = []
    inflate = pngs.png_rows.inflate
    monkeypatch.setattr(
        pngs.png_rows, "inflate", lambda image, *size: begun.append(image) or inflate(image, *size)
    )
    actual, *others = (pngs.encode(image) for image in (dot(300, 300), page(), page(word="cat")))
    picture = Picture(actual)
    everything = Options(ignore=(Box(0, 0, 400, 600),))

    assert compare(others[0], picture, everything).changed_pixels == 0
    found = [compare(other, picture) for other in others]
    assert begun.count(actual) == 1
    assert found == [compare(other, actual) for other in others]


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


@pytest.mark.parametrize(
    ("width", "words"),
    [(900, "At least 50 regions changed, the largest 1x1 px"), (910, "10 px wider; at least 49 regions")],
)
def test_it_does_not_say_that_more_regions_than_it_keeps_are_all(width: int, words: str) -> None:
    after = np.full((900, width, 3), 255, np.uint8)
    after[10:-10:27, 10:890:27] = 0
    difference = compare(png(np.full((900, 900, 3), 255, np.uint8)), png(after))

    assert len(difference.regions) == 50
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


def test_what_is_too_faint_is_said_not_to_be_the_same() -> None:
    difference = compare(png(page()), png(dot(300, 300, colour="#fdfdfd")))

    assert difference.equal
    assert difference.sentence == "Only faint differences, below the threshold."


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


def test_every_changed_pixel_is_drawn_where_it_is() -> None:
    after = page()
    after[150:400, 20:380] = np.where(
        np.arange(360)[:, np.newaxis] % 7 < np.arange(250)[:, np.newaxis, np.newaxis] % 5, 0, 255
    )
    drawn = np.array(Pillow.open(io.BytesIO(compare(png(page()), png(after), STRICT).image())))

    assert np.array_equal((drawn == (230, 0, 200)).all(axis=2), (page() != after).any(axis=2))


def test_equal_files_have_no_picture() -> None:
    with pytest.raises(ValueError, match="no difference to draw"):
        compare(png(page()), png(page())).image()
