"""From an empty server to the first pictures: the first organisation, a project from an address, a run by hand."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.access import founding, passwords, people
from server.access.audit import Actor
from server.config import Settings
from server.dashboard import login
from server.dashboard.projects import name_problem
from server.dashboard.visitors import actor, organization_id
from server.models import Project, Run
from server.problems import Conflict, Invalid, NotFound, Problem
from server.runs import projects, trigger
from server.runs.trigger import Trigger

SUITE = """\
# Which pages to watch, in which viewports. Everything a suite can say: docs/suite.md
baseUrl: {origin}
viewports:
  - {{ name: desktop, width: 1280, height: 800 }}
  - {{ name: phone, width: 390, height: 844 }}
tests:
  - name: {name}
    path: {path}
"""


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule("/setup/<token>", view_func=found_organization, methods=["GET", "POST"])
    pages.add_url_rule("/projects/from-address", view_func=project_from_address, methods=["POST"])
    pages.add_url_rule("/projects/<slug>/run", view_func=run_now, methods=["POST"])


def found_organization(token: str) -> ResponseReturnValue:
    """Makes the first organisation and its Admin, and logs them in; only for an empty server and with its token."""
    if not founding.is_empty():
        return redirect(url_for("dashboard.log_in"), 303)
    if not founding.is_token(_settings(), token):
        raise NotFound(
            "setup-not-found",
            "This address sets nothing up. The server's log has the right one; it is printed at each start.",
        )
    form = {name: request.form.get(name, "").strip() for name in ("organization", "email")}
    if request.method != "POST":
        return _setup_page(form, None)
    address, password = request.remote_addr or "", request.form.get("password", "")
    founder = Actor("user", None, form["email"], address)
    try:
        _, user, _ = people.found_organization(form["organization"], form["email"], password, founder)
    except Invalid as problem:
        return _setup_page(form, problem.message), 422
    session_token = people.log_in(user, address, request.user_agent.string)
    if session_token is None:
        raise Conflict("not-a-member", "Somebody else was quicker. Log in, or ask them to invite you.")
    login.begin(session_token)
    return redirect(url_for("dashboard.list_projects"), 303)


def project_from_address() -> ResponseReturnValue:
    """Makes a project that watches one page, and takes its first pictures."""
    form = {name: request.form.get(name, "").strip() for name in ("address", "project")}
    try:
        origin, path = page_of(form["address"])
        name = form["project"] or urlsplit(origin).hostname or origin
        if wrong := name_problem(name):
            raise Invalid("name-invalid", wrong)
        page = "Home" if path == "/" else path.partition("?")[0].strip("/").rpartition("/")[2] or "Page"
        suite = SUITE.format(origin=json.dumps(origin), name=json.dumps(page), path=json.dumps(path))
        project = projects.create(organization_id(), name, actor(), suite=suite)
    except Problem as problem:
        page_again = render_template("dashboard/from_address.html", form=form, wrong=problem.message)
        return page_again, problem.status
    return redirect(url_for("dashboard.show_run", run_id=_triggered(project).id), 303)


def run_now(slug: str) -> ResponseReturnValue:
    """Triggers a run of the project's suite on its default branch."""
    project = projects.find(organization_id(), slug)
    return redirect(url_for("dashboard.show_run", run_id=_triggered(project).id), 303)


def page_of(address: str) -> tuple[str, str]:
    """The origin and the path of a page's address; `https://` is understood. Raises `Invalid`."""
    text = address if "://" in address else f"https://{address}"
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise Invalid(
            "address-invalid",
            f"{address!r} is no address of a page, such as https://staging.example.com/prices.",
        )
    path = parts.path or "/"
    return f"{parts.scheme}://{parts.netloc}", f"{path}?{parts.query}" if parts.query else path


def _triggered(project: Project) -> Run:
    settings = _settings()
    run, _ = trigger.trigger(
        project,
        Trigger(project.default_branch),
        actor(),
        settings.max_snapshots,
        max_unfinished=settings.max_unfinished_runs,
    )
    return run


def _setup_page(form: dict[str, str], wrong: str | None) -> str:
    return render_template("dashboard/setup.html", form=form, wrong=wrong, min_length=passwords.MIN_LENGTH)


def _settings() -> Settings:
    settings: Settings = current_app.extensions["retestr"]
    return settings
