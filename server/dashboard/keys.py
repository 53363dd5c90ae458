"""Settings > API Keys: making, listing and revoking. A key's text is in one answer only, the one that made it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.access import keys, usage
from server.access.people import ADMIN
from server.access.scopes import SCOPES
from server.dashboard import queries
from server.dashboard.projects import server_url
from server.dashboard.visitors import actor, needs, organization_id
from server.database import now
from server.problems import Invalid

NOTES = {
    "unused": "No request was ever made with it.",
    "stale": "Its last successful request is long ago.",
    "overactive": "It makes more requests a day than most.",
    "expiring": "It expires soon.",
}
"""What is worth a second look at a key, and why (`usage.judge` decides)."""

USUAL_SCOPES = ("run:read", "run:write")


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule("/settings/api-keys", view_func=api_keys, methods=["GET", "POST"])
    pages.add_url_rule("/settings/api-keys/<key_id>/revoke", view_func=revoke_key, methods=["GET", "POST"])


def api_keys() -> ResponseReturnValue:
    """The list of keys; a POST makes one and shows it once, in this very answer."""
    needs(ADMIN)
    if request.method == "GET":
        return _page({"scopes": list(USUAL_SCOPES), "name": "", "expires": "", "projects": []})
    name, expires = (request.form.get(field, "").strip() for field in ("name", "expires"))
    scopes, projects = request.form.getlist("scopes"), request.form.getlist("projects")
    try:
        row, key = keys.create(
            organization_id(),
            _name(name),
            scopes,
            actor(),
            _expiry(expires),
            projects or None,
        )
    except Invalid as problem:
        form = {"name": name, "scopes": scopes, "expires": expires, "projects": projects}
        return _page(form, error=problem.message), 422
    return render_template("dashboard/key_created.html", row=row, key=key, server_url=server_url())


def revoke_key(key_id: str) -> ResponseReturnValue:
    """Asks, and then invalidates a key."""
    needs(ADMIN)
    key = queries.key_named(organization_id(), key_id)
    if request.method == "GET":
        return render_template("dashboard/revoke_key.html", key=key)
    keys.revoke(key, actor())
    flash(f"{key.name} is revoked. Requests with it are refused from now on.", "done")
    return redirect(url_for("dashboard.api_keys"), 303)


def _page(form: Mapping[str, object], error: str | None = None) -> str:
    projects, at = queries.projects_by_name(organization_id()), now()
    listed = sorted(keys.listed(organization_id()), key=lambda key: key.revoked_at is not None)
    return render_template(
        "dashboard/keys.html",
        keys=[(key, usage.judge(key, at)) for key in listed],
        projects=projects,
        project_names={project.id: project.name for project in projects},
        scopes=SCOPES,
        notes=NOTES,
        form=form,
        error=error,
    )


def _name(text: str) -> str:
    if len(text) > 200:
        raise Invalid("key-invalid", "The name has more than 200 characters.")
    return text


def _expiry(text: str) -> datetime | None:
    """The end of a day given as 2026-12-31, UTC; None where none is given."""
    if not text:
        return None
    try:
        return datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time(23, 59, 59), UTC)
    except ValueError:
        raise Invalid(
            "key-invalid", f"The expiry date {text!r} is no date; write it as 2026-12-31."
        ) from None
