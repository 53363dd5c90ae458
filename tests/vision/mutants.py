"""Broken images by the thousand for `test_compare_fuzz.py`, which runs this in a process of its own:

    python mutants.py SEED FIRST COUNT

Input number N of a seed is the same each time. The process may take 400 MiB more than it has when all is
imported, and images may have one megapixel. It prints numbers as it gets to them.
"""

from __future__ import annotations

import io
import random
import resource
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from server.vision import png, png_rows
from server.vision.compare import Difference, ImageError, Options, compare

MOST_BYTES = 400 << 20
MEGAPIXELS = 1.0
SIGNATURE = b"\x89PNG\r\n\x1a\n"
Chunk = tuple[bytes, bytes]  # name, body


def chunks_of(image: bytes) -> list[Chunk]:
    """The chunks of a sound PNG."""
    found, at = [], 8
    while at < len(image):
        length = int.from_bytes(image[at : at + 4], "big")
        found.append((image[at + 4 : at + 8], image[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def file_of(chunks: list[Chunk]) -> bytes:
    """Chunks as a file, each with its right length and checksum."""
    parts = [struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in chunks]
    return SIGNATURE + b"".join(parts)


def saved(picture: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def interlaced(pixels: np.ndarray) -> bytes:
    """RGB pixels in the seven passes of Adam7 (PNG specification, section 8.2)."""
    passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ]
    rows = [
        b"\0" + row.tobytes()
        for x, y, across, down in passes
        for row in pixels[y::down, x::across]
        if row.size
    ]
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 1)
    return file_of([(b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")])


def sound_images() -> list[bytes]:
    """One of each kind that a PNG can be."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (23, 37, 3), np.uint8)
    pixels[4:15] = pixels[4]
    picture = Image.fromarray(pixels)
    grey16 = Image.fromarray(rng.integers(0, 65536, (23, 37), np.uint16))
    clear = picture.convert("RGBA")
    clear.putalpha(100)
    return [
        png.encode(pixels),
        png.encode(pixels[:, :36]),
        png.stitch([png.encode(pixels), png.encode(pixels)], MEGAPIXELS),
        *(saved(picture.convert(mode)) for mode in ("RGB", "L", "LA", "P", "1")),
        saved(clear),
        saved(picture.convert("P"), transparency=3),
        saved(picture, transparency=(1, 2, 3)),
        saved(grey16),
        saved(picture, save_all=True, append_images=[picture.rotate(180)]),
        interlaced(pixels),
    ]


# --- breaking -----------------------------------------------------------------------------------------


def flip_bits(image: bytes, rng: random.Random) -> bytes:
    broken = bytearray(image)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
    return bytes(broken)


def cut(image: bytes, rng: random.Random) -> bytes:
    return image[: rng.randrange(len(image))]


def splice(image: bytes, rng: random.Random) -> bytes:
    """Bytes taken out, doubled or replaced by others."""
    start = rng.randrange(len(image))
    stop = min(len(image), start + rng.choice((1, 4, 12, 100)))
    between = rng.choice((b"", image[start:stop] * 2, rng.randbytes(stop - start), bytes(stop - start)))
    return image[:start] + between + image[stop:]


def other_header(image: bytes, rng: random.Random) -> bytes:
    """A header that says something else, its checksum right."""
    (name, header), *rest = chunks_of(image)
    numbers = list(struct.unpack(">IIBBBBB", header))
    which = rng.randrange(7)
    sizes = (0, 1, 36, 38, 1000, 60000, 2**31 - 1, 2**32 - 1)
    numbers[which] = rng.choice(sizes) if which < 2 else rng.choice((0, 1, 2, 3, 4, 6, 7, 8, 16, 255))
    return file_of([(name, struct.pack(">IIBBBBB", *numbers)), *rest])


def other_chunks(image: bytes, rng: random.Random) -> bytes:
    """Chunks in another order, missing, twice, or unknown ones, their checksums right."""
    chunks = chunks_of(image)
    at = rng.randrange(len(chunks))
    names = (
        b"tRNS",
        b"PLTE",
        b"acTL",
        b"fcTL",
        b"fdAT",
        b"gAMA",
        b"iCCP",
        b"pHYs",
        b"abCD",
        b"IDAT",
        b"IEND",
        b"IHDR",
    )
    new = (rng.choice(names), rng.randbytes(rng.choice((0, 1, 6, 13, 300))))
    changes: list[Callable[[], object]] = [
        lambda: chunks.pop(at),
        lambda: chunks.insert(at, chunks[rng.randrange(len(chunks))]),
        lambda: chunks.insert(at, new),
        lambda: rng.shuffle(chunks),
    ]
    rng.choice(changes)()
    return file_of(chunks)


def other_rows(image: bytes, rng: random.Random) -> bytes:
    """Rows changed before they are compressed: other filter types, too many bytes or too few; all checksums right."""
    chunks = chunks_of(image)
    rows = bytearray(zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT")))
    change = rng.randrange(4)
    if change == 0:
        rows[rng.choice((0, 112, 109, rng.randrange(len(rows))))] = rng.choice((0, 1, 2, 3, 4, 5, 255))
    elif change == 1:
        del rows[rng.randrange(len(rows)) :]
    elif change == 2:
        rows += rng.randbytes(rng.choice((1, 112, 10_000, 1_000_000)))
    else:
        rows = bytearray(rng.randbytes(len(rows)))
    body = zlib.compress(bytes(rows), rng.choice((0, 1, 9)))
    others = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
    return file_of([others[0], *others[1:-1], (b"IDAT", body), others[-1]])


BREAKS = (flip_bits, cut, splice, other_header, other_chunks, other_rows)


def mutant(seed: int, number: int, sound: list[bytes]) -> bytes:
    """Input `number` of a seed."""
    rng = random.Random(f"{seed} {number}")
    image = rng.choice(sound)
    structured = rng.choice(BREAKS)(image, rng)
    return (
        rng.choice((flip_bits, cut, splice))(structured, rng)
        if structured and rng.random() < 0.1
        else structured
    )


# --- judging ------------------------------------------------------------------------------------------


def decoded(image: bytes) -> np.ndarray | None:
    """The pixels, and that they are what they must be; None where the image is refused in words."""
    try:
        pixels = png.decode(image, MEGAPIXELS)
    except ImageError as error:
        assert str(error)
        return None
    width, height = png.size(image, MEGAPIXELS)
    assert (pixels.shape, pixels.dtype) == ((height, width, 3), np.uint8)
    rows = png_rows.inflate(image, width, height)
    if rows is not None:  # what the quick reader reads, the library reads alike
        assert np.array_equal(rows.pixels(), imagecodecs.spng_decode(image))
    return pixels


def check(image: bytes, other: bytes) -> bool:
    """Whether an image can be read; AssertionError where it is read or compared wrongly."""
    pixels = decoded(image)
    try:
        difference: Difference | None = compare(other, image, Options(max_megapixels=MEGAPIXELS))
    except ImageError as error:
        assert "cannot be compared: " in str(error)
        difference = None
    assert (difference is None) == (pixels is None)
    if difference is not None:
        back = compare(image, other, Options(max_megapixels=MEGAPIXELS))
        assert 0 <= difference.ratio <= 1
        assert (difference.fingerprint is None) == (difference.changed_pixels == 0)
        if not difference.shifts and not back.shifts:
            assert difference.changed_pixels == back.changed_pixels
    return pixels is not None


def main(seed: int, first: int, count: int) -> None:
    sound = sound_images()
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + MOST_BYTES,) * 2)
    read = 0
    for number in range(first, first + count):
        if number % 50 == 0:
            print(number, flush=True)  # noqa: T201 - for whoever started it
        read += check(mutant(seed, number, sound), sound[number % len(sound)])
    print(f"{read} of {count} can still be read")  # noqa: T201


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
