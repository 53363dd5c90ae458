"""`/api/audit-logs`: who did what."""

from __future__ import annotations

from typing import Any

from flask import Response, g

from server import answers
from server.access import audit
from server.api.blueprint import api
from server.api.openapi import binary
from server.api.shapes.audit_logs import AuditExportQuery, AuditPage, AuditQuery
from server.models import AuditEvent
from server.paging import page


@api.get("/audit-logs")
@api.input(AuditQuery, location="query", arg_name="query")
@api.output(AuditPage)
def list_audit_events(query: AuditQuery) -> dict[str, Any]:
    """List the events of the audit log, the newest first"""
    found = audit.events(g.holder.organization_id, **query.model_dump(exclude={"limit", "cursor"}))
    rows, cursor = page(found, AuditEvent.id, query.limit, query.cursor)
    return {"items": [audit.as_json(event) for event in rows], "nextCursor": cursor}


@api.get("/audit-logs/export")
@api.input(AuditExportQuery, location="query", arg_name="query")
@api.doc(responses=binary("application/jsonl", "text/csv", description="The events, oldest first."))
def export_audit_events(query: AuditExportQuery) -> Response:
    """Export the audit log as JSON Lines or CSV, streamed"""
    found = audit.events(g.holder.organization_id, **query.model_dump(exclude={"format"}))
    return answers.audit_log(found, query.format)
