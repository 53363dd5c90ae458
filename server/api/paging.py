"""Lists by cursor: each page starts where the one before ended, however much was added meanwhile."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from server.database import db
from server.problems import Invalid

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
        at = _value(cursor, column)
        query = query.where(column < at if newest_first else column > at)
    query = query.order_by(column.desc() if newest_first else column)
    rows = list(db.session.scalars(query.limit(limit + 1)))
    more = len(rows) > limit
    rows = rows[:limit]
    return rows, str(getattr(rows[-1], column.key)) if more else None


def _value(cursor: str, column: InstrumentedAttribute[Any]) -> Any:
    kind = column.type.python_type
    try:
        value = kind(cursor)
        if isinstance(value, str) and not (value.isascii() and value.isalnum()):
            raise ValueError
        if isinstance(value, int) and not -(2**31) <= value < 2**31:
            raise ValueError
        return value
    except ValueError:
        raise Invalid(
            "cursor-invalid", "The cursor is not one that a list of this API has answered."
        ) from None
