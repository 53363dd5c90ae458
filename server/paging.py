"""Lists by cursor, of the API and the dashboard: each page starts where the one before ended, however much was added."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from server.database import db

Row = TypeVar("Row")


def page(
    query: Select[Row],
    column: InstrumentedAttribute[Any],
    limit: int,
    cursor: str | None,
    *,
    newest_first: bool = True,
) -> tuple[list[Row], str | None]:
    """One page of a query ordered by a unique column, and the cursor of the next one (None on the last)."""
    if cursor is not None:
        at = min(int(cursor), 2**31 - 1) if column.type.python_type is int else cursor
        query = query.where(column < at if newest_first else column > at)
    query = query.order_by(column.desc() if newest_first else column)
    rows = list(db.session.scalars(query.limit(limit + 1)))
    more = len(rows) > limit
    rows = rows[:limit]
    return rows, str(getattr(rows[-1], column.key)) if more else None


def page_from(
    query: Select[Row], column: InstrumentedAttribute[Any], limit: int, cursor: str
) -> tuple[list[Row], str | None]:
    """As `page`, with a cursor from an address that people may have changed: what cannot be one begins at the newest."""
    whole = cursor.isdecimal() and len(cursor) <= 10
    fits = whole if column.type.python_type is int else cursor.isalnum()
    return page(query, column, limit, cursor if fits else None)
