"""Settings > API Keys: making, listing, rotating and revoking. A key's text is in the one answer that made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.access import keys, usage
from server.access.scopes import SCOPES
from server.dashboard import formats, queries
from server.dashboard.projects import server_url
from server.dashboard.visitors import actor, organization_id
from server.database import db, now
from server.models import ApiKey, Project
from server.problems import Invalid

USUAL_SCOPES = ("run:read", "run:write")
LIFETIMES = {"": "never", "30": "in 30 days", "90": "in 90 days", "365": "in 365 days", "date": "on a date"}
OVERLAPS = {"0": "at once", "24": "in 24 hours", "168": "in 7 days"}
"""When the old key of a rotation ends, by hours."""
SORTS: dict[str, Callable[[ApiKey], Any]] = {
    "name": lambda key: key.name.casefold(),
    "created": lambda key: key.id,
    "used": lambda key: key.last_used_at.timestamp() if key.last_used_at else 0.0,
    "requests": lambda key: key.request_count,
}


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    own = "/settings/api-keys"
    pages.add_url_rule(own, view_func=api_keys, methods=["GET", "POST"])
    pages.add_url_rule(f"{own}/<key_id>/rotate", view_func=rotate_key, methods=["GET", "POST"])
    pages.add_url_rule(f"{own}/<key_id>/revoke", view_func=revoke_key, methods=["GET", "POST"])


def api_keys() -> ResponseReturnValue:
    """The list of keys; a POST makes one and shows it once, in this very answer."""
    if request.method != "POST":
        return _page({"scopes": list(USUAL_SCOPES), "projects": []})
    form = {field: request.form.get(field, "").strip() for field in ("name", "expires_in", "expires")}
    scopes, projects = request.form.getlist("scopes"), request.form.getlist("projects")
    try:
        row, key = keys.create(
            organization_id(),
            _name(form["name"]),
            scopes,
            actor(),
            _expiry(form["expires_in"], form["expires"]),
            projects or None,
        )
    except Invalid as problem:
        return _page({**form, "scopes": scopes, "projects": projects}, problem.message), 422
    return _created(row, key, None)


def rotate_key(key_id: str) -> ResponseReturnValue:
    """Asks for the overlap, and then shows the successor once."""
    old = queries.key_named(organization_id(), key_id)
    if request.method != "POST":
        return render_template("dashboard/rotate_key.html", key=old, overlaps=OVERLAPS)
    hours = request.form.get("overlap", "24")
    if hours not in OVERLAPS:
        raise Invalid("overlap-invalid", f"The old key can end {', '.join(OVERLAPS.values())}.")
    row, key = keys.rotate(old, actor(), timedelta(hours=int(hours)))
    return _created(row, key, old)


def revoke_key(key_id: str) -> ResponseReturnValue:
    """Asks, and then invalidates a key."""
    key = queries.key_named(organization_id(), key_id)
    if request.method != "POST":
        return render_template("dashboard/revoke_key.html", key=key)
    keys.revoke(key, actor())
    flash(f"{key.name} is revoked. Requests with it are refused from now on.", "done")
    return redirect(url_for("dashboard.api_keys"), 303)


def _created(row: ApiKey, key: str, old: ApiKey | None) -> str:
    """The one answer that holds a key's text. A key of one project has it in its workflow."""
    only = row.project_ids[0] if row.project_ids and len(row.project_ids) == 1 else None
    return render_template(
        "dashboard/key_created.html",
        row=row,
        key=key,
        old=old,
        project=db.session.get(Project, only) if only else None,
        server_url=server_url(),
    )


def notes_on(key: ApiKey, at: datetime) -> Iterator[tuple[str, str, datetime | None]]:
    """What a person should know of a key, as (tone, words, the time that they tell of); of one that is over, only that."""
    judgement = usage.judge(key, at)
    for note in judgement.notes:
        if note == "revoked" and key.revoked_at:
            yield "red", f"revoked {formats.relative(key.revoked_at, at)}", key.revoked_at
            return
        if note == "expired" and key.expires_at:
            yield "red", f"expired {formats.relative(key.expires_at, at)}", key.expires_at
            return
        if note == "expiring" and key.expires_at:
            yield "amber", f"expires {formats.relative(key.expires_at, at)}", key.expires_at
        elif note == "unused":
            yield "grey", "unused", None
        elif note == "stale":
            yield "amber", f"stale: no use in {usage.STALE_AFTER.days} days", None
        elif note == "overactive":
            per_day = formats.number(round(judgement.requests_per_day))
            yield "amber", f"overactive: {per_day} requests/day", None


def _page(form: Mapping[str, object], error: str | None = None) -> str:
    sort, show = request.args.get("sort", "-created"), request.args.get("show", "active")
    rows, at = keys.listed(organization_id()), now()
    active = [row for row in rows if not _is_over(row, at)]
    shown = active if show == "active" else rows
    if (column := sort.removeprefix("-")) in SORTS:
        shown = sorted(shown, key=SORTS[column], reverse=sort.startswith("-"))
    projects = queries.projects_by_name(organization_id())
    return render_template(
        "dashboard/keys.html",
        keys=shown,
        active=len(active),
        total=len(rows),
        sort=sort,
        show=show,
        by_id={row.id: row for row in rows},
        successors={row.replaces_id: row for row in rows if row.replaces_id},
        notes={row.id: list(notes_on(row, at)) for row in shown},
        is_over={row.id for row in shown if _is_over(row, at)},
        projects=projects,
        project_names={project.id: project.name for project in projects},
        scopes=SCOPES,
        lifetimes=LIFETIMES,
        form={"name": "", "expires_in": "", "expires": "", **form},
        error=error,
    )


def _is_over(key: ApiKey, at: datetime) -> bool:
    return key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= at)


def _name(text: str) -> str:
    if len(text) > 200:
        raise Invalid("key-invalid", "The name has more than 200 characters.")
    return text


def _expiry(lifetime: str, day: str) -> datetime | None:
    """When a key ends: in so many days, or at the end of a day given as 2026-12-31, UTC; None: never."""
    if lifetime not in LIFETIMES:
        raise Invalid("key-invalid", "A key expires never, in 30, 90 or 365 days, or on a date.")
    if lifetime.isdecimal():
        if day:
            raise Invalid("key-invalid", "Choose a number of days or a date, not both.")
        return now() + timedelta(days=int(lifetime))
    if not day:
        if lifetime == "date":
            raise Invalid("key-invalid", "Give the date on which the key expires.")
        return None
    try:
        return datetime.combine(datetime.strptime(day, "%Y-%m-%d").date(), time(23, 59, 59), UTC)
    except ValueError:
        raise Invalid("key-invalid", f"The expiry date {day!r} is no date; write it as 2026-12-31.") from None
