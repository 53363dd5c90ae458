"""A small picture that travels inside a PNG: the worker puts it in, the web process takes it out and decodes neither.

It lies in a chunk of our own (PNG specification, section 5.4: ancillary, private, unsafe to copy), which every other
reader passes over; so it is stored, and goes, with the image that it belongs to.
"""

import struct
import zlib

CHUNK = b"rtTN"
HEADER_END = 33  # signature and IHDR


def put(png: bytes, picture: bytes) -> bytes:
    """The PNG with another one inside, right behind its header."""
    checksum = zlib.crc32(picture, zlib.crc32(CHUNK))
    chunk = struct.pack(">I", len(picture)) + CHUNK + picture + struct.pack(">I", checksum)
    return png[:HEADER_END] + chunk + png[HEADER_END:]


def take(png: bytes) -> bytes | None:
    """The picture inside a PNG; None where there is none."""
    length, name = struct.unpack_from(">I4s", png, HEADER_END) if len(png) >= HEADER_END + 8 else (0, b"")
    picture = png[HEADER_END + 8 : HEADER_END + 8 + length]
    return picture if name == CHUNK and len(picture) == length else None
