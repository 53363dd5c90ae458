"""What the tables share."""

from __future__ import annotations

import base64
import secrets
import time
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import (
    Index,
    String,
    literal_column,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Base, UtcDateTime, db, now

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


def new_id() -> str:
    """A public identifier of 24 characters: 56 bits of time in microseconds, then 64 random bits.

    Base 32 in an alphabet that sorts, so that later means greater and new index entries lie side by side.
    """
    stamp = int(time.time() * 1_000_000).to_bytes(7, "big")
    return base64.b32hexencode(stamp + secrets.token_bytes(8)).decode().lower()


def where_set(name: str, column: str, *columns: str) -> Index:
    """An index of the few rows whose `column` is not null."""
    condition = literal_column(f'"{column}"').is_not(None)
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


class Id:
    """The primary key that most tables share."""

    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)


class Created:
    """When the row was made."""

    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
