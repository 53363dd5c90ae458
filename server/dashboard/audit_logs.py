"""Settings > Audit Logs: who did what, newest first, filtered, and as a file."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Select

from server import answers
from server.access import audit
from server.dashboard import queries
from server.dashboard.visitors import organization_id
from server.models import AuditEvent
from server.problems import Invalid

FILTERS = ("actor", "action", "target", "since", "until")


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule("/settings/audit-logs", view_func=audit_logs)
    pages.add_url_rule(
        "/settings/audit-logs/export.<any(jsonl, csv):form>", view_func=export_audit_logs, methods=["GET"]
    )


def audit_logs() -> ResponseReturnValue:
    """One page of the events that fit the filters."""
    asked = _asked()
    found, wrong = _found(asked)
    before = request.args.get("cursor", "")
    events, cursor = queries.events(found, before)
    return render_template(
        "dashboard/audit_logs.html",
        events=events,
        cursor=cursor,
        before=before,
        asked=asked,
        filters={name: value for name, value in asked.items() if value},
        actions=queries.actions(organization_id()),
        wrong=wrong,
    )


def export_audit_logs(form: str) -> ResponseReturnValue:
    """All events that fit the filters, oldest first, as JSON Lines or CSV, piece by piece."""
    found, wrong = _found(_asked())
    if wrong:
        raise Invalid("date-invalid", wrong)
    return answers.audit_log(found, form)


def _asked() -> dict[str, str]:
    return {name: request.args.get(name, "").strip() for name in FILTERS}


def _found(asked: dict[str, str]) -> tuple[Select[AuditEvent], str | None]:
    """The query for the filters, and what is wrong with a date; both days count whole, in UTC."""
    days: dict[str, datetime | None] = {"since": None, "until": None}
    wrong = None
    for name in days:
        try:
            days[name] = _day(asked[name])
        except ValueError:
            wrong = f"{asked[name]!r} is no date; write it as 2026-12-31."
    found = audit.events(
        organization_id(),
        action=asked["action"],
        actor=asked["actor"],
        target=asked["target"],
        since=days["since"],
        until=_end(days["until"]),
    )
    return found, wrong


def _day(text: str) -> datetime | None:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) if text else None


def _end(day: datetime | None) -> datetime | None:
    """When a day is over; None, no limit, for the last day that there is."""
    return day + timedelta(days=1) if day and day.date() < date.max else None
