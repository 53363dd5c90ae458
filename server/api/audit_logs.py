"""`/api/audit-logs`: who did what."""

from __future__ import annotations

from typing import Any

from flask import g
from sqlalchemy import select

from server.api import shapes
from server.api.blueprint import api
from server.api.paging import page
from server.models import AuditEvent


@api.get("/audit-logs")
@api.input(shapes.AuditQuery, location="query", arg_name="query")
@api.output(shapes.AuditPage)
def list_audit_events(query: shapes.AuditQuery) -> dict[str, Any]:
    """List the events of the audit log, the newest first"""
    events = select(AuditEvent).where(AuditEvent.organization_id == g.holder.organization_id)
    if query.action is not None:
        events = events.where(AuditEvent.action == query.action)
    rows, cursor = page(events, AuditEvent.id, query.limit, query.cursor)
    return {"items": [_json(event) for event in rows], "nextCursor": cursor}


def _json(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": str(event.id),
        "time": event.at,
        "actor": {
            "kind": event.actor_kind,
            "id": event.actor_id,
            "name": event.actor_name,
            "address": event.address,
        },
        "action": event.action,
        "target": {"kind": event.target_kind, "id": event.target_id, "name": event.target_name},
        "metadata": event.details,
        "request_id": event.request_id,
    }
