"""`retestr backup` and `retestr restore`: one tar file with every row and every image, whichever the database and store.

What a server on SQLite and a folder wrote, one on PostgreSQL and S3 reads, and the other way round. In the file come,
in this order: `retestr.json` (which version and revision of the tables), `rows/TABLE.jsonl.gz` for each table, those
that others refer to first, `images/SHA-256.png`, and `counts.json`, without which the file is not whole.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Column, LargeBinary, Table, func, insert, select, update
from sqlalchemy.orm import Session

from server import migrations
from server.database import Base, UtcDateTime, db, now, writing
from server.images import ImageMissing, ImageStore, StoreFailed, name_of
from server.models import AuditEvent, Image, Organization

FORMAT = 1
ROWS_AT_ONCE = 1000
SPOOLED_BYTES = 16 * 1024 * 1024
HEAD, COUNTS = "retestr.json", "counts.json"
Told = Callable[[str], None]


class BackupError(Exception):
    """A backup that cannot be made or read; the message says why and what to do."""


@dataclass(frozen=True)
class Contents:
    """What a backup holds. `missing` are images that rows name and the store did not have, or not as they were."""

    rows: int
    images: int
    missing: int
    lost: int = 0
    """Those of the missing that no retention had removed when all was written: they should have been there."""


# ------------------------------------------------------------------------------------------- making


def write(path: Path, store: ImageStore, tell: Told) -> Contents:
    """Writes everything into a file, beside a running server; the file is there whole or not at all.

    The rows are of one moment. An image that retention removes meanwhile is missing, but not lost. Raises
    `BackupError`, and `StoreFailed`.
    """
    with _made_whole(path) as file, tarfile.open(fileobj=file, mode="w|") as tar:
        with db.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            head = {
                "format": FORMAT,
                "revision": migrations.revision_of(connection),
                "version": version("retestr"),
                "madeAt": now().isoformat(),
            }
            _add(tar, HEAD, json.dumps(head).encode())
            counts = {table.name: _write_rows(tar, connection, table) for table in _tables()}
            images = connection.scalars(
                select(Image.sha256).where(Image.removed_at.is_(None)).order_by(Image.sha256)
            ).all()
        tell(f"{sum(counts.values())} rows of {len(counts)} tables")
        missing = []
        for number, name in enumerate(images, 1):
            if not _write_image(tar, store, name):
                missing.append(name)
            if number % 1000 == 0:
                tell(f"{number} of {len(images)} images")
        found = len(images) - len(missing)
        _add(tar, COUNTS, json.dumps({"rows": counts, "images": found}).encode())
    return Contents(sum(counts.values()), found, len(missing), _still_there(missing))


def _still_there(images: list[str]) -> int:
    """How many of the images the database still says are in the store."""
    count = 0
    for start in range(0, len(images), ROWS_AT_ONCE):
        these = Image.sha256.in_(images[start : start + ROWS_AT_ONCE]), Image.removed_at.is_(None)
        count += db.session.scalar(select(func.count()).select_from(Image).where(*these)) or 0
    return count


@contextmanager
def _made_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path`, readable by its owner alone, that takes its name when all is written and on the disk."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink()
                raise
    except StoreFailed:
        raise
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror or error}.") from error


def _write_rows(tar: tarfile.TarFile, connection: Any, table: Table) -> int:
    count = 0
    with tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as spool:
        with gzip.GzipFile(fileobj=spool, mode="wb", compresslevel=3, mtime=0) as packed:
            rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(
                select(table).order_by(*table.primary_key.columns)
            )
            for row in rows.mappings():
                line = {column.name: _packed(row[column]) for column in table.columns}
                packed.write(json.dumps(line).encode() + b"\n")
                count += 1
        size = spool.tell()
        spool.seek(0)
        tar.addfile(_entry(f"rows/{table.name}.jsonl.gz", size), spool)
    return count


def _write_image(tar: tarfile.TarFile, store: ImageStore, name: str) -> bool:
    try:
        image = store.get(name)
    except ImageMissing:
        return False
    if name_of(image) != name:
        return False
    _add(tar, f"images/{name}.png", image)
    return True


def _add(tar: tarfile.TarFile, name: str, body: bytes) -> None:
    tar.addfile(_entry(name, len(body)), io.BytesIO(body))


def _entry(name: str, size_bytes: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size_bytes, int(time.time()), 0o600
    return entry


# ------------------------------------------------------------------------------------------- reading


def read(path: Path, store: ImageStore, tell: Told) -> Contents:
    """Fills an empty database and a store from a backup, all rows or none.

    Counts of rows and hashes of images are checked. An image that the backup does not have is marked as removed. Raises
    `BackupError` where the database is not empty or the file is of another version, not whole or no backup, and
    `StoreFailed`.
    """
    try:
        with tarfile.open(path, mode="r|") as tar, writing() as session:
            entries = iter(tar)
            _check_head(tar, next(entries, None), session)
            return _fill(tar, entries, session, store, tell)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, ValueError, KeyError) as error:
        raise BackupError(
            f"{path} is damaged or no backup of retestr ({error}); nothing was restored."
        ) from error
    except StoreFailed:
        raise
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror or error}.") from error


def _check_head(tar: tarfile.TarFile, entry: tarfile.TarInfo | None, session: Session) -> None:
    if entry is None or entry.name != HEAD:
        raise ValueError("it does not begin like one")
    head = json.loads(_body(tar, entry))
    here = migrations.revision_of(session.connection())
    if head["format"] != FORMAT or head["revision"] != here:
        raise BackupError(
            f"This backup was made by retestr {head['version']} (tables {head['revision']}); this is "
            f"{version('retestr')} (tables {here}). Restore it with that version, then upgrade."
        )
    if session.scalar(select(Organization.id).limit(1)) is not None:
        raise BackupError(
            "The database is not empty. A backup is restored into a new one: set RETESTR_DATA, or "
            "RETESTR_DATABASE_URL, to where nothing is yet."
        )


def _fill(
    tar: tarfile.TarFile, entries: Iterator[tarfile.TarInfo], session: Session, store: ImageStore, tell: Told
) -> Contents:
    tables = {f"rows/{table.name}.jsonl.gz": table for table in _tables()}
    told: dict[str, Any] | None = None
    images: set[str] = set()
    for entry in entries:
        if entry.name in tables:
            _read_rows(tar, entry, tables[entry.name], session)
        elif entry.name.startswith("images/"):
            name = entry.name.removeprefix("images/").removesuffix(".png")
            image = _body(tar, entry)
            if name_of(image) != name:
                raise ValueError(f"the image {name} is not what its name says")
            store.put(image)
            images.add(name)
            if len(images) % 1000 == 0:
                tell(f"{len(images)} images")
        elif entry.name == COUNTS:
            told = json.loads(_body(tar, entry))
    if told is None:
        raise ValueError("its end is missing")
    counts = {table.name: session.scalar(select(func.count()).select_from(table)) for table in _tables()}
    if counts != told["rows"] or len(images) != told["images"]:
        raise ValueError("it does not hold as many rows and images as it says")
    _count_on(session)
    missing = _mark_missing(session, images)
    return Contents(sum(told["rows"].values()), len(images), missing)


def _read_rows(tar: tarfile.TarFile, entry: tarfile.TarInfo, table: Table, session: Session) -> None:
    session.execute(table.delete())  # what a new database comes with
    file = tar.extractfile(entry)
    assert file is not None
    batch: list[dict[str, Any]] = []
    with gzip.GzipFile(fileobj=file) as lines:
        for line in lines:
            row = json.loads(line)
            batch.append({column.name: _unpacked(column, row[column.name]) for column in table.columns})
            if len(batch) == ROWS_AT_ONCE:
                session.execute(insert(table), batch)
                batch = []
    if batch:
        session.execute(insert(table), batch)


def _count_on(session: Session) -> None:
    """Has PostgreSQL number the next event behind the restored ones: rows that bring a number do not move its counter."""
    last = session.scalar(select(func.max(AuditEvent.id)))
    if last is not None and session.get_bind().dialect.name == "postgresql":
        session.execute(
            select(func.setval(func.pg_get_serial_sequence(AuditEvent.__tablename__, "id"), last))
        )


def _mark_missing(session: Session, images: set[str]) -> int:
    named = set(session.scalars(select(Image.sha256).where(Image.removed_at.is_(None))))
    missing = sorted(named - images)
    for start in range(0, len(missing), ROWS_AT_ONCE):
        these = Image.sha256.in_(missing[start : start + ROWS_AT_ONCE])
        session.execute(update(Image).where(these).values(removed_at=now()))
    return len(missing)


def _body(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(entry)
    body = file.read() if file else b""
    if len(body) != entry.size:
        raise EOFError("it is cut off")
    return body


# ------------------------------------------------------------------------------------------- rows


def _tables() -> list[Table]:
    """Every table, those that others refer to first."""
    return Base.metadata.sorted_tables


def _packed(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _unpacked(column: Column[Any], value: Any) -> Any:
    if value is not None and isinstance(column.type, UtcDateTime):
        return datetime.fromisoformat(value)
    return base64.b64decode(value) if isinstance(column.type, LargeBinary) else value
