"""What only pages ask of the database: a bounded number of queries for each, however much there is to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Integer, Select, column, func, select, values
from sqlalchemy.orm import joinedload

from server.database import db
from server.models import ApiKey, AuditEvent, Baseline, Project, Run
from server.paging import page_from
from server.problems import NotFound
from server.runs import baselines
from server.runs.lifecycle import UNFINISHED

T = TypeVar("T")

RUNS_PER_PAGE = 50
EVENTS_PER_PAGE = 100
HISTORY = 12
RUN_STATUSES = ("PENDING", "RUNNING", "PASSED", "FAILED", "ERROR", "CANCELLED")


@dataclass(frozen=True)
class Overview:
    """A project as the list of projects shows it: its newest run, and the verdicts up to it, oldest first."""

    project: Project
    last: Run | None
    history: tuple[tuple[int, str, str], ...]  # (number, status, run ID)


def overviews(organization_id: str) -> list[Overview]:
    """All projects of an organisation, those with the newest runs first."""
    newest = (Run.project_id == Project.id) & (Run.number == Project.run_count)
    rows = db.session.execute(
        select(Project, Run)
        .outerjoin(Run, newest)
        .where(Project.organization_id == organization_id)
        .order_by(Run.id.desc().nulls_last(), Project.name)
    ).all()
    # One number after the other, so that an index finds each: for a range, PostgreSQL reads all runs.
    back = values(column("by", Integer), name="back").data([(by,) for by in range(HISTORY)]).cte("back")
    history: dict[str, list[tuple[int, str, str]]] = {}
    for project_id, number, status, run_id in db.session.execute(
        select(Run.project_id, Run.number, Run.status, Run.id)
        .join(Project, Project.id == Run.project_id)
        .join(back, Run.number == Project.run_count - back.c.by)
        .where(Project.organization_id == organization_id)
        .order_by(Run.number)
    ):
        history.setdefault(project_id, []).append((number, status, run_id))
    return [Overview(project, run, tuple(history.get(project.id, ()))) for project, run in rows]


def runs_of(
    project: Project, filters: Mapping[str, str], cursor: str, limit: int = RUNS_PER_PAGE
) -> tuple[Sequence[Run], str | None]:
    """One page of a project's runs, newest first, and the cursor of the next (None on the last).

    `filters`: `branch`, `status` and `key` (the name of the key or person that triggered them); empty: all.
    """
    query = _filtered(select(Run), project, filters)
    return page_from(query, Run.id, limit, cursor)


def runs_since(project: Project, filters: Mapping[str, str], number: int) -> int:
    """How many runs that the filters let through are newer than a number; counted up to a page of them."""
    known = select(Run.id).where(Run.project_id == project.id, Run.number == number)
    newer = _filtered(select(Run.id), project, filters).where(Run.number > number).limit(RUNS_PER_PAGE)
    if (newest := db.session.scalar(known)) is not None:  # every index of runs ends with the ID
        newer = newer.where(Run.id > newest)
    return db.session.scalar(select(func.count()).select_from(newer.subquery())) or 0


def _filtered(query: Select[T], project: Project, filters: Mapping[str, str]) -> Select[T]:
    """A project's runs that the filters let through; the organisation is what some indexes begin with."""
    query = query.where(Run.project_id == project.id, Run.organization_id == project.organization_id)
    if filters["branch"]:
        query = query.where(Run.branch == filters["branch"])
    if filters["status"] in RUN_STATUSES:
        query = query.where(Run.status == filters["status"])
    if filters["key"]:
        query = query.where(Run.triggered_by == filters["key"])
    return query


def recent_choices(project: Project) -> tuple[list[str], list[str]]:
    """The branches of a project's latest 500 runs, the default branch first, and what triggered them, by name."""
    latest = select(Run.branch, Run.triggered_by).where(Run.project_id == project.id)
    found = db.session.execute(latest.order_by(Run.id.desc()).limit(500)).all()
    branches = sorted({row.branch for row in found}, key=lambda name: (name != project.default_branch, name))
    return branches, sorted({row.triggered_by for row in found})


def unfinished(organization_id: str) -> int:
    """How many runs of an organisation are not over."""
    return (
        db.session.scalar(
            select(func.count())
            .select_from(Run)
            .where(Run.organization_id == organization_id, Run.status.in_(UNFINISHED))
        )
        or 0
    )


def has_used_key(project: Project) -> bool:
    """Whether a request was ever made with a key that may see a project."""
    used = ApiKey.organization_id == project.organization_id, ApiKey.request_count > 0
    return any(
        ids is None or project.id in ids
        for ids in db.session.scalars(select(ApiKey.project_ids).where(*used))
    )


def looks(project: Project, tests: Sequence[str]) -> dict[tuple[str, str], Baseline]:
    """How some tests shall look on the default branch: current baselines by (test, viewport), the newest first."""
    rows = db.session.scalars(
        select(Baseline)
        .where(
            Baseline.project_id == project.id,
            Baseline.branch == project.default_branch,
            Baseline.ended_at.is_(None),
            Baseline.test.in_(tests),
        )
        .order_by(*baselines.NEWEST_FIRST)
    )
    newest: dict[tuple[str, str], Baseline] = {}
    for row in rows:
        newest.setdefault((row.test, row.viewport), row)
    return newest


def runs_named(project: Project, run_ids: Sequence[str]) -> Sequence[Run]:
    """Some runs of a project, those that are there, newest first."""
    query = select(Run).where(Run.project_id == project.id, Run.id.in_(run_ids))
    return db.session.scalars(query.order_by(Run.id.desc())).all()


def run_named(organization_id: str, run_id: str) -> Run:
    """A run of an organisation, with its project. Raises `NotFound`."""
    run = db.session.scalar(
        select(Run)
        .options(joinedload(Run.project))
        .where(Run.id == run_id, Run.organization_id == organization_id)
    )
    if run is None:
        raise NotFound("run-not-found", f"There is no run {run_id!r} in your organisation.")
    return run


def key_named(organization_id: str, key_id: str) -> ApiKey:
    """A key of an organisation. Raises `NotFound`."""
    key = db.session.get(ApiKey, key_id)
    if key is None or key.organization_id != organization_id:
        raise NotFound("key-not-found", f"There is no API key {key_id!r} in your organisation.")
    return key


def projects_by_name(organization_id: str) -> Sequence[Project]:
    """All projects of an organisation."""
    return db.session.scalars(
        select(Project).where(Project.organization_id == organization_id).order_by(Project.name)
    ).all()


def events(
    found: Select[AuditEvent], cursor: str, limit: int = EVENTS_PER_PAGE
) -> tuple[Sequence[AuditEvent], str | None]:
    """One page of the events of `audit.events()`, newest first, and the cursor of the next (None on the last)."""
    return page_from(found, AuditEvent.id, limit, cursor)


def actions(organization_id: str) -> Sequence[str]:
    """The actions that an organisation's audit log knows."""
    return db.session.scalars(
        select(AuditEvent.action)
        .where(AuditEvent.organization_id == organization_id)
        .distinct()
        .order_by(AuditEvent.action)
    ).all()
