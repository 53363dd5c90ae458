"""The audit log: events, and which to list or export."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from server.api.shapes.base import Asked, NumberedPageQuery, Page, Shape
from server.api.texts import Instant


class AuditActor(Shape):
    """Who acted."""

    kind: Literal["user", "key", "cli", "system"]
    id: str | None
    name: str
    address: str | None


class AuditTarget(Shape):
    """What was acted upon."""

    kind: str
    id: str | None
    name: str | None


class AuditOut(Shape):
    """One event of the audit log."""

    id: str
    time: datetime
    actor: AuditActor
    action: str
    target: AuditTarget
    metadata: dict[str, Any]
    request_id: str | None


class AuditPage(Page[AuditOut]):
    """One page of a list."""


class AuditFilters(Asked):
    """Which events are asked for."""

    action: str | None = Field(
        None, max_length=40, description="Only events of this action.", examples=["RUN_TRIGGER"]
    )
    actor: str | None = Field(None, max_length=254, description="Name or ID of who acted.")
    target: str | None = Field(None, max_length=255, description="Name or ID of what was acted upon.")
    since: Instant | None = Field(None, description="Only events from this time on.")
    until: Instant | None = Field(None, description="Only events before this time.")


class AuditQuery(AuditFilters, NumberedPageQuery):
    """Which events to list."""


class AuditExportQuery(AuditFilters):
    """Which events to export, and how."""

    format: Literal["jsonl", "csv"] = Field("jsonl", description="JSON Lines unless `csv` is asked for.")
