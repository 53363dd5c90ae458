"""Suites: the project's own with its editor, and the one that a run was made from, to read."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server import answers
from server.dashboard import queries, reviewing
from server.dashboard.visitors import actor, organization_id
from server.models import Baseline, Project
from server.problems import Conflict, Invalid, Problem
from server.runs import projects, suites

MOST_TESTS = 100
"""So many of a suite's tests are listed beside it."""
LINES_PER_PAGE = 1000
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
    pages.add_url_rule("/projects/<slug>/suite", view_func=suite, methods=["GET", "POST"])
    pages.add_url_rule("/runs/<run_id>/suite", view_func=run_suite)
    pages.add_url_rule("/runs/<run_id>/suite.yml", view_func=run_suite_file)


def suite(slug: str) -> ResponseReturnValue:
    """A project's suite, and the form to change it for those who may."""
    project = projects.find(organization_id(), slug)
    if request.method != "POST":
        return _suite_page(project, project.suite or EXAMPLE_SUITE, None)
    text, seen = suite_sent(), request.form.get("seen")
    try:
        if not text.strip():
            projects.read_suite(text)
        projects.change(project, actor(), seen, suite=text)
    except Conflict as conflict:
        return _suite_page(project, text, conflict), conflict.status
    except Problem as problem:
        return _suite_page(project, text, problem, seen), problem.status
    flash("The suite is saved. The next run uses it.", "done")
    return redirect(url_for("dashboard.suite", slug=project.slug), 303)


def suite_sent() -> str:
    """The suite that a form sends."""
    return request.form.get("suite", "").replace("\r\n", "\n")


def run_suite(run_id: str) -> ResponseReturnValue:
    """The suite of a run with line numbers, from the page on which `test` is named; a long one in parts."""
    run = queries.run_named(organization_id(), run_id)
    version = suites.of(run)
    test = request.args.get("test", "")
    at = suites.line_of(version.text, test) if test else None
    lines = version.text.rstrip("\n").split("\n")
    parts = -(-len(lines) // LINES_PER_PAGE)
    part = request.args.get("part", 1 + ((at or 1) - 1) // LINES_PER_PAGE, type=int)
    part = min(max(1, part), parts)
    first = (part - 1) * LINES_PER_PAGE
    return render_template(
        "dashboard/run_suite.html",
        run=run,
        version=version,
        links=reviewing.links(run),
        test=test,
        at=at,
        lines=lines[first : first + LINES_PER_PAGE],
        first=first + 1,
        part=part,
        parts=parts,
        line_count=len(lines),
    )


def run_suite_file(run_id: str) -> Response:
    """The suite of a run as a file, byte for byte."""
    run = queries.run_named(organization_id(), run_id)
    answer = answers.suite(suites.of(run).text)
    answer.headers["Content-Disposition"] = f"attachment; filename={run.project.slug}-{run.number}.yml"
    return answer


def _suite_page(project: Project, text: str, problem: Problem | None, seen: str | None = None) -> str:
    """The editor; beside it the tests of the stored suite, each with how it shall look.

    `seen` is which state of the suite the text was made from, if not from the stored one.
    """
    try:
        tests = projects.read_suite(project.suite).tests if project.suite else ()
    except Invalid:  # stored by an earlier version, which understood more
        tests = ()
    looks: dict[str, Baseline] = {}
    for (name, _), baseline in queries.looks(project, [test.name for test in tests[:MOST_TESTS]]).items():
        looks.setdefault(name, baseline)  # one viewport's is enough
    return render_template(
        "dashboard/suite.html",
        project=project,
        text=text,
        problem=problem,
        seen=seen or projects.state(project, "suite"),
        tests=tests[:MOST_TESTS],
        test_count=len(tests),
        looks=looks,
        brought=suites.last_sent(project),
    )
