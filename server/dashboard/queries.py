"""What only pages ask of the database: a bounded number of queries for each, however much there is to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Integer, Select, column, func, select, values
from sqlalchemy.orm import joinedload

from server.database import db
from server.models import ApiKey, AuditEvent, Project, Run
from server.problems import NotFound
from server.runs.lifecycle import UNFINISHED

RUNS_PER_PAGE = 50
EVENTS_PER_PAGE = 100
HISTORY = 12
MOST_EVENTS = 2**31
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
    project: Project, branch: str, status: str, cursor: str, limit: int = RUNS_PER_PAGE
) -> tuple[Sequence[Run], str | None]:
    """One page of a project's runs, newest first, and the cursor of the next (None on the last)."""
    query = select(Run).where(
        Run.project_id == project.id, Run.organization_id == project.organization_id
    )  # the organisation is what indexes of branches and statuses begin with
    if branch:
        query = query.where(Run.branch == branch)
    if status in RUN_STATUSES:
        query = query.where(Run.status == status)
    if cursor.isalnum():
        query = query.where(Run.id < cursor)
    rows = db.session.scalars(query.order_by(Run.id.desc()).limit(limit + 1)).all()
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def recent_branches(project: Project) -> list[str]:
    """The branches of a project's latest 500 runs, by name, the default branch first."""
    latest = select(Run.branch).where(Run.project_id == project.id).order_by(Run.id.desc()).limit(500)
    found = db.session.scalars(select(latest.subquery().c.branch).distinct()).all()
    return sorted(found, key=lambda name: (name != project.default_branch, name))


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
    found: Select[AuditEvent], cursor: int | None, limit: int = EVENTS_PER_PAGE
) -> tuple[Sequence[AuditEvent], int | None]:
    """One page of the events of `audit.events()`, newest first, and the cursor of the next (None on the last)."""
    if cursor is not None and cursor < MOST_EVENTS:
        found = found.where(AuditEvent.id < cursor)
    rows = db.session.scalars(found.order_by(AuditEvent.id.desc()).limit(limit + 1)).all()
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def actions(organization_id: str) -> Sequence[str]:
    """The actions that an organisation's audit log knows."""
    return db.session.scalars(
        select(AuditEvent.action)
        .where(AuditEvent.organization_id == organization_id)
        .distinct()
        .order_by(AuditEvent.action)
    ).all()
