"""Settings > Organisation: its name; and the switch between the organisations of a person."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from server.access import people
from server.dashboard.visitors import actor
from server.models import Organization
from server.problems import Conflict, Invalid


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    switch = "/organizations/<organization_id>/switch"
    pages.add_url_rule("/settings/organization", view_func=organization, methods=["GET", "POST"])
    pages.add_url_rule(switch, view_func=switch_organization, methods=["POST"])


def organization() -> ResponseReturnValue:
    """The organisation's name, and the form to change it."""
    if request.method != "POST":
        return _page(g.visitor.organization.name)
    name = request.form.get("name", "")
    try:
        people.rename_organization(g.visitor.organization, name, actor())
    except (Invalid, Conflict) as problem:
        return _page(name, problem.message), problem.status
    flash("The name is saved.", "done")
    return redirect(url_for("dashboard.organization"), 303)


def switch_organization(organization_id: str) -> ResponseReturnValue:
    """Turns the session to another organisation of the visitor."""
    people.switch(session["token"], organization_id, actor())
    return redirect(url_for("dashboard.list_projects"), 303)


def to_switch_to() -> Sequence[Organization]:
    """The visitor's other organisations, for the bar on top."""
    return [one for one in people.organizations_of(g.visitor.user) if one.id != g.visitor.organization.id]


def _page(name: str, error: str | None = None) -> str:
    return render_template("dashboard/organization.html", name=name, error=error)
