"""Every kind of PNG to its pixels; the quick reader reads what browsers write, and leaves the rest to the library."""

import gc
import sys
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from server.vision import png, png_rows
from tests.vision import mutants

rng = np.random.default_rng(3)
PIXELS = rng.integers(0, 256, (23, 37, 3), np.uint8)
PICTURE = Image.fromarray(PIXELS)


def quick(image: bytes) -> Any:
    rows = png_rows.inflate(image, *png.size(image, 1))
    return None if rows is None else rows.pixels()


@pytest.mark.parametrize("height", [1, 2, 23])
@pytest.mark.parametrize("width", [1, 8, 37])
def test_the_quick_reader_reads_what_the_encoder_writes(width: int, height: int) -> None:
    pixels = PIXELS[:height, :width]
    image = png.encode(pixels)

    assert np.array_equal(quick(image), pixels)
    assert np.array_equal(imagecodecs.spng_decode(image), pixels)


def altered() -> Iterator[tuple[str, bytes]]:
    """Images that are not just what browsers write."""
    sound = png.encode(PIXELS)
    header, data, end = mutants.chunks_of(sound)
    lines = zlib.decompress(data[1])
    other_filter = bytearray(lines)
    other_filter[112 * 5] = 1
    for name, rows in (
        ("a row of another filter", bytes(other_filter)),
        ("a row too few", lines[:-112]),
        ("half a row too many", lines + bytes(56)),
    ):
        yield name, mutants.file_of([header, (b"IDAT", zlib.compress(rows)), end])
    yield "a transparent colour", mutants.file_of([header, (b"tRNS", bytes(6)), data, end])
    yield "a comment", mutants.file_of([header, data, (b"tEXt", b"a\0b"), end])
    yield "two headers", mutants.file_of([header, header, data, end])
    yield "a checksum", sound[:-16] + bytes([sound[-16] ^ 1]) + sound[-15:]
    yield "more after the end", sound + b"x"
    yield "no end", sound[:-12]
    yield "interlaced", mutants.interlaced(PIXELS)
    yield "grey", mutants.saved(PICTURE.convert("L"))
    yield "another encoder", mutants.saved(PICTURE)


@pytest.mark.parametrize("image", [image for _, image in altered()], ids=[name for name, _ in altered()])
def test_the_quick_reader_leaves_everything_else_alone(image: bytes) -> None:
    assert quick(image) is None


def test_an_interlaced_image_is_read() -> None:
    assert np.array_equal(png.decode(mutants.interlaced(PIXELS), 1), PIXELS)


def test_of_an_animation_the_first_picture_is_read() -> None:
    animation = mutants.saved(PICTURE, save_all=True, append_images=[PICTURE.rotate(180)], duration=100)

    assert b"acTL" in animation
    assert np.array_equal(png.decode(animation, 1), PIXELS)


def test_sixteen_bits_are_halved() -> None:
    wide = Image.fromarray(np.array([[0, 255, 256, 65535]], np.uint16))

    assert png.decode(mutants.saved(wide), 1)[0, :, 0].tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB"])
def test_a_transparent_colour_is_white(mode: str) -> None:
    picture = Image.new(mode, (9, 9), 0)
    clear = (0, 0, 0) if mode == "RGB" else 0

    assert (png.decode(mutants.saved(picture, transparency=clear), 1) == 255).all()


def test_an_image_above_the_limit_is_refused_before_it_is_decoded() -> None:
    image = png.encode(np.zeros((1001, 1000, 3), np.uint8))
    tracemalloc.start()
    with pytest.raises(png.ImageError, match="too large: 1000x1001, more than 1 megapixels"):
        png.decode(image, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 100_000
    assert png.decode(image, 1.01).shape == (1001, 1000, 3)


def test_an_image_with_too_long_a_side_is_refused() -> None:
    with pytest.raises(png.ImageError, match="too large: 65536x1, a side of more than 65535 px"):
        png.size(png.encode(np.zeros((1, 65536, 3), np.uint8)), 1)


def test_damaged_images_cost_nothing_that_lasts() -> None:
    """imagecodecs.png_decode loses a reference with each: a process ends after some thousand, or grows."""
    grey = mutants.saved(Image.effect_noise((100, 100), 50))
    gc.collect()  # or what earlier tests left is taken away meanwhile, and its references with it
    tracemalloc.start()
    before, references = tracemalloc.get_traced_memory()[0], sys.getrefcount(None)
    for _ in range(1000):
        with pytest.raises(png.ImageError, match="damaged"):
            png.decode(grey[: len(grey) // 2], 1)
    grown, lost = tracemalloc.get_traced_memory()[0] - before, references - sys.getrefcount(None)
    tracemalloc.stop()

    assert grown < 1_000_000
    assert lost < 500  # other threads' references come and go


def test_rows_below_each_other_in_blocks_are_laid_on_white_alike() -> None:
    clear = np.dstack(
        [np.zeros((300, 5, 3), np.uint8), np.repeat(np.arange(300) % 256, 5).reshape(300, 5, 1)]
    )

    found = png.decode(mutants.saved(Image.fromarray(clear.astype(np.uint8))), 1)

    assert found[:, 0, 0].tolist() == [255 - row % 256 for row in range(300)]
