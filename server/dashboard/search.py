"""The search in the bar on top: projects, runs by number, commit, branch or pull request, and tests by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import InstrumentedAttribute, contains_eager

from server.dashboard.visitors import organization_id
from server.database import db
from server.models import Baseline, Project, Run
from server.runs import baselines

MOST = 20
COMMIT = re.compile(r"[0-9a-f]{7,64}")


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule("/search", view_func=search)


def search() -> ResponseReturnValue:
    """What fits the words; straight to the run where a whole commit or number names only one."""
    wanted = request.args.get("q", "").strip()[:255]
    projects = _projects(wanted) if wanted else []
    runs = _runs(wanted) if wanted else []
    tests = _tests(wanted) if wanted else []
    if len(runs) == 1 and not projects and not tests:
        return redirect(url_for("dashboard.show_run", run_id=runs[0].id), 303)
    return render_template(
        "dashboard/search.html", wanted=wanted, projects=projects, runs=runs, tests=tests, most=MOST
    )


def _projects(wanted: str) -> Sequence[Project]:
    has = _contains(Project.name, wanted) | _contains(Project.slug, wanted)
    return db.session.scalars(
        select(Project)
        .where(Project.organization_id == organization_id(), has)
        .order_by(Project.name)
        .limit(MOST)
    ).all()


def _runs(wanted: str) -> Sequence[Run]:
    """Each way to name runs has its index, so that nothing is read through: the newest of each, together."""
    mine = Run.organization_id == organization_id()
    ways: list[ColumnElement[bool]] = [and_(mine, Run.branch == wanted)]
    if COMMIT.fullmatch(wanted.lower()):
        commit = wanted.lower()
        ways.append(and_(mine, Run.commit_sha >= commit, Run.commit_sha < f"{commit}g"))
    number = wanted.lstrip("#")
    if number.isascii() and number.isdigit() and len(number) < 10:
        ways.append(and_(Project.organization_id == organization_id(), Run.number == int(number)))
    found: dict[str, Run] = {}
    for way in ways:
        query = select(Run).join(Run.project).options(contains_eager(Run.project)).where(way)
        for run in db.session.scalars(query.order_by(Run.id.desc()).limit(MOST)):
            found[run.id] = run
    return [found[run_id] for run_id in sorted(found, reverse=True)][:MOST]


@dataclass(frozen=True)
class Found:
    """A test, by one of its baselines, and the name of its project."""

    baseline: Baseline
    project: str


def _tests(wanted: str) -> Sequence[Found]:
    """The current baselines on default branches whose test has a name like that, one for each test."""
    rows = db.session.execute(
        select(Baseline, Project.name)
        .join(Project, Project.id == Baseline.project_id)
        .where(
            Project.organization_id == organization_id(),
            Baseline.branch == Project.default_branch,
            Baseline.ended_at.is_(None),
            _contains(Baseline.test, wanted),
        )
        .order_by(Baseline.test, *baselines.NEWEST_FIRST)
        .limit(MOST * 10)
    )
    first: dict[tuple[str, str], Found] = {}
    for baseline, project in rows:
        first.setdefault((baseline.project_id, baseline.test), Found(baseline, project))
    return list(first.values())[:MOST]


def _contains(column: InstrumentedAttribute[str], wanted: str) -> ColumnElement[bool]:
    return func.lower(column).contains(wanted.lower(), autoescape=True)
