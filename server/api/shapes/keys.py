"""API keys: never the key itself, but in the answer to its creation."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, WithJsonSchema

from server.access.scopes import SCOPES
from server.api.shapes.base import Asked, Page, Shape
from server.api.texts import Days, Instant, Name

Scope = Annotated[str, WithJsonSchema({"type": "string", "enum": [*SCOPES]})]


class KeyIn(Asked):
    """A key to create."""

    name: Name = Field(description="What the key is for.", examples=["GitHub Actions CI"])
    scopes: list[Scope] = Field(
        min_length=1, max_length=20, description="What it allows.", examples=[["run:read", "run:write"]]
    )
    expires_at: Instant | None = Field(
        None, description="When it ends; a date that is past or more than 100 years off is refused."
    )
    expires_in_days: Days | None = Field(None, description="Instead of `expiresAt`.")
    project_ids: list[str] | None = Field(
        None, min_length=1, max_length=1000, description="Limit it to these projects, by ID or slug."
    )


class RotateIn(Asked):
    """How to rotate a key."""

    overlap_hours: float = Field(24, ge=0, le=720, strict=True, description="How long the old key lives on.")


class LeakedIn(Asked):
    """A key that was found in the open."""

    key: str = Field(min_length=1, max_length=200, description="The whole key.")


class LeakedOut(Shape):
    """What everybody is answered who reports a key."""

    status: str


class KeyOut(Shape):
    """A key as it is listed: never the key itself."""

    id: str
    name: str
    hint: str
    scopes: list[str]
    project_ids: list[str] | None
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None
    request_count: int
    requests_per_day: float = Field(description="Since its creation.")
    revoked_at: datetime | None
    created_by: str
    replaces_id: str | None = Field(description="The key that this one was rotated from.")
    notes: list[str] = Field(
        description="What to look at: revoked, expired, expiring (14 days), unused (never), stale (90 days), "
        "overactive."
    )


class KeyPage(Page[KeyOut]):
    """One page of a list."""


class KeyCreated(KeyOut):
    """A key just created; `key` is shown this once."""

    key: str
