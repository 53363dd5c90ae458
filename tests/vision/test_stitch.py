"""Several pictures below each other are one, without a row lost."""

import io

import numpy as np
import pytest
from PIL import Image

from server.vision import png


def test_tiles_become_one_picture_that_others_can_read() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (50, 31, 3), np.uint8)
    tiles = [png.encode(np.ascontiguousarray(part)) for part in np.split(pixels, [20, 40])]

    whole = png.stitch(tiles, max_megapixels=1)

    assert np.array_equal(png.decode(whole, 1), pixels)
    with Image.open(io.BytesIO(whole)) as picture:
        assert np.array_equal(np.asarray(picture), pixels)


def test_tiles_of_different_widths_are_refused() -> None:
    tiles = [png.encode(np.zeros((2, width, 3), np.uint8)) for width in (3, 4)]

    with pytest.raises(png.ImageError, match="different widths"):
        png.stitch(tiles, max_megapixels=1)
