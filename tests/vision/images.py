"""Pictures to compare, and what pixelmatch itself counts."""

import io
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw
from pybind11_pixelmatch import Options as PixelmatchOptions
from pybind11_pixelmatch import pixelmatch

from server.vision.compare import Options


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
