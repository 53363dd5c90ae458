"""Who works on which chunk: claiming, renewing, giving back, and the sweep that frees what died.

The rows are the truth, so nothing can be lost between them and a queue. A claim has an owner and a lease
in the database's time; results are accepted only from the owner (`lifecycle.record`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from flask import current_app
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from server.config import Settings
from server.database import add_if_new, clock_s, db, execute, now, writing
from server.models import Chunk, Project, Run, Schedule, Snapshot
from server.runs import dispatch, lifecycle
from server.runs.lifecycle import UNFINISHED

LEASE_S = 20.0
HEARTBEAT_S = 5.0
SWEEP_EVERY_S = 5.0
OPEN = (Chunk.done.is_(False), Chunk.owner.is_(None), Run.status.in_(UNFINISHED))
SUSPICIOUS_DEATHS = 2
"""A chunk whose worker died this often is worked snapshot by snapshot, to find the one that kills."""


@dataclass(frozen=True)
class Claim:
    """A chunk that an owner works on; `alone`: one snapshot at a time."""

    chunk_id: str
    run_id: str
    alone: bool
    snapshot_ids: tuple[str, ...]


def claim(owner: str) -> Claim | None:
    """Takes the most deserving open chunk: projects by turns, default branches first, then age.

    Returns None where there is nothing to do.
    """
    with writing() as session:
        chunk = _most_deserving(session)
        if chunk is None:
            return None
        execute(
            session,
            update(Chunk).where(Chunk.id == chunk.id).values(owner=owner, lease_until_s=clock_s() + LEASE_S),
        )
        _take_turn(session, chunk.project_id)
        open_ids = session.scalars(
            select(Snapshot.id)
            .where(Snapshot.chunk_id == chunk.id, Snapshot.status.in_(UNFINISHED))
            .order_by(Snapshot.position)
        ).all()
        alone = chunk.deaths >= SUSPICIOUS_DEATHS
        if not alone:
            lifecycle.begin(session, open_ids)
        claim = Claim(chunk.id, chunk.run_id, alone, tuple(open_ids))
    with writing() as session:  # a transaction of its own: claims of one run do not wait for each other's
        lifecycle.start(session, claim.run_id)
    return claim


def _most_deserving(session: Session) -> Chunk | None:
    """An open chunk, locked. Projects first, so that the index leads to the chunk however many there are."""
    order = Chunk.priority, Chunk.run_id, Chunk.position
    work = select(Chunk.id).join(Run).where(*OPEN, Chunk.project_id == Project.id)
    # Ordered like the index and no EXISTS, or PostgreSQL reads all chunks and runs.
    first = work.order_by(*order).limit(1).scalar_subquery()
    with_work = select(Project.id).where(first.is_not(None)).order_by(Project.claimed_at_s)
    for project_id in session.scalars(with_work).all():
        chunk = session.scalars(
            select(Chunk)
            .join(Run)
            .where(*OPEN, Chunk.project_id == project_id)
            .order_by(*order)
            .limit(1)
            .with_for_update(of=Chunk, skip_locked=True)
            .execution_options(populate_existing=True)
        ).first()
        if chunk is not None:
            return chunk
    return None


def _take_turn(session: Session, project_id: str) -> None:
    """Puts a project behind the others; where somebody else holds its row, a turn missed is no harm."""
    free = select(Project.id).where(Project.id == project_id)
    if session.scalar(free.with_for_update(key_share=True, skip_locked=True)):
        execute(session, update(Project).where(Project.id == project_id).values(claimed_at_s=clock_s()))


def renew(owner: str, chunk_ids: Sequence[str]) -> int:
    """Prolongs an owner's leases of the chunks that it works on; returns how many of them it still holds.

    It may have others without knowing, where the database failed while it claimed them: those shall expire.
    """
    with writing() as session:
        return execute(
            session,
            update(Chunk)
            .where(Chunk.id.in_(chunk_ids), Chunk.owner == owner, Chunk.done.is_(False))
            .values(lease_until_s=clock_s() + LEASE_S),
        )


def finish(owner: str, claim: Claim) -> None:
    """Closes a chunk whose snapshots are all judged, or opens it again where some are not."""
    with writing() as session:
        left = session.scalar(
            select(func.count())
            .select_from(Snapshot)
            .where(Snapshot.chunk_id == claim.chunk_id, Snapshot.status.in_(UNFINISHED))
        )
        freed = execute(
            session,
            update(Chunk)
            .where(Chunk.id == claim.chunk_id, Chunk.owner == owner)
            .values(owner=None, lease_until_s=None, done=not left),
        )
        if freed:
            lifecycle.pause(session, claim.chunk_id)


def still_wanted(owner: str, claims: list[Claim]) -> set[str]:
    """Which of these claims' chunks are still the owner's, in a run that is not over."""
    return set(
        db.session.scalars(
            select(Chunk.id)
            .join(Run, Run.id == Chunk.run_id)
            .where(
                Chunk.id.in_([claim.chunk_id for claim in claims]),
                Chunk.owner == owner,
                Run.status.in_(UNFINISHED),
            )
        )
    )


def sweep() -> bool:
    """Frees the chunks of owners that vanished, and has workers told of those that wait.

    A conditional UPDATE of one row decides who does it, so that it runs once and not once per machine; returns
    False where another process has just done it.
    """
    with writing() as session:
        if not due(session, "sweep", SWEEP_EVERY_S):
            return False
        expired = session.scalars(
            select(Chunk)
            .where(Chunk.done.is_(False), Chunk.lease_until_s < clock_s())
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        ).all()
        for chunk in expired:
            if chunk.deaths >= SUSPICIOUS_DEATHS:
                _blame(session, chunk)
            lifecycle.pause(session, chunk.id)
            chunk.owner, chunk.lease_until_s = None, None
            chunk.deaths += 1
    _end_late_runs()
    _close_chunks()
    if dispatch.has_broker():
        waiting = db.session.scalar(select(func.count()).select_from(Chunk).join(Run).where(*OPEN))
        dispatch.announce_missing(waiting or 0)
    return True


CLOSED_IN_ALL, CLOSED_AT_ONCE = 100_000, 1000
LATE_AT_ONCE = 100
"""Runs that one sweep ends, so that nobody waits long for it; the next one goes on."""


def _end_late_runs() -> None:
    """Ends runs that took longer than they may, and those that no worker has taken up."""
    settings: Settings = current_app.extensions["retestr"]
    for status, began, most_s, message in (
        (
            "RUNNING",
            Run.started_at,
            settings.run_timeout_s,
            f"The run took longer than the {settings.run_timeout_s:g} s that it may (RETESTR_RUN_TIMEOUT_S). "
            "Split its suite, or allow more.",
        ),
        (
            "PENDING",
            Run.created_at,
            settings.run_wait_s,
            f"No worker took the run up within {settings.run_wait_s:g} s (RETESTR_RUN_WAIT_S). "
            "Look with `retestr doctor` whether one is running.",
        ),
    ):
        late = select(Run.id).where(Run.status == status, began < now() - timedelta(seconds=most_s))
        for run_id in db.session.scalars(late.limit(LATE_AT_ONCE)).all():
            lifecycle.expire(run_id, message)


def _close_chunks() -> None:
    """Closes chunks of runs that are over, a batch in each transaction: cancelling everything may leave very many."""
    leftover = (
        select(Chunk.id)
        .join(Run)
        .where(Chunk.done.is_(False), Chunk.owner.is_(None), Run.status.not_in(UNFINISHED))
        .limit(CLOSED_IN_ALL)
    )
    found = db.session.scalars(leftover).all()
    for start in range(0, len(found), CLOSED_AT_ONCE):
        with writing() as session:
            batch = found[start : start + CLOSED_AT_ONCE]
            execute(session, update(Chunk).where(Chunk.id.in_(batch)).values(done=True))


def _blame(session: Session, chunk: Chunk) -> None:
    """The one snapshot that was being worked alone when a third worker died is what kills them."""
    culprit = session.scalar(
        select(Snapshot.id).where(Snapshot.chunk_id == chunk.id, Snapshot.status == "RUNNING")
    )
    if culprit is not None and chunk.owner is not None:
        outcome = lifecycle.Outcome(
            "ERROR",
            error_kind="crash",
            error_message="Three workers died while they captured this page. It may need more memory than "
            "the worker has; capture a part of it with `element`, or look at the worker's log.",
        )
        lifecycle.record(chunk.owner, culprit, outcome)


def due(session: Session, name: str, every_s: float, *, first_in_s: float = 0.0) -> bool:
    """Whether periodic work is due, and this process the one to do it: a conditional UPDATE of one row decides.

    In a new database it is due `first_in_s` after somebody asked for the first time.
    """
    mine = update(Schedule).where(Schedule.name == name, Schedule.due_s <= clock_s())
    if execute(session, mine.values(due_s=clock_s() + every_s)):
        return True
    if session.get(Schedule, name) is None:
        add_if_new(session, Schedule, name=name, due_s=clock_s() + first_in_s)
    return False
