"""The audit log: who did what to which thing, when and from where.

Only ever added to: triggers in the database refuse UPDATE and DELETE (migration 0002).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import g
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from server import times
from server.database import db
from server.models import AuditEvent, Membership, User

BATCH = 500

ACTIONS: dict[str, str] = {
    "ACCOUNT_RECLAIM": "A provider vouched for an account's address, and older ways into it ended.",
    "API_KEY_CREATE": "An API key was created.",
    "API_KEY_REVOKE": "An API key was revoked.",
    "API_KEY_REVOKE_LEAKED": "Whoever held a key reported it as leaked, which revoked it.",
    "API_KEY_ROTATE": "An API key was rotated: it got a successor.",
    "BASELINES_EXPIRE": "Retention ended baselines of branches that nothing has run on for 30 days.",
    "BASELINE_APPROVE": "A change was approved: its image is the branch's baseline.",
    "BASELINE_AUTO_APPROVE": "A change was approved because its branch fits one of the project's patterns.",
    "BASELINE_CARRY": "An approval arrived from another branch, with the image.",
    "BASELINE_REJECT": "A change was rejected, by a person or because its image was rejected before.",
    "BASELINE_RESTORE": "An older baseline was made the current one again.",
    "BASELINE_UNDO": "A decision about a change was undone.",
    "LOGIN": "Somebody logged in.",
    "LOGIN_CONNECT": "Somebody connected an account elsewhere to log in with.",
    "LOGIN_DISCONNECT": "Somebody disconnected an account elsewhere.",
    "LOGOUT": "Somebody logged out.",
    "MEMBER_ADD": "Somebody became a member.",
    "MEMBER_INVITE": "Somebody was invited.",
    "MEMBER_INVITE_WITHDRAW": "An invitation was withdrawn.",
    "MEMBER_LEAVE": "A member left the organisation.",
    "MEMBER_REMOVE": "A member was taken out.",
    "MEMBER_ROLE_CHANGE": "A member's role changed.",
    "ORGANIZATION_CREATE": "The organisation was made.",
    "ORGANIZATION_SWITCH": "Somebody turned their session to this organisation, or away from it.",
    "ORGANIZATION_UPDATE": "The organisation's name changed.",
    "PASSWORD_CHANGE": "A member changed their password.",
    "PASSWORD_RESET": "A member's password was reset by a link.",
    "PASSWORD_RESET_LINK": "An Admin made a link that resets a member's password.",
    "PROJECT_CREATE": "A project was created.",
    "PROJECT_DELETE": "A project was deleted, with its runs and baselines.",
    "PROJECT_UPDATE": "A project's settings changed.",
    "RUNS_EXPIRE": "Retention removed runs.",
    "RUN_CANCEL": "A run was cancelled.",
    "RUN_CANCEL_ALL": "All unfinished runs of the organisation were cancelled.",
    "RUN_TRIGGER": "A run was triggered.",
    "SECRET_DELETE": "A secret of a project was deleted.",
    "SECRET_SET": "A secret of a project was stored or replaced.",
    "SESSIONS_END_OTHERS": "Somebody ended all their sessions but the one they were in.",
    "SESSION_END": "Somebody ended one of their other sessions.",
    "SUITE_UPDATE": "A project's suite was replaced.",
    "USER_RENAME": "A member changed their name.",
}
"""Every action that `record` is given, and what it means; a test keeps the list whole."""


@dataclass(frozen=True)
class Actor:
    """Who acts: a person (`user`), a key, somebody at the command line (`cli`) or retestr itself (`system`)."""

    kind: str
    id: str | None
    name: str
    address: str | None = None
    request_id: str | None = None

    def __str__(self) -> str:
        return self.name


def person(user: User, address: str | None = None, request_id: str | None = None) -> Actor:
    """Somebody who is logged in, or just logging in, as the one who acts."""
    return Actor("user", user.id, user.email, address, request_id)


SYSTEM = Actor("system", None, "retestr")
CLI = Actor("cli", None, "command line")


def record(
    organization_id: str,
    actor: Actor,
    action: str,
    target: tuple[str, str | None, str | None],
    **details: Any,
) -> None:
    """Adds one event to the current writing transaction, so that a change and its record stand or fall together.

    `target` is (kind, id, name); `details` must be plain JSON and never hold a secret. The request's ID is that of the
    request being answered (`g.request_id`), unless the actor names one.
    """
    kind, target_id, target_name = target
    db.session.add(
        AuditEvent(
            organization_id=organization_id,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_name=actor.name,
            address=actor.address,
            action=action,
            target_kind=kind,
            target_id=target_id,
            target_name=target_name[:255] if target_name else None,
            details={name: value for name, value in details.items() if value is not None},
            request_id=actor.request_id or g.get("request_id"),
        )
    )


def record_everywhere(session: Session, user: User, actor: Actor, action: str, **details: Any) -> None:
    """Adds one event about a person to the log of each of their organisations, as `record` does."""
    theirs = select(Membership.organization_id).where(Membership.user_id == user.id)
    for organization_id in session.scalars(theirs).all():
        record(organization_id, actor, action, ("user", user.id, user.email), **details)


def events(
    organization_id: str,
    *,
    action: str | None = None,
    actor: str | None = None,
    target: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Select[AuditEvent]:
    """The events of an organisation that fit all filters; `actor` and `target` are names or IDs."""
    found = select(AuditEvent).where(AuditEvent.organization_id == organization_id)
    if action:
        found = found.where(AuditEvent.action == action)
    if actor:
        found = found.where((AuditEvent.actor_name == actor) | (AuditEvent.actor_id == actor))
    if target:
        found = found.where((AuditEvent.target_name == target) | (AuditEvent.target_id == target))
    if since:
        found = found.where(AuditEvent.at >= since)
    if until:
        found = found.where(AuditEvent.at < until)
    return found


def as_json(event: AuditEvent) -> dict[str, Any]:
    """One event with the members that the API documents; the time as RFC 3339."""
    return {
        "id": str(event.id),
        "time": times.rfc_3339(event.at),
        "actor": {
            "kind": event.actor_kind,
            "id": event.actor_id,
            "name": event.actor_name,
            "address": event.address,
        },
        "action": event.action,
        "target": {"kind": event.target_kind, "id": event.target_id, "name": event.target_name},
        "metadata": event.details,
        "requestId": event.request_id,
    }


def export(found: Select[AuditEvent], form: str) -> Iterator[str]:
    """The events of `events()`, oldest first, as JSON Lines (`jsonl`) or CSV (`csv`), piece by piece.

    However long the log is, a few hundred events are in memory at a time.
    """
    if form == "csv":
        yield _csv_row(CSV_COLUMNS)
    last = 0
    while True:
        batch = db.session.scalars(
            found.where(AuditEvent.id > last).order_by(AuditEvent.id).limit(BATCH)
        ).all()
        for event in batch:
            told = as_json(event)
            yield _csv_row(_flat(told)) if form == "csv" else json.dumps(told, ensure_ascii=False) + "\n"
        if len(batch) < BATCH:
            return
        last = batch[-1].id
        db.session.expunge_all()


CSV_COLUMNS = (
    "id", "time", "action", "actor_kind", "actor_id", "actor_name", "actor_address", "target_kind", "target_id",
    "target_name", "metadata", "request_id",
)  # fmt: skip


def _flat(told: dict[str, Any]) -> tuple[str | None, ...]:
    actor, target = told["actor"], told["target"]
    return (
        told["id"], told["time"], told["action"], actor["kind"], actor["id"], actor["name"], actor["address"],
        target["kind"], target["id"], target["name"], json.dumps(told["metadata"], ensure_ascii=False),
        told["requestId"],
    )  # fmt: skip


def _csv_row(values: tuple[str | None, ...]) -> str:
    """One line of CSV (RFC 4180); what a spreadsheet would run as a formula is quoted first (OWASP, CSV injection)."""
    line = io.StringIO()
    safe = [f"'{value}" if value and value[0] in "=+-@\t\r" else value for value in values]
    csv.writer(line).writerow(safe)
    return line.getvalue()
