"""The small picture of a change, and how it travels inside the difference."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from server.vision import embedded
from server.vision.compare import Options, compare
from server.vision.thumbnail import GAP_PX, TILE_HEIGHT_PX, TILE_WIDTH_PX

RED, BLUE, MAGENTA = (250, 0, 0), (0, 0, 250), (230, 0, 200)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def page(width: int = 1280, height: int = 3000) -> np.ndarray:
    """Grey, each row told from the others."""
    pixels = np.full((height, width, 3), 200, np.uint8)
    pixels[:, 0, 0] = np.arange(height) % 199
    pixels[:, 1, 0] = np.arange(height) // 199
    return pixels


def halves(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the small picture shows on the left (before) and on the right (now)."""
    small = embedded.take(compare(png(before), png(after), Options()).image())
    assert small is not None
    pixels = np.array(Pillow.open(io.BytesIO(small)))
    tile = (pixels.shape[1] - GAP_PX) // 2
    assert pixels.shape[0] <= TILE_HEIGHT_PX
    assert tile <= TILE_WIDTH_PX
    return pixels[:, :tile], pixels[:, tile + GAP_PX :]


def has(pixels: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(pixels.astype(int) - colour) < 10).all(axis=2).any())


def test_it_shows_the_largest_region_before_and_after_framed() -> None:
    before, after = page(), page()
    before[2000:2040, 900:980] = RED
    after[2000:2040, 900:980] = BLUE
    after[100:104, 100:104] = BLUE  # a smaller region far away
    was, now = halves(before, after)
    assert (has(was, RED), has(was, BLUE), has(was, MAGENTA)) == (True, False, False)
    assert (has(now, RED), has(now, BLUE), has(now, MAGENTA)) == (False, True, True)


def test_what_stood_there_is_shown_though_rows_above_were_inserted() -> None:
    before, after = page(500), page(500)
    before[1000:1020, 50:450] = RED
    after[1000:1500, 50:450] = BLUE
    banner = np.full((300, 500, 3), 90, np.uint8)  # smaller than the region, higher than what is shown of it
    banner[:, 5, 0], banner[:, 6, 0] = np.arange(300) % 250, np.arange(300) // 250
    was, now = halves(before, np.concatenate([after[:500], banner, after[500:]]))
    assert has(was, RED)
    assert has(now, BLUE)


def test_rows_that_were_removed_are_shown_on_the_left_from_the_first_on() -> None:
    before = page()
    before[1500:1600, 10:] = RED
    was, now = halves(before, np.concatenate([before[:1500], before[2500:]]))
    assert has(was, RED)
    assert not has(now, RED)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (3000, 1), (20, 10), (481, 361), (2600, 1900)])
def test_every_size_has_one(size: tuple[int, int]) -> None:
    before, after = np.full((size[1], size[0], 3), 200, np.uint8), np.zeros((size[1], size[0], 3), np.uint8)
    halves(before, after)


def test_it_is_the_same_for_the_same_change_and_of_a_few_kilobytes() -> None:
    before, after = page(), page()
    after[2000:2040, 900:980] = BLUE
    first, second = (compare(png(before), png(after)).image() for _ in range(2))
    assert first == second
    assert len(embedded.take(first) or b"") < 20_000


def test_other_readers_see_the_image_around_it_alone() -> None:
    whole = png(page(40, 30))
    carrying = embedded.put(whole, b"anything")
    assert np.array_equal(np.array(Pillow.open(io.BytesIO(carrying))), page(40, 30))
    assert embedded.take(carrying) == b"anything"


@pytest.mark.parametrize(
    "png", [b"", b"\x89PNG", png(page(4, 4)), embedded.put(png(page(4, 4)), b"x" * 90)[:60]]
)
def test_what_carries_none_or_is_cut_off_has_none(png: bytes) -> None:
    assert embedded.take(png) is None
