"""The image store: PNGs named by the SHA-256 of their bytes, in a folder or an S3 bucket."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import obstore
from obstore.store import LocalStore, ObjectStore, from_url


class ImageMissing(LookupError):
    """The store holds no image of that name."""


@cache
def open_store(url: str) -> ImageStore:
    """The store at a folder or URL (`s3://bucket/prefix`), opened once in each process."""
    if "://" in url:
        return ImageStore(from_url(url))
    Path(url).mkdir(parents=True, exist_ok=True)
    return ImageStore(LocalStore(prefix=url))


class ImageStore:
    """Keeps and returns images; writing the same bytes twice keeps them once."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, png: bytes) -> str:
        """Stores an image and returns its name, the SHA-256 of its bytes in hexadecimal."""
        name = hashlib.sha256(png).hexdigest()
        obstore.put(self._store, _path(name), png)
        return name

    def get(self, name: str) -> bytes:
        """The bytes of an image. Raises `ImageMissing`."""
        try:
            return bytes(obstore.get(self._store, _path(name)).bytes())
        except FileNotFoundError:
            raise ImageMissing(f"image {name} is not in the store") from None

    def check(self) -> None:
        """Writes, reads and removes a small file; raises what the store raises."""
        obstore.put(self._store, "retestr-check", b"ok")
        obstore.get(self._store, "retestr-check").bytes()
        obstore.delete(self._store, "retestr-check")


def _path(name: str) -> str:
    return f"{name[:2]}/{name}.png"
