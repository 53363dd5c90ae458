"""Settings > Audit Logs: who did what, newest first."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from server.access.people import ADMIN
from server.dashboard import queries
from server.dashboard.visitors import needs, organization_id


def add_to(pages: Blueprint) -> None:
    """Adds the route."""
    pages.add_url_rule("/settings/audit-logs", view_func=audit_logs)


def audit_logs() -> ResponseReturnValue:
    """One page of the audit log, filtered by action."""
    needs(ADMIN)
    action = request.args.get("action", "")
    events, cursor = queries.events(organization_id(), action, request.args.get("cursor", type=int))
    return render_template(
        "dashboard/audit_logs.html",
        events=events,
        cursor=cursor,
        action=action,
        actions=queries.actions(organization_id()),
    )
