"""Failures that no request is to blame for and that pass: a full disk, a database or a store that is busy or away,
and somebody who was quicker.

The API and the dashboard turn each into an answer (409, 503 or 507) that says what to do and when to ask again.
"""

from __future__ import annotations

import errno
import sqlite3
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from server.images import StoreFailed


@dataclass(frozen=True)
class Outage:
    """What is told about a failure: HTTP status, a code for programs, a title and a sentence for people."""

    status: int
    code: str
    title: str
    message: str
    retry_after_s: int


DISK_FULL = Outage(
    507,
    "disk-full",
    "The disk is full",
    "The server's disk is full: nothing can be stored. Free space where RETESTR_DATA is, or make it larger; runs under "
    "way then go on by themselves, and this request can be sent again.",
    30,
)
BUSY = Outage(
    503,
    "database-busy",
    "The database is busy",
    "The database was too busy to take this in time. Send the request again in a few seconds.",
    5,
)
AWAY = Outage(
    503,
    "database-away",
    "The database is away",
    "The server's database cannot be used at the moment. Send the request again later; `retestr doctor` on the server "
    "tells what is wrong.",
    10,
)
OTHER_WAS_FIRST = Outage(
    409,
    "changed-meanwhile",
    "Somebody else was quicker",
    "Somebody else changed the same at the same moment, and nothing of this was stored. Send the request again: it then "
    "meets what is there now.",
    1,
)
STORE_AWAY = Outage(
    503,
    "store-away",
    "The image store is away",
    "The server's image store cannot be used at the moment. Send the request again later; `retestr doctor` on the "
    "server tells what is wrong.",
    10,
)

_SQLITE = {
    sqlite3.SQLITE_FULL: DISK_FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: DISK_FULL,  # no room for the file that its connections share
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_IOERR: AWAY,
    sqlite3.SQLITE_CANTOPEN: AWAY,
    sqlite3.SQLITE_READONLY: AWAY,
}
_POSTGRESQL = {
    "53100": DISK_FULL,
    "53": BUSY,  # insufficient resources, such as too many connections
    "23503": OTHER_WAS_FIRST,  # what a row refers to was removed meanwhile
    "23505": OTHER_WAS_FIRST,  # what shall be unique was made meanwhile; SQLite writes one after the other
    "40": BUSY,  # a transaction was rolled back: deadlock, serialization
    "55P03": BUSY,  # a lock was not had in time
    "57014": BUSY,  # a statement took too long
    "57P": AWAY,  # shutting down or starting
    "58": AWAY,  # an error of the machine
    "08": AWAY,  # connection
}
"""Beginnings of SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html."""


def outage(error: BaseException) -> Outage | None:
    """Which outage an exception means; None for one that is a fault of the program."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_FULL
    if isinstance(error, StoreFailed):
        return STORE_AWAY
    if isinstance(error, NoConnectionFree):
        return BUSY
    cause = error.orig if isinstance(error, DBAPIError) else error  # `Prepared` raises what the driver raises
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0)
        return _SQLITE.get(code) or _SQLITE.get(code & 0xFF)  # the low byte is the primary code
    if hasattr(type(cause), "sqlstate"):
        return _of_postgresql(getattr(cause, "sqlstate", None), type(cause).__name__)
    return None


def _of_postgresql(sqlstate: str | None, name: str) -> Outage | None:
    if sqlstate is None:  # the driver itself: no connection, or a lost one
        return AWAY if name in ("OperationalError", "ConnectionTimeout", "InterfaceError") else None
    return next((_POSTGRESQL[start] for n in (5, 3, 2) if (start := sqlstate[:n]) in _POSTGRESQL), None)
