"""A project's health: how many of its last runs passed, how long they took and waited, which pages pass only on retry."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from server.dashboard import formats, queries
from server.dashboard.visitors import organization_id
from server.database import db
from server.models import Baseline, Project, Run, Snapshot
from server.runs import projects

RUNS = 50
LOOKED_AT = 500
"""So many of the latest runs are looked through for `RUNS` that have a verdict."""
VERDICTS = ("PASSED", "FAILED", "ERROR")
SHAKIEST = 20
BAR, GAP, HIGH = 8, 2, 100
"""Of a plot, in its own units: a bar's width, the space to the next, and the height of the largest."""


@dataclass(frozen=True)
class Bar:
    """A run in a plot."""

    run: Run
    seconds: float
    x: int
    height: float


@dataclass(frozen=True)
class Plot:
    """Seconds of each run as bars, the newest on the right."""

    bars: tuple[Bar, ...]
    median: float
    most: float
    p95: float

    width = RUNS * (BAR + GAP)

    @property
    def median_y(self) -> float:
        """Where the line of the median is."""
        return HIGH - self._height(self.median)

    def _height(self, seconds: float) -> float:
        return round(HIGH * seconds / self.most, 1) if self.most else 0.0

    @classmethod
    def of(cls, runs: Sequence[Run], seconds: Sequence[float]) -> Plot | None:
        """The plot of these runs, oldest first; None where there are none."""
        if not runs:
            return None
        p95 = sorted(seconds)[math.ceil(0.95 * len(seconds)) - 1]  # the nearest rank
        empty = cls((), statistics.median(seconds), max(seconds), p95)
        first = RUNS - len(runs)
        bars = (
            Bar(run, value, (first + place) * (BAR + GAP), max(1.0, empty._height(value)))
            for place, (run, value) in enumerate(zip(runs, seconds, strict=True))
        )
        return cls(tuple(bars), empty.median, empty.most, empty.p95)


@dataclass(frozen=True)
class Shaky:
    """A page that passed only on retry: how often within the last runs, and in which run last."""

    test: str
    viewport: str
    times: int
    last_run_id: str
    baseline: Baseline | None


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule("/projects/<slug>/health", view_func=health)


def health(slug: str) -> ResponseReturnValue:
    """The last 50 runs with a verdict, of all branches or one."""
    project = projects.find(organization_id(), slug)
    branch = request.args.get("branch", "")
    runs = _last(project, branch)
    ran, took_s, waited_s = [], [], []
    for run in runs:
        if run.started_at and run.finished_at:
            ran.append(run)
            took_s.append(formats.seconds_between(run.started_at, run.finished_at))
            waited_s.append(formats.seconds_between(run.created_at, run.started_at))
    return render_template(
        "dashboard/health.html",
        project=project,
        branch=branch,
        branches=queries.recent_choices(project)[0],
        runs=runs,
        passed=sum(run.status == "PASSED" for run in runs),
        took=Plot.of(ran, took_s),
        waited=Plot.of(ran, waited_s),
        bar=BAR,
        high=HIGH,
        shaky=_shaky(project, runs),
        most_runs=RUNS,
    )


def _last(project: Project, branch: str) -> list[Run]:
    """The latest runs that have a verdict, oldest first."""
    query = select(Run).where(Run.project_id == project.id, Run.organization_id == project.organization_id)
    if branch:
        query = query.where(Run.branch == branch)
    latest = db.session.scalars(query.order_by(Run.id.desc()).limit(LOOKED_AT))
    return [run for run in latest if run.status in VERDICTS][:RUNS][::-1]


def _shaky(project: Project, runs: Sequence[Run]) -> list[Shaky]:
    times = func.count().label("times")
    rows = db.session.execute(
        select(Snapshot.test, Snapshot.viewport, times, func.max(Snapshot.run_id).label("last_run_id"))
        .where(Snapshot.run_id.in_([run.id for run in runs if run.flaky]), Snapshot.flaky)
        .group_by(Snapshot.test, Snapshot.viewport)
        .order_by(times.desc(), Snapshot.test, Snapshot.viewport)
        .limit(SHAKIEST)
    ).all()
    looks = queries.looks(project, [row.test for row in rows])
    return [
        Shaky(row.test, row.viewport, row.times, row.last_run_id, looks.get((row.test, row.viewport)))
        for row in rows
    ]
