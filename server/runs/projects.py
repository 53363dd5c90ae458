"""Projects: making, changing, finding and removing them, and the suite each one keeps."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, func, select

from server.access import audit
from server.access.audit import Actor
from server.database import db, now, writing
from server.models import Baseline, Chunk, Idempotency, Project, ProjectSecret, Run, Snapshot
from server.problems import Conflict, Invalid, NotFound
from server.runs.lifecycle import UNFINISHED
from server.runs.suite import Suite, SuiteError, parse


def find(organization_id: str, name: str) -> Project:
    """The project with that ID or slug. Raises `NotFound` naming it."""
    project = db.session.scalar(
        select(Project).where(
            Project.organization_id == organization_id, (Project.id == name) | (Project.slug == name)
        )
    )
    if project is None:
        raise no_project(name)
    return project


def no_project(name: str) -> NotFound:
    """That there is no such project, or none that whoever asks may know of: the words are the same."""
    return NotFound(
        "project-not-found", f"There is no project {name!r} here. Use the ID or slug of one that is listed."
    )


def read_suite(text: str) -> Suite:
    """Parses a suite. Raises `Invalid` with every problem's line, column and what was expected."""
    try:
        return parse(text)
    except SuiteError as error:
        raise Invalid(
            "suite-invalid",
            f"The suite cannot be used: {error}",
            [
                {"line": p.line, "column": p.column, "path": p.path, "message": p.message}
                for p in error.problems
            ],
        ) from None


def create(
    organization_id: str,
    name: str,
    actor: Actor,
    suite: str = "",
    default_branch: str = "main",
    slug: str = "",
) -> Project:
    """Makes a project. Raises `Invalid` for a bad suite and `Conflict` for a slug that is taken."""
    if suite:
        read_suite(suite)
    slug = slug or slug_of(name)
    with writing() as session:
        taken = session.scalar(
            select(Project.id).where(Project.organization_id == organization_id, Project.slug == slug)
        )
        if taken:
            raise Conflict(
                "project-exists",
                f"A project with the slug {slug!r} exists already; choose another name or slug.",
            )
        project = Project(
            organization_id=organization_id,
            name=name,
            slug=slug,
            default_branch=default_branch,
            suite=suite,
            suite_changed_at=now() if suite else None,
        )
        session.add(project)
        session.flush()
        audit.record(organization_id, actor, "PROJECT_CREATE", ("project", project.id, project.slug))
    return project


def state(project: Project, *names: str) -> str:
    """What these members of a project hold now, as `change` takes it for `seen`."""
    return _digest({name: getattr(project, name) for name in names})


def change(project: Project, actor: Actor, seen: str | None = None, **values: Any) -> Project:
    """Changes `name`, `default_branch`, `suite`, `auto_approve` or the days of retention; the audit log keeps both states.

    `seen` is the `state` of these members that whoever changes them has seen; None: whichever it is. Raises `Invalid`
    for a suite that cannot be used and `Conflict` where somebody has changed them meanwhile; then nothing is stored.
    """
    if values.get("suite"):
        read_suite(values["suite"])
    with writing() as session:
        session.refresh(project)
        before = {name: getattr(project, name) for name in values}
        changed = {name: value for name, value in values.items() if before[name] != value}
        if changed and seen not in (None, _digest(before)):
            raise Conflict(
                "changed-meanwhile",
                "Somebody else has saved this meanwhile. What you sent is below and not saved: look in another tab at "
                "what is stored, then save again what shall replace it.",
            )
        for name, value in changed.items():
            setattr(project, name, value)
        if changed:
            project.updated_at = now()
            if "suite" in changed:
                project.suite_changed_at = project.updated_at
            action = "SUITE_UPDATE" if set(changed) == {"suite"} else "PROJECT_UPDATE"
            audit.record(
                project.organization_id,
                actor,
                action,
                ("project", project.id, project.slug),
                before={name: before[name] for name in changed},
                after=changed,
            )
    return project


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def remove(project: Project, actor: Actor) -> None:
    """Deletes a project with its runs and baselines. Raises `Conflict` while a run is unfinished."""
    with writing() as session:
        busy = session.scalar(
            select(Run.id).where(Run.project_id == project.id, Run.status.in_(UNFINISHED)).limit(1)
        )
        if busy:
            raise Conflict(
                "project-busy", f"Run {busy} is not finished; cancel it first, then delete the project."
            )
        runs = select(Run.id).where(Run.project_id == project.id)
        count = session.scalar(select(func.count()).select_from(runs.subquery()))
        session.execute(delete(Snapshot).where(Snapshot.project_id == project.id))
        session.execute(delete(Baseline).where(Baseline.project_id == project.id))
        session.execute(delete(Chunk).where(Chunk.project_id == project.id))
        session.execute(delete(Idempotency).where(Idempotency.run_id.in_(runs)))
        session.execute(delete(Run).where(Run.project_id == project.id))
        session.execute(delete(ProjectSecret).where(ProjectSecret.project_id == project.id))
        session.execute(delete(Project).where(Project.id == project.id))
        about = ("project", project.id, project.slug)
        audit.record(project.organization_id, actor, "PROJECT_DELETE", about, name=project.name, runs=count)


def slug_of(name: str) -> str:
    """A name as it stands in addresses: `Tea Shop` becomes `tea-shop`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:80] or "project"
