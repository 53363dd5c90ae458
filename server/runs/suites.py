"""The suites that runs were made from: each text is kept once for a project, as long as a run refers to it.

So a run can be shown with the suite that came with it, or with the project's own as it was then. Secrets are not in
it: a suite only names them.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from server.database import add_if_new, db, execute, now
from server.models import Project, Run, SuiteVersion
from server.problems import NotFound
from server.runs import suite_yaml
from server.runs.suite_yaml import SuiteError

LOOKED_AT = 500
"""So many of a project's latest runs are looked through for one on the default branch."""


def keep(session: Session, project: Project, text: str) -> str:
    """Keeps a suite from which a run is being made, and returns its SHA-256.

    The row is locked until the run is there, so that retention does not take it in between.
    """
    sha256, at = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), now()
    kept = SuiteVersion.project_id == project.id, SuiteVersion.sha256 == sha256
    again = update(SuiteVersion).where(*kept).values(used_at=at)
    if not execute(session, again):
        since = project.suite_changed_at if text == project.suite else None
        add_if_new(
            session,
            SuiteVersion,
            project_id=project.id,
            sha256=sha256,
            text=text,
            created_at=since or at,
            used_at=at,
        )
    return sha256


def of(run: Run) -> SuiteVersion:
    """The suite that a run was made from. Raises `NotFound` for runs from before suites were kept."""
    version = db.session.get(SuiteVersion, (run.project_id, run.suite_sha256)) if run.suite_sha256 else None
    if version is None:
        raise NotFound(
            "suite-not-kept",
            "This run is from before suites were kept with runs; runs triggered from now on keep theirs.",
        )
    return version


def since(run: Run) -> datetime | None:
    """Since when the project has had the suite of one of its runs; None where that is not known."""
    key = SuiteVersion.project_id == run.project_id, SuiteVersion.sha256 == run.suite_sha256
    return db.session.scalar(select(SuiteVersion.created_at).where(*key))


def last_sent(project: Project) -> Run | None:
    """The latest run on the default branch, if its suite came with it: then the stored one is not what counts."""
    latest = select(Run.id, Run.branch).where(Run.project_id == project.id)
    looked_at = latest.order_by(Run.id.desc()).limit(LOOKED_AT).subquery()
    on_default = looked_at.c.branch == project.default_branch
    run = db.session.scalars(
        select(Run)
        .join(looked_at, looked_at.c.id == Run.id)
        .where(on_default)
        .order_by(Run.id.desc())
        .limit(1)
    ).first()
    return run if run is not None and run.suite_sent else None


def line_of(text: str, test: str) -> int | None:
    """The line, from 1, on which a suite names a test; None where it does not."""
    try:
        root, _ = suite_yaml.read(text)
    except SuiteError:
        return None
    tests = root.value.get("tests") if isinstance(root.value, dict) else None
    for entry in tests.value if tests and isinstance(tests.value, list) else ():
        name = entry.value.get("name") if isinstance(entry.value, dict) else None
        if name and isinstance(name.value, str) and name.value.strip() == test:
            return name.line
    return None
