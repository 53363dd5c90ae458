"""What all shapes have in common: how members are named, and how lists are asked for and answered."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from server.api.texts import Cursor, NameCursor, Position

T = TypeVar("T")


class Asked(BaseModel):
    """Base of what is sent: camelCase, unknown members ignored, so that newer clients can talk to us."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")


class Shape(BaseModel):
    """Base of what is answered: camelCase outside; views fill it in by the names of the tables' columns."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Page(Shape, Generic[T]):
    """One page of a list; `nextCursor` asks for the next one, and is null on the last."""

    items: list[T]
    next_cursor: str | None


class Limited(Asked):
    """How many items of a list are asked for."""

    limit: int = Field(50, ge=1, le=200, description="Most items of the answer.")


class PageQuery(Limited):
    """How every list is asked for."""

    cursor: Cursor | None = Field(None, description="`nextCursor` of the page before.")


class NumberedPageQuery(Limited):
    """The same for lists in the order of a number."""

    cursor: Position | None = Field(None, description="`nextCursor` of the page before.")


class NamedPageQuery(Limited):
    """The same for lists in the order of a name."""

    cursor: NameCursor | None = Field(None, description="`nextCursor` of the page before.")
