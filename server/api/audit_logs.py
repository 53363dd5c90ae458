"""`/api/audit-logs`: who did what."""

from __future__ import annotations

from typing import Any

from flask import Response, g, stream_with_context

from server.access import audit
from server.api import shapes
from server.api.blueprint import api
from server.api.openapi import binary
from server.api.paging import page
from server.models import AuditEvent

TYPES = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}


@api.get("/audit-logs")
@api.input(shapes.AuditQuery, location="query", arg_name="query")
@api.output(shapes.AuditPage)
def list_audit_events(query: shapes.AuditQuery) -> dict[str, Any]:
    """List the events of the audit log, the newest first"""
    found = audit.events(g.holder.organization_id, **query.model_dump(exclude={"limit", "cursor"}))
    rows, cursor = page(found, AuditEvent.id, query.limit, query.cursor)
    return {"items": [audit.as_json(event) for event in rows], "nextCursor": cursor}


@api.get("/audit-logs/export")
@api.input(shapes.AuditExportQuery, location="query", arg_name="query")
@api.doc(responses=binary("application/jsonl", "text/csv", description="The events, oldest first."))
def export_audit_events(query: shapes.AuditExportQuery) -> Response:
    """Export the audit log as JSON Lines or CSV, streamed"""
    found = audit.events(g.holder.organization_id, **query.model_dump(exclude={"format"}))
    answer = Response(
        stream_with_context(audit.export(found, query.format)), content_type=TYPES[query.format]
    )
    answer.headers["Content-Disposition"] = f"attachment; filename=audit-log.{query.format}"
    return answer
