"""One change, wherever it stands, has one fingerprint; another change has another."""

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from server.vision import png
from server.vision.compare import Options, compare

BLUE, DARK = (54, 127, 169), (60, 60, 60)


def text(width: int, height: int, seed: int, background: Any = "white") -> Any:
    """Something to read that is different for each seed."""
    picture = Image.new("RGB", (width, height), background)
    pen = ImageDraw.Draw(picture)
    for line, y in enumerate(range(20, height - 30, 22)):
        pen.text((12, y), f"{seed * 7919 + line * 31} lines of page {seed}, the {line}th", fill="black")
    return np.array(picture)


def header(title: str, rows: int = 60, colour: Any = BLUE) -> Any:
    picture = Image.new("RGB", (500, rows), colour)
    ImageDraw.Draw(picture).text((20, rows // 2 - 6), title, fill="white")
    return np.array(picture)


def page(top: Any, height: int = 700, seed: int = 1, window: int = 400) -> Any:
    """A header over a page of text, the white below it filled up to the window's height."""
    whole = np.concatenate([top, text(500, height, seed)])
    blank = np.full((max(0, window - len(whole)), 500, 3), 255, np.uint8)
    return np.concatenate([whole, blank])


def painted(image: Any, x: int, y: int, what: Any) -> Any:
    image = image.copy()
    image[y : y + len(what), x : x + what.shape[1]] = what
    return image


def fingerprint(before: Any, after: Any, options: Options | None = None) -> str | None:
    return compare(png.encode(before), png.encode(after), options).fingerprint


OLD, NEW = header("Acme"), header("Acme Corporation")
LOGO = np.random.default_rng(5).integers(0, 256, (20, 30, 3), np.uint8)
PAGES = [(700, 1), (1500, 2), (250, 3), (700, 4)]
CHANGES = {
    "other words": (OLD, NEW),
    "other words, back": (NEW, OLD),
    "other colour": (OLD, header("Acme", colour=DARK)),
    "20 rows higher": (OLD, header("Acme", rows=80)),
    "20 rows higher, other words": (OLD, header("Acme Corporation", rows=80)),
    "20 rows less": (header("Acme", rows=80), OLD),
    "a banner above": (OLD, np.concatenate([header("Sale!", 40, "red"), OLD])),
    "another banner above": (OLD, np.concatenate([header("Sale!", 40, "orange"), OLD])),
    "a logo": (OLD, painted(OLD, 300, 20, LOGO)),
    "another logo": (OLD, painted(OLD, 300, 20, LOGO[::-1])),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_new_header_is_the_same_change_on_every_page(change: str) -> None:
    old, new = CHANGES[change]

    assert len({fingerprint(page(old, *what), page(new, *what)) for what in PAGES}) == 1


def test_on_a_short_page_too_where_the_blank_below_gives_way() -> None:
    old, new = CHANGES["a banner above"]
    footer = header("Imprint", 40, DARK)
    ends = [page(top, 150, 3) for top in (old, new)]
    sticky = [np.concatenate([image[:400], footer]) for image in ends]

    assert len(ends[0]) == len(ends[1]) == 400  # both as high as the window
    assert fingerprint(*ends) == fingerprint(*sticky) == fingerprint(page(old), page(new))


def test_different_changes_are_different() -> None:
    found = [fingerprint(page(old), page(new)) for old, new in CHANGES.values()]

    assert len(set(found)) == len(CHANGES)


def test_neither_place_nor_background_matters() -> None:
    tile = np.full((24, 34, 3), 255, np.uint8)
    tile[2:22, 2:32] = LOGO
    other = tile.copy()
    other[8:12, 8:12] = 255 - other[8:12, 8:12]
    found = set()
    for x, y, background in [(0, 0, "white"), (100, 50, "grey"), (460, 370, DARK)]:
        whole = np.array(Image.new("RGB", (500, 400), background))
        found.add(fingerprint(painted(whole, x, y, tile), painted(whole, x, y, other)))

    assert len(found) == 1


def test_every_region_counts_not_only_the_largest_fifty() -> None:
    before = np.full((2000, 900, 3), 255, np.uint8)
    many, more = before.copy(), before.copy()
    many[::40, ::300] = more[::40, ::300] = 0
    more[-1, -1] = 0

    assert len(compare(png.encode(before), png.encode(many)).regions) == 50
    assert fingerprint(before, many) != fingerprint(before, more)


def test_noise_all_over_is_bounded_and_tells_apart() -> None:
    before = np.full((2400, 900, 3), 255, np.uint8)
    noise, other = before.copy(), before.copy()
    noise[::30, ::30] = other[::30, ::30] = 0
    other[2399, 899] = 0

    assert fingerprint(before, noise) == fingerprint(before, noise)
    assert fingerprint(before, noise) != fingerprint(before, other)


def test_a_wider_page_tells_what_the_new_columns_show() -> None:
    wide, other = (np.pad(page(OLD), ((0, 0), (0, 30), (0, 0)), constant_values=255) for _ in range(2))
    other[300:320, 505:525] = 0

    assert fingerprint(page(OLD), wide) != fingerprint(page(OLD), other)
    assert fingerprint(page(OLD), wide) == fingerprint(
        page(OLD, seed=2), np.pad(page(OLD, seed=2), ((0, 0), (0, 30), (0, 0)), constant_values=255)
    )


def test_what_does_not_count_has_none() -> None:
    edges = [np.full((40, 40, 3), 255, np.uint8) for _ in range(2)]
    for edge, shade in zip(edges, (90, 170), strict=True):
        edge[:, :20], edge[:, 20] = 0, shade

    assert compare(png.encode(page(OLD)), png.encode(page(OLD))).fingerprint is None
    assert fingerprint(*edges) is None  # only anti-aliasing
    assert fingerprint(*edges, Options(antialiasing=True)) is not None


def test_anti_aliased_pixels_beside_a_change_do_not_count() -> None:
    edges = []
    for shade in (90, 170):
        edge = np.full((40, 120, 3), 255, np.uint8)
        edge[:, :20], edge[:, 20] = 0, shade
        edges.append(edge)
    changed = painted(edges[0], 100, 10, LOGO[:, :15])
    and_smoothed = painted(edges[1], 100, 10, LOGO[:, :15])

    assert fingerprint(edges[0], changed) == fingerprint(edges[0], and_smoothed)


def boxes(*filled: tuple[int, int, int, int, int], paper: int = 255) -> Any:
    """Paper with boxes on it: x, y, width, height, shade."""
    image = np.full((200, 400, 3), paper, np.uint8)
    for x, y, width, height, shade in filled:
        image[y : y + height, x : x + width] = shade
    return image


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            (boxes(), boxes((9, 9, 20, 20, 0))),
            (boxes((9, 9, 20, 20, 90)), boxes((9, 9, 20, 20, 0))),
        ),  # from what
        ((boxes(), boxes((9, 9, 20, 20, 0))), (boxes(), boxes((9, 9, 20, 20, 90)))),  # to what
        ((boxes(), boxes((9, 9, 20, 30, 0))), (boxes(), boxes((9, 9, 30, 20, 0)))),  # which shape
        (
            (boxes(), boxes((9, 9, 20, 30, 0), (29, 19, 10, 20, 0))),  # as many pixels, in a box of one size
            (boxes(), boxes((9, 9, 20, 30, 0), (29, 9, 10, 20, 0))),
        ),
        (
            (boxes(), boxes((9, 9, 20, 20, 0))),
            (boxes(), boxes((9, 9, 20, 20, 0), (200, 9, 20, 20, 0))),
        ),  # how often
    ],
)
def test_before_after_shape_and_number_of_changed_pixels_count(one: Any, other: Any) -> None:
    assert fingerprint(*one) != fingerprint(*other)


def test_the_order_of_regions_does_not_matter() -> None:
    wide, tall = (30, 10, 0), (10, 30, 90)

    assert fingerprint(boxes(), boxes((9, 9, *wide), (9, 120, *tall))) == fingerprint(
        boxes(), boxes((300, 120, *wide), (9, 9, *tall))
    )


@pytest.mark.parametrize("width", [890, 910])
def test_noise_all_over_has_one_too_where_the_width_changed(width: int) -> None:
    before = np.full((900, 900, 3), 255, np.uint8)
    after = np.full((900, width, 3), 255, np.uint8)
    after[::27, : min(900, width) : 27] = 0  # 34 x 33 dots and more, each an island
    moved = np.roll(after, 1, axis=0)

    assert fingerprint(before, after)
    assert fingerprint(before, after) != fingerprint(before, moved)
