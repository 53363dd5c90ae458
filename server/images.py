"""The image store: PNGs named by the SHA-256 of their bytes, in a folder or an S3 bucket.

A store's address is a folder, or `s3://bucket/prefix`; `?endpoint=https://host:port` names a server other than
Amazon's, `&region=…` where it is. Credentials are found as AWS's own tools find them (AWS_ACCESS_KEY_ID, … or the
machine's role).
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

LISTED_AT_ONCE = 1000
# A store that is away is told to whoever waits; obstore's own limits are three minutes.
ANSWERS_WITHIN, TRIED_FOR, TRIED_AGAIN = timedelta(seconds=30), timedelta(seconds=10), 3
_OURS = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})\.png")


class ImageMissing(LookupError):
    """The store holds no image of that name."""


class StoreFailed(OSError):
    """The store cannot be used at the moment; `errno` is ENOSPC where its disk is full."""

    def __init__(self, error: BaseError) -> None:
        said = str(error).partition("\n")[0]
        super().__init__(errno.ENOSPC if f"os error {errno.ENOSPC})" in said else errno.EIO, said)


@dataclass(frozen=True)
class StoredFile:
    """A file that lies in the store. `name` is None where it is none of our images."""

    name: str | None
    size_bytes: int
    modified_at: datetime


@cache
def open_store(url: str) -> ImageStore:
    """The store at an address, opened once in each process. Raises ValueError for one that cannot be."""
    if "://" not in url:
        Path(url).mkdir(parents=True, exist_ok=True)
        return ImageStore(LocalStore(prefix=url))
    place, options = url.partition("?")[0], _options(url)
    if not re.match(r"s3://[^/]", place):
        raise ValueError("a store is a folder or s3://bucket/prefix")
    if strange := options.keys() - {"endpoint", "region"}:
        raise ValueError(f"{min(strange)!r} is not known here; endpoint and region are")
    bucket = S3Store.from_url(
        place,
        client_options={"allow_http": endpoint_of(url).startswith("http://"), "timeout": ANSWERS_WITHIN},
        retry_config={"max_retries": TRIED_AGAIN, "retry_timeout": TRIED_FOR},
        **options,  # type: ignore[arg-type]  # all of them are texts
    )
    return ImageStore(bucket)


def endpoint_of(url: str) -> str:
    """The address of the server that a store's URL names; empty where it names none."""
    return _options(url).get("endpoint", "")


def _options(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def name_of(png: bytes) -> str:
    """An image's name in the store: the SHA-256 of its bytes in hexadecimal."""
    return hashlib.sha256(png).hexdigest()


class ImageStore:
    """Keeps and returns images; writing the same bytes twice keeps them once."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, png: bytes) -> str:
        """Stores an image and returns its name; whole or not at all. Raises `StoreFailed`."""
        name = name_of(png)
        try:
            obstore.put(self._store, _path(name), png)
        except BaseError as error:
            raise StoreFailed(error) from error
        return name

    def get(self, name: str) -> bytes:
        """The bytes of an image. Raises `ImageMissing`, and `StoreFailed`."""
        try:
            return bytes(obstore.get(self._store, _path(name)).bytes())
        except FileNotFoundError:
            raise ImageMissing(f"image {name} is not in the store") from None
        except BaseError as error:
            raise StoreFailed(error) from error

    def delete(self, names: Sequence[str]) -> None:
        """Removes images, on S3 with one request for all; those that are not there are no error. Raises `StoreFailed`."""
        try:
            obstore.delete(self._store, [_path(name) for name in names])
        except FileNotFoundError:  # it stops at the first one that is missing
            for name in names:
                self._delete_one(name)
        except BaseError as error:
            raise StoreFailed(error) from error

    def _delete_one(self, name: str) -> None:
        try:
            obstore.delete(self._store, _path(name))
        except FileNotFoundError:
            return
        except BaseError as error:
            raise StoreFailed(error) from error

    def files(self) -> Iterator[list[StoredFile]]:
        """Everything in the store in no order, page by page, so that its size does not matter."""
        try:
            for page in obstore.list(self._store, chunk_size=LISTED_AT_ONCE):
                yield [
                    StoredFile(ours[2] if ours else None, entry["size"], entry["last_modified"])
                    for entry in page
                    for ours in [_OURS.fullmatch(entry["path"])]
                ]
        except BaseError as error:
            raise StoreFailed(error) from error

    def check(self) -> None:
        """Writes, reads and removes a small file; raises what the store raises."""
        obstore.put(self._store, "retestr-check", b"ok")
        obstore.get(self._store, "retestr-check").bytes()
        obstore.delete(self._store, "retestr-check")


def _path(name: str) -> str:
    return f"{name[:2]}/{name}.png"
