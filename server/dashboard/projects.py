"""The list of projects, a project's runs, making a project, its suite and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.config import Settings
from server.dashboard import queries
from server.dashboard.visitors import actor, organization_id
from server.models import Project
from server.problems import Problem
from server.runs import lifecycle, projects, secrets
from server.runs.kept import MOST_DAYS

KEEP = {
    "keep_passing_days": "Images of passing runs",
    "keep_failing_days": "Images of failing runs",
    "keep_runs_days": "Runs and their verdicts",
}
WRONG_DAYS = f"Give a whole number of days up to {MOST_DAYS}, or leave it empty."
EXAMPLE_SUITE = """\
baseUrl: https://staging.example.com
viewports:
  - { name: desktop, width: 1280, height: 800 }
  - { name: phone, width: 390, height: 844 }
tests:
  - name: Home
    path: /
"""


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule("/", view_func=list_projects)
    pages.add_url_rule("/projects/new", view_func=new_project, methods=["GET", "POST"])
    pages.add_url_rule("/projects/<slug>", view_func=show_project)
    pages.add_url_rule("/projects/<slug>/suite", view_func=suite, methods=["GET", "POST"])
    pages.add_url_rule("/projects/<slug>/settings", view_func=project_settings, methods=["GET", "POST"])
    pages.add_url_rule("/cancel-all", view_func=cancel_all, methods=["GET", "POST"])


def server_url() -> str:
    """The address under which this server is reached, without a slash at its end."""
    settings: Settings = current_app.extensions["retestr"]
    return (settings.public_url or request.url_root).rstrip("/")


def list_projects() -> ResponseReturnValue:
    """Every project with its latest verdicts."""
    return render_template("dashboard/projects.html", overviews=queries.overviews(organization_id()))


def new_project() -> ResponseReturnValue:
    """The form for a project; what was typed stays when something is wrong."""
    if request.method != "POST":
        return _new_form({"default_branch": "main", "suite": EXAMPLE_SUITE}, {}, None, 200)
    form = {name: _text(name) for name in ("name", "default_branch", "suite")}
    wrong = _missing(form)
    if wrong:
        return _new_form(form, wrong, None, 422)
    try:
        project = projects.create(
            organization_id(),
            form["name"],
            actor(),
            suite=form["suite"] if form["suite"].strip() else "",
            default_branch=form["default_branch"],
        )
    except Problem as problem:
        if problem.code == "project-exists":
            return _new_form(form, {"name": problem.message}, None, 409)
        return _new_form(form, {}, problem, 422)
    return redirect(url_for("dashboard.show_project", slug=project.slug), 303)


def show_project(slug: str) -> ResponseReturnValue:
    """A project's runs, newest first."""
    project = projects.find(organization_id(), slug)
    branch, status = request.args.get("branch", ""), request.args.get("status", "")
    runs, cursor = queries.runs_of(project, branch, status, request.args.get("cursor", ""))
    return render_template(
        "dashboard/project.html",
        project=project,
        runs=runs,
        cursor=cursor,
        branch=branch,
        status=status,
        statuses=queries.RUN_STATUSES,
        branches=queries.recent_branches(project),
        unfinished=queries.unfinished(organization_id()),
        server_url=server_url(),
    )


def suite(slug: str) -> ResponseReturnValue:
    """A project's suite, and the form to change it for those who may."""
    project = projects.find(organization_id(), slug)
    if request.method != "POST":
        return render_template(
            "dashboard/suite.html", project=project, text=project.suite or EXAMPLE_SUITE, problem=None
        )
    text = _text("suite")
    try:
        if not text.strip():
            projects.read_suite(text)
        projects.change(project, actor(), suite=text)
    except Problem as problem:
        return render_template("dashboard/suite.html", project=project, text=text, problem=problem), 422
    flash("The suite is saved. The next run uses it.", "done")
    return redirect(url_for("dashboard.suite", slug=project.slug), 303)


def project_settings(slug: str) -> ResponseReturnValue:
    """A project's name, default branch and retention, and the form to change them."""
    project = projects.find(organization_id(), slug)
    if request.method != "POST":
        return settings_page(project)
    form = {name: _text(name) for name in ("name", "default_branch", *KEEP)}
    days = {name: int(form[name]) if form[name] else None for name in KEEP if _is_days(form[name])}
    wrong = _missing(form) | {name: WRONG_DAYS for name in KEEP if name not in days}
    if wrong:
        return _settings_form(project, form, wrong), 422
    projects.change(project, actor(), name=form["name"], default_branch=form["default_branch"], **days)
    flash("The settings are saved.", "done")
    return redirect(url_for("dashboard.project_settings", slug=project.slug), 303)


def settings_page(project: Project, secret: Mapping[str, str] | None = None) -> str:
    """A project's settings as they are; `secret` is what was sent to store one, and what is wrong with it."""
    form = {name: getattr(project, name) for name in ("name", "default_branch", *KEEP)}
    return _settings_form(project, form, {}, secret)


def cancel_all() -> ResponseReturnValue:
    """Asks, and then cancels every unfinished run of the organisation."""
    back = url_for("dashboard.list_projects")
    if slug := request.values.get("project"):
        back = url_for("dashboard.show_project", slug=projects.find(organization_id(), slug).slug)
    if request.method != "POST":
        count = queries.unfinished(organization_id())
        return render_template("dashboard/cancel_all.html", count=count, back=back, project=slug)
    count = lifecycle.cancel_all(organization_id(), actor())
    flash("1 run is cancelled." if count == 1 else f"{count} runs are cancelled.", "done")
    return redirect(back, 303)


def _text(name: str) -> str:
    text = request.form.get(name, "").replace("\r\n", "\n")
    return text if name == "suite" else text.strip()


def _is_days(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and int(text[:6]) <= MOST_DAYS)


def _settings_form(
    project: Project,
    form: Mapping[str, Any],
    wrong: Mapping[str, str],
    secret: Mapping[str, str] | None = None,
) -> str:
    settings: Settings = current_app.extensions["retestr"]
    defaults = {name: getattr(settings, name) for name in KEEP}
    return render_template(
        "dashboard/project_settings.html",
        project=project,
        form=form,
        wrong=wrong,
        keep=KEEP,
        defaults=defaults,
        most_days=MOST_DAYS,
        secrets=secrets.listed(project),
        secret=secret or {},
    )


def _missing(form: Mapping[str, str]) -> dict[str, str]:
    wrong = {}
    if not form["name"]:
        wrong["name"] = "Give the project a name, such as the site's."
    elif len(form["name"]) > 200:
        wrong["name"] = "The name has more than 200 characters."
    if not form["default_branch"] or len(form["default_branch"]) > 255:
        wrong["default_branch"] = "Name the branch whose looks count as right, usually main."
    return wrong


def _new_form(
    form: Mapping[str, Any], wrong: Mapping[str, str], problem: Problem | None, status: int
) -> ResponseReturnValue:
    return (
        render_template("dashboard/project_new.html", form=form, wrong=wrong, problem=problem),
        status,
    )
