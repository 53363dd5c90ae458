"""A full disk, a busy or missing database: answers that say what to do, and a server that recovers by itself."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from obstore.exceptions import GenericError
from psycopg import OperationalError, errors
from sqlalchemy import event
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from server import database
from server.database import db
from server.images import StoreFailed
from server.outages import AWAY, BUSY, DISK_FULL, OTHER_WAS_FIRST, STORE_AWAY, Outage, outage
from tests.conftest import World

FULL = "Generic LocalFileSystem error: Unable to copy data to file: No space left on device (os error 28)\n\nDebug"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)


@contextmanager
def full(world: World) -> Iterator[None]:
    """SQLite may add no page to its file, which it tells as it tells a full disk."""

    def no_growth(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count=1")  # not below what it has

    event.listen(db.engine, "connect", no_growth)
    db.engine.dispose()
    yield
    event.remove(db.engine, "connect", no_growth)
    db.engine.dispose()


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Another process writes and does not end."""
    other = sqlite3.connect(db.engine.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


@pytest.mark.parametrize(("trouble", "expected"), [(full, DISK_FULL), (locked, BUSY)])
def test_the_api_says_what_to_do_and_works_again_afterwards(
    world: World, trouble: object, expected: Outage
) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("how to fill or lock a database differs; PostgreSQL's codes are in the table below")
    api = world.api()
    suite = "baseUrl: http://127.0.0.1:9\ntests:\n" + "".join(
        f"  - {{name: t{i}, path: /{i}}}\n" for i in range(500)
    )
    body = {"projectId": world.shop.slug, "branch": "main", "suite": suite}
    with trouble(world):
        answer = api.post("/runs", body)
        assert (answer.status_code, answer.json["error"]["code"]) == (expected.status, expected.code)
        assert answer.json["error"]["message"] == expected.message
        assert answer.headers["Retry-After"] == str(expected.retry_after_s)
    for _ in range(40):  # more than the pool has connections
        assert api.get("/runs").status_code == 200
    assert api.get("/runs").json["items"] == [], "of what failed, nothing is there"
    assert api.post("/runs", body).status_code == 201


def test_what_fails_after_the_view_has_answered_is_told_as_well(world: World) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("how to lock a database differs")
    api = world.api()
    with locked(world):  # reading is possible, counting the request is not
        answer = api.get("/runs")
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "database-busy")


def test_the_dashboard_shows_a_page(world: World) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("how to lose a database differs")
    Path(db.engine.url.database).unlink()
    Path(db.engine.url.database).mkdir()
    db.engine.dispose()
    client = world.app.test_client()
    answer = client.get("/invitations/anything")
    assert answer.status_code == 503
    assert "database" in answer.text
    assert answer.headers["Retry-After"] == "10"
    assert "<html" in answer.text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DISK_FULL),
        (OSError(errno.EACCES, "Permission denied"), None),
        (StoreFailed(GenericError(FULL)), DISK_FULL),
        (StoreFailed(GenericError("Generic S3 error: connection refused")), STORE_AWAY),
        (NoConnectionFree("QueuePool limit"), BUSY),
        (errors.DiskFull(), DISK_FULL),
        (errors.TooManyConnections(), BUSY),
        (errors.DeadlockDetected(), BUSY),
        (errors.LockNotAvailable(), BUSY),
        (errors.AdminShutdown(), AWAY),
        (errors.ConnectionFailure(), AWAY),
        (OperationalError("connection refused"), AWAY),
        (errors.UniqueViolation(), OTHER_WAS_FIRST),
        (errors.ForeignKeyViolation(), OTHER_WAS_FIRST),
        (errors.NotNullViolation(), None),
        (errors.SyntaxError(), None),
        (sqlite3.OperationalError("no such table: run"), None),
        (KeyError("a fault of ours"), None),
    ],
)
def test_only_what_passes_is_an_outage(error: Exception, expected: Outage | None) -> None:
    assert outage(error) == expected
