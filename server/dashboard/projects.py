"""The list of projects, a project's runs, making a project, and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.config import Settings
from server.dashboard import marks, queries
from server.dashboard.suites import EXAMPLE_SUITE, suite_sent
from server.dashboard.visitors import actor, organization_id
from server.models import Project
from server.problems import Conflict, Problem
from server.runs import lifecycle, projects, secrets
from server.runs.kept import MOST_DAYS

KEEP = {
    "keep_passing_days": "Images of passing runs",
    "keep_failing_days": "Images of failing runs",
    "keep_runs_days": "Runs and their verdicts",
}
WRONG_DAYS = f"Give a whole number of days up to {MOST_DAYS}, or leave it empty."
MOST_PATTERNS = 50


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule("/", view_func=list_projects)
    pages.add_url_rule("/projects/new", view_func=new_project, methods=["GET", "POST"])
    pages.add_url_rule("/projects/<slug>", view_func=show_project)
    pages.add_url_rule("/projects/<slug>/rows", view_func=run_rows)
    pages.add_url_rule("/projects/<slug>/news", view_func=run_news)
    pages.add_url_rule("/projects/<slug>/settings", view_func=project_settings, methods=["GET", "POST"])
    pages.add_url_rule("/projects/<slug>/delete", view_func=delete_project, methods=["GET", "POST"])
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
    form = {"name": _text("name"), "default_branch": _text("default_branch"), "suite": suite_sent()}
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
            return _new_form(form, {"name": problem.message}, None, problem.status)
        return _new_form(form, {}, problem, problem.status)
    return redirect(url_for("dashboard.show_project", slug=project.slug), 303)


def show_project(slug: str) -> ResponseReturnValue:
    """A project's runs, newest first."""
    project = projects.find(organization_id(), slug)
    filters, before = _run_filters(), request.args.get("cursor", "")
    runs, cursor = queries.runs_of(project, filters, before)
    branches, keys = queries.recent_choices(project)
    return render_template(
        "dashboard/project.html",
        project=project,
        runs=runs,
        cursor=cursor,
        before=before,
        newest=None if before else project.run_count,
        filters=filters,
        filtered={name: value for name, value in filters.items() if value},
        statuses=queries.RUN_STATUSES,
        branches=branches,
        keys=keys,
        unfinished=queries.unfinished(organization_id()),
        has_ci=queries.has_used_key(project),
        server_url=server_url(),
    )


def run_rows(slug: str) -> ResponseReturnValue:
    """The rows of unfinished runs where something happened; one request for all of a page. `run`: ID.STATUS.DONE."""
    project = projects.find(organization_id(), slug)
    seen = request.args.getlist("run")[: queries.RUNS_PER_PAGE]
    runs = queries.runs_named(project, [state.partition(".")[0] for state in seen])
    moved = [run for run in runs if marks.state(run) not in seen]
    if not moved:
        return Response(status=204)
    return render_template("dashboard/run_rows.html", project=project, runs=runs, moved=moved)


def run_news(slug: str) -> ResponseReturnValue:
    """How many runs there are that a first page, made when `since` was the newest, does not show; a bar that says so."""
    project = projects.find(organization_id(), slug)
    filters, since = _run_filters(), request.args.get("since", 0, type=int)
    count = queries.runs_since(project, filters, max(0, since)) if since < project.run_count else 0
    if str(count) == request.args.get("told", "0"):
        return Response(status=204)
    filtered = {name: value for name, value in filters.items() if value}
    return render_template(
        "dashboard/run_news.html",
        project=project,
        filtered=filtered,
        newest=since,
        count=count,
        most=queries.RUNS_PER_PAGE,
    )


def project_settings(slug: str) -> ResponseReturnValue:
    """A project's name, default branch, retention and rules of approval, and the form to change them."""
    project = projects.find(organization_id(), slug)
    if request.method != "POST":
        return settings_page(project)
    form = {name: _text(name) for name in ("name", "default_branch", "auto_approve", *KEEP)}
    patterns = [line.strip() for line in form["auto_approve"].splitlines() if line.strip()]
    days = {name: int(form[name]) if form[name] else None for name in KEEP if _is_days(form[name])}
    wrong = _missing(form) | {name: WRONG_DAYS for name in KEEP if name not in days}
    if len(patterns) > MOST_PATTERNS or any(len(pattern) > 255 for pattern in patterns):
        wrong["auto_approve"] = (
            f"Give up to {MOST_PATTERNS} patterns, one a line, each of up to 255 characters."
        )
    seen = request.form.get("seen")
    if wrong:
        return _settings_form(project, form, wrong, seen=seen), 422
    values = {
        "name": form["name"],
        "default_branch": form["default_branch"],
        "auto_approve": patterns,
        **days,
    }
    try:
        projects.change(project, actor(), seen, **values)
    except Conflict as problem:
        return _settings_form(project, form, {}, conflict=problem.message), problem.status
    flash("The settings are saved.", "done")
    return redirect(url_for("dashboard.project_settings", slug=project.slug), 303)


def settings_page(project: Project, secret: Mapping[str, str] | None = None) -> str:
    """A project's settings as they are; `secret` is what was sent to store one, and what is wrong with it."""
    form = {name: getattr(project, name) for name in ("name", "default_branch", *KEEP)}
    form["auto_approve"] = "\n".join(project.auto_approve)
    return _settings_form(project, form, {}, secret)


def delete_project(slug: str) -> ResponseReturnValue:
    """Asks, and then deletes a project with all that belongs to it; not while a run is under way."""
    project = projects.find(organization_id(), slug)
    if request.method != "POST":
        return render_template("dashboard/project_delete.html", project=project)
    name = project.name
    projects.remove(project, actor())
    flash(f"{name} is deleted.", "done")
    return redirect(url_for("dashboard.list_projects"), 303)


def name_problem(name: str) -> str | None:
    """What is wrong with a project's name."""
    if not name:
        return "Give the project a name, such as the site's."
    return "The name has more than 200 characters." if len(name) > 200 else None


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


def _run_filters() -> dict[str, str]:
    return {name: request.args.get(name, "") for name in ("branch", "status", "key")}


def _text(name: str) -> str:
    return request.form.get(name, "").replace("\r\n", "\n").strip()


def _is_days(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and int(text[:6]) <= MOST_DAYS)


def _settings_form(
    project: Project,
    form: Mapping[str, Any],
    wrong: Mapping[str, str],
    secret: Mapping[str, str] | None = None,
    seen: str | None = None,
    conflict: str = "",
) -> str:
    """The form as it is or was sent; `seen` is which state of the settings it was made from, if not from the stored one."""
    settings: Settings = current_app.extensions["retestr"]
    defaults = {name: getattr(settings, name) for name in KEEP}
    return render_template(
        "dashboard/project_settings.html",
        project=project,
        form=form,
        wrong=wrong,
        seen=seen or projects.state(project, "name", "default_branch", "auto_approve", *KEEP),
        conflict=conflict,
        keep=KEEP,
        defaults=defaults,
        most_days=MOST_DAYS,
        secrets=secrets.listed(project),
        secret=secret or {},
    )


def _missing(form: Mapping[str, str]) -> dict[str, str]:
    wrong = {}
    if problem := name_problem(form["name"]):
        wrong["name"] = problem
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
