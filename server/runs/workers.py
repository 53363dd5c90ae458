"""Which workers there are, on which machine, and what they have done: a row for each, written with its heartbeat.

Who works on what is in `claims`, and does not depend on these rows: they are for people, and for `/metrics`.
"""

from __future__ import annotations

import socket
from dataclasses import asdict, dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import joinedload

from server.database import add_if_new, clock_s, db, execute, now, writing
from server.models import Chunk, Run, WorkerRow
from server.runs.claims import HEARTBEAT_S, OPEN
from server.runs.lifecycle import UNFINISHED

SILENT_S = 4 * HEARTBEAT_S
"""A worker that has not been heard of for so long is not there any more."""
FORGOTTEN_S = 3600.0


@dataclass
class Done:
    """What a worker has done since it started; each only ever grows, but for `pages_open`."""

    pages_open: int = 0
    captures: int = 0
    known_at_once: int = 0  # the first shot's hash was a baseline's: nothing was decoded
    comparisons: int = 0
    errors: int = 0
    browser_starts: int = 0


@dataclass(frozen=True)
class Waiting:
    """Work that nobody has taken up: chunks, and how long the oldest of their runs has waited (seconds)."""

    chunks: int
    oldest_s: float


@dataclass(frozen=True)
class Known:
    """A worker that did not end in order, and how long it has not been heard of (seconds, by the database's clock)."""

    row: WorkerRow
    silent_s: float

    @property
    def is_silent(self) -> bool:
        """Whether it is not there any more."""
        return self.silent_s > SILENT_S


def beat(owner: str, done: Done) -> None:
    """Tells that a worker is there, and what it has done. Forgets those that ended long ago."""
    with writing() as session:
        told = {**asdict(done), "seen_at_s": clock_s()}
        if not execute(session, update(WorkerRow).where(WorkerRow.owner == owner).values(**told)):
            add_if_new(
                session, WorkerRow, owner=owner, host=socket.gethostname()[:64], started_at=now(), **told
            )
            session.execute(delete(WorkerRow).where(WorkerRow.seen_at_s < clock_s() - FORGOTTEN_S))


def leave(owner: str) -> None:
    """Tells that a worker has ended in order."""
    with writing() as session:
        session.execute(delete(WorkerRow).where(WorkerRow.owner == owner))


def present() -> list[WorkerRow]:
    """The workers that are there, by machine and time of their start."""
    return [worker.row for worker in known() if not worker.is_silent]


def known() -> list[Known]:
    """The workers that are there, and those that went silent lately, by machine and time of their start."""
    rows = db.session.execute(
        select(WorkerRow, (clock_s() - WorkerRow.seen_at_s).label("silent_s"))
        .where(WorkerRow.seen_at_s > clock_s() - FORGOTTEN_S)
        .order_by(WorkerRow.host, WorkerRow.started_at)
    )
    return [Known(row, float(ago)) for row, ago in rows]


def working_on(organization_id: str) -> dict[str, list[Run]]:
    """The runs of an organisation that are worked on now, by the worker that does."""
    found: dict[str, list[Run]] = {}
    rows = db.session.execute(
        select(Chunk.owner, Run)
        .join(Run)
        .options(joinedload(Run.project))
        .where(
            Chunk.done.is_(False),
            Chunk.lease_until_s >= clock_s(),
            Chunk.owner.is_not(None),
            Run.organization_id == organization_id,
        )
        .order_by(Chunk.run_id)
    )
    for owner, run in rows:
        theirs = found.setdefault(str(owner), [])
        if run not in theirs:  # two chunks of one run
            theirs.append(run)
    return found


def waiting() -> Waiting:
    """The work that no worker has taken up yet."""
    chunks, oldest = db.session.execute(
        select(func.count(), func.min(Run.created_at)).select_from(Chunk).join(Run).where(*OPEN)
    ).one()
    return Waiting(chunks, max(0.0, (now() - oldest).total_seconds()) if oldest else 0.0)


def unfinished_runs() -> dict[str, int]:
    """How many runs are PENDING and RUNNING."""
    rows = db.session.execute(
        select(Run.status, func.count()).where(Run.status.in_(UNFINISHED)).group_by(Run.status)
    )
    return dict.fromkeys(UNFINISHED, 0) | {row[0]: row[1] for row in rows}
