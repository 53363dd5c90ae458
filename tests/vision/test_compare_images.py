"""Every kind of PNG to pixels; broken images to words."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from server.vision.compare import ImageError, compare
from tests.vision.images import STRICT, page, png


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
