"""Making runs: from what a caller asks for to one run row and its snapshot rows, all PENDING.

What happens to them afterwards is in `lifecycle`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from server.access import audit
from server.access.audit import Actor
from server.access.limits import TooMany
from server.database import now, writing
from server.models import Chunk, Idempotency, Project, Run, Snapshot, new_id
from server.problems import Conflict, Invalid
from server.runs import dispatch, secrets, suites
from server.runs.lifecycle import UNFINISHED
from server.runs.projects import read_suite
from server.runs.suite import Shot, SuiteError

CHUNK_SIZE = 8
IDEMPOTENCY_LASTS = timedelta(hours=48)


@dataclass(frozen=True)
class Trigger:
    """What a run is asked to be: the members of `POST /api/runs`."""

    branch: str
    commit_sha: str | None = None
    base_branch: str | None = None
    base_url: str | None = None
    suite: str | None = None
    tests: tuple[str, ...] = ()
    name: str | None = None
    pull_request: int | None = None
    workflow_url: str | None = None
    actor: str | None = None


def trigger(
    project: Project,
    asked: Trigger,
    actor: Actor,
    max_snapshots: int,
    idempotency_key: str | None = None,
    max_unfinished: int | None = None,
) -> tuple[Run, bool]:
    """Makes a run with all its snapshots, PENDING; returns it, and True where the key had made it before.

    Raises `Invalid` where the suite cannot be used, selects nothing or needs a secret that is not there, `Conflict`
    where the idempotency key came with another request within 48 hours, and `TooMany` where the organisation has
    `max_unfinished` unfinished runs already.
    """
    shots = _shots(project, asked, max_snapshots)
    secrets.check(project, shots)
    try:
        run, again = _make(project, asked, actor, shots, idempotency_key, max_unfinished)
    except IntegrityError:  # the same idempotency key at the same moment; the other one was first
        run, again = _make(project, asked, actor, shots, idempotency_key, max_unfinished)
    if not again:
        dispatch.announce(-(-len(shots) // CHUNK_SIZE))
    return run, again


def _make(
    project: Project,
    asked: Trigger,
    actor: Actor,
    shots: Sequence[Shot],
    idempotency_key: str | None,
    max_unfinished: int | None,
) -> tuple[Run, bool]:
    request_hash = hashlib.sha256(json.dumps([project.id, asdict(asked)]).encode()).hexdigest()
    with writing() as session:
        if idempotency_key and (first := _made_before(session, project, idempotency_key, request_hash)):
            return first, True
        if max_unfinished is not None:
            _leave_room(session, project.organization_id, max_unfinished)
        number = session.scalar(
            update(Project)
            .where(Project.id == project.id)
            .values(run_count=Project.run_count + 1)
            .returning(Project.run_count)
        )
        run = Run(
            id=new_id(),
            organization_id=project.organization_id,
            project_id=project.id,
            number=number,
            branch=asked.branch,
            base_branch=asked.base_branch,
            commit_sha=asked.commit_sha,
            name=asked.name,
            pull_request=asked.pull_request,
            workflow_url=asked.workflow_url,
            actor=asked.actor,
            on_default_branch=asked.branch == project.default_branch,
            triggered_by=actor.name,
            suite_sha256=suites.keep(session, project, asked.suite or project.suite),
            suite_sent=bool(asked.suite),
            total=len(shots),
        )
        session.add(run)
        session.flush()
        if idempotency_key:
            session.add(
                Idempotency(
                    organization_id=project.organization_id,
                    key=idempotency_key,
                    request_hash=request_hash,
                    run_id=run.id,
                )
            )
            session.flush()
        _add_snapshots(session, run, shots)
        audit.record(
            project.organization_id,
            actor,
            "RUN_TRIGGER",
            ("run", run.id, f"{project.slug} #{number}"),
            branch=asked.branch,
            commitSha=asked.commit_sha,
        )
    return run, False


def _leave_room(session: Session, organization_id: str, most: int) -> None:
    """Runs triggered at the same moment on PostgreSQL do not see each other, and may make it a few more."""
    unfinished = (
        select(Run.id)
        .where(Run.organization_id == organization_id, Run.status.in_(UNFINISHED))
        .limit(most)
        .subquery()
    )
    if (session.scalar(select(func.count()).select_from(unfinished)) or 0) >= most:
        raise TooMany(
            f"Your organisation has {most} unfinished runs, as many as it may (RETESTR_MAX_UNFINISHED_RUNS). "
            "Wait until some are finished, or cancel them all: POST /api/runs/cancel-all.",
            60,
            "too-many-runs",
        )


def _made_before(session: Session, project: Project, key: str, request_hash: str) -> Run | None:
    known = session.get(Idempotency, (project.organization_id, key))
    if known is None:
        return None
    if known.created_at < now() - IDEMPOTENCY_LASTS:
        session.delete(known)
        session.flush()
        return None
    if known.request_hash != request_hash:
        raise Conflict(
            "idempotency-key-reused",
            "This Idempotency-Key came with another request before; use a new key for a new request.",
        )
    return session.get(Run, known.run_id)


def _shots(project: Project, asked: Trigger, max_snapshots: int) -> list[Shot]:
    text = asked.suite or project.suite
    if not text:
        raise Invalid(
            "suite-missing",
            f"The project {project.slug!r} has no suite. Store one (PUT /api/projects/{project.slug}/suite) "
            "or send it with the run.",
        )
    suite = read_suite(text)
    if asked.base_url:
        try:
            suite = suite.with_base_url(asked.base_url)
        except SuiteError as error:
            raise Invalid(
                "base-url-invalid", f"The run's address cannot be used: {error.problems[0].message}"
            ) from None
    if suite.base_url is None and any(test.path.startswith("/") for test in suite.tests):
        raise Invalid("base-url-missing", "The suite has no baseUrl; add one, or send baseUrl with the run.")
    try:
        shots = suite.shots(asked.tests)
    except SuiteError as error:
        raise Invalid("suite-invalid", f"The suite cannot be used: {error}") from None
    if not shots:
        raise Invalid(
            "no-test-matches",
            f"No test matches {', '.join(asked.tests)}; the suite has {', '.join(t.name for t in suite.tests[:20])}.",
        )
    if len(shots) > max_snapshots:
        raise Invalid(
            "too-many-snapshots",
            f"The run would have {len(shots)} snapshots and {max_snapshots} are allowed; run fewer tests at once.",
        )
    return shots


def _add_snapshots(session: Session, run: Run, shots: Sequence[Shot]) -> None:
    chunks, rows = [], []
    for start in range(0, len(shots), CHUNK_SIZE):
        chunk = {
            "id": new_id(),
            "run_id": run.id,
            "project_id": run.project_id,
            "priority": 0 if run.on_default_branch else 1,
            "position": start // CHUNK_SIZE,
        }
        chunks.append(chunk)
        for position, shot in enumerate(shots[start : start + CHUNK_SIZE], start):
            rows.append(
                {
                    "id": new_id(),
                    "run_id": run.id,
                    "project_id": run.project_id,
                    "chunk_id": chunk["id"],
                    "position": position,
                    "test": shot.test,
                    "viewport": shot.viewport.name,
                    "was": list(shot.was) or None,
                    "page_url": shot.page.url,
                    "shot": shot.to_json(),
                }
            )
    # Past the ORM, which makes a run of 10,000 snapshots notably slower.
    session.connection().execute(insert(Chunk), chunks)
    session.connection().execute(insert(Snapshot), rows)
