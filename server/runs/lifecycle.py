"""How runs and snapshots move from state to state. Nobody else writes a run's `status`.

    run       PENDING -> RUNNING -> PASSED | FAILED | ERROR | CANCELLED
    snapshot  PENDING -> RUNNING -> UNCHANGED | CHANGED | NEW | ERROR

Every move is a conditional UPDATE: two callers cannot both win, and what is cancelled cannot come back.
What counts a run's snapshots holds the run's row (`_held`): of two that finish at once, the later sees the other.
Rows are locked in one order, chunk, run, snapshot, image, so that nobody waits in a circle. (A review takes the runs
whose verdict it changes last; reviews of one project follow one another, and workers do not touch judged snapshots.)
Runs are made in `trigger`, claimed in `claims`, reviewed in `review` and `automatic`; what is compared with what is
in `baselines`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Update, func, select, update
from sqlalchemy.orm import Session

from server.access import audit
from server.access.audit import Actor
from server.database import add_if_new, execute, now, writing
from server.models import Chunk, Image, Run, Snapshot
from server.runs import automatic, identity

UNFINISHED = ("PENDING", "RUNNING")


@dataclass(frozen=True)
class Outcome:
    """How one snapshot was judged. Boxes are [x, y, width, height] in image px."""

    status: str
    image: Image | None = None
    ignore: list[list[int]] = field(default_factory=list)
    identity: dict[str, str] = field(default_factory=dict)
    baseline_id: str | None = None
    difference: Image | None = None
    changed_pixels: int | None = None
    ratio: float | None = None
    regions: list[list[int]] | None = None
    shifts: list[list[int]] | None = None  # [y, rows inserted there], from top to bottom; negative: removed
    sentence: str | None = None
    group: str | None = None  # what changed, wherever it stands
    approval_id: str | None = None  # the baseline on another branch that arrives with this image
    rejection_id: str | None = None  # the snapshot that a person rejected, if it looked like this one
    error_kind: str | None = None
    error_message: str | None = None
    http_status: int | None = None
    seconds: float | None = None
    evidence: dict[str, Any] | None = None
    attempts: int = 1
    flaky: bool = False  # passed, but not at the first attempt
    again: bool = False  # another attempt may show otherwise

    @property
    def passed(self) -> bool:
        return self.status in ("UNCHANGED", "NEW") or self.approval_id is not None


def start(session: Session, run_id: str) -> None:
    """Moves a run to RUNNING, if this is its first chunk."""
    execute(
        session,
        update(Run)
        .where(Run.id == run_id, Run.status == "PENDING")
        .values(status="RUNNING", started_at=now()),
    )


def begin(session: Session, snapshot_ids: Sequence[str]) -> None:
    """Moves snapshots to RUNNING, as a worker takes them up."""
    execute(
        session,
        update(Snapshot)
        .where(Snapshot.id.in_(snapshot_ids), Snapshot.status == "PENDING")
        .values(status="RUNNING"),
    )


def pause(session: Session, chunk_id: str) -> None:
    """Moves a freed chunk's unjudged snapshots back to PENDING."""
    execute(
        session,
        update(Snapshot)
        .where(Snapshot.chunk_id == chunk_id, Snapshot.status == "RUNNING")
        .values(status="PENDING"),
    )


def record(owner: str, snapshot_id: str, outcome: Outcome) -> bool:
    """Writes how a snapshot was judged, counts it, and closes the run with its last one.

    Accepted once, and only from the owner of its chunk while the run is RUNNING; returns whether it was.
    """
    with writing() as session:
        chunk = session.execute(
            select(Chunk.run_id)
            .join(Snapshot, Snapshot.chunk_id == Chunk.id)
            .where(Snapshot.id == snapshot_id, Chunk.owner == owner, Chunk.done.is_(False))
            .with_for_update(read=True, of=Chunk)
        ).first()
        run = _held(session, chunk.run_id) if chunk else None
        if run is None or run.status != "RUNNING":
            return False
        for image in (outcome.image, outcome.difference):
            if image is not None:
                _keep(session, image)
        accepted = execute(
            session,
            update(Snapshot)
            .where(Snapshot.id == snapshot_id, Snapshot.status.in_(UNFINISHED))
            .values(
                status=outcome.status,
                image=outcome.image.sha256 if outcome.image else None,
                difference=outcome.difference.sha256 if outcome.difference else None,
                changed_pixels=outcome.changed_pixels,
                ratio=outcome.ratio,
                ignore=outcome.ignore,
                identity=outcome.identity,
                regions=outcome.regions,
                shifts=outcome.shifts,
                sentence=outcome.sentence,
                group=outcome.group,
                baseline_id=outcome.baseline_id,
                error_kind=outcome.error_kind,
                error_message=outcome.error_message,
                http_status=outcome.http_status,
                seconds=outcome.seconds,
                evidence=outcome.evidence,
                attempts=outcome.attempts,
                flaky=outcome.flaky,
                finished_at=now(),
            ),
        )
        if not accepted:
            return False
        snapshot = session.get_one(Snapshot, snapshot_id, populate_existing=True)
        automatic.decide(session, run, snapshot, outcome.approval_id, outcome.rejection_id)
        if run.notice is None and snapshot.baseline is not None:
            run.notice = identity.difference(outcome.identity, snapshot.baseline.identity)
        column = outcome.status.lower()
        run.done += 1
        setattr(run, column, getattr(run, column) + 1)
        run.flaky += outcome.flaky
        if run.done == run.total:
            session.flush()
            run.status, run.finished_at = _verdict(session, run), now()
            run.message = _sentence(session, run)
        return True


def _held(session: Session, run_id: str) -> Run:
    """A run as it is now, its row ours until the transaction ends."""
    return session.get_one(Run, run_id, populate_existing=True, with_for_update={"key_share": True})


def _keep(session: Session, image: Image) -> None:
    """Adds an image's row; another worker may be adding the same one."""
    size = {"width": image.width, "height": image.height, "size_bytes": image.size_bytes}
    add_if_new(session, Image, sha256=image.sha256, created_at=now(), **size)


def reconsider(session: Session, run_id: str) -> None:
    """Judges a run that is over once more, after a review: its last change approved, it is PASSED.

    It is FAILED again where an approval is taken back, or a new page is rejected.
    """
    run = _held(session, run_id)
    if run.status in ("FAILED", "PASSED"):
        run.status = _verdict(session, run)
        run.message = _sentence(session, run)


def _verdict(session: Session, run: Run) -> str:
    if run.error:
        return "ERROR"
    return "FAILED" if any(_not_right(session, run)) else "PASSED"


def _sentence(session: Session, run: Run) -> str:
    if run.error:
        return f"{run.error} of {run.total} snapshots could not be judged."
    changes, rejected = _not_right(session, run)
    if changes:
        return f"{changes} of {run.total} snapshots changed{f', {rejected} rejected' if rejected else ''}."
    if rejected:
        return f"{rejected} of {run.total} snapshots rejected."
    if run.changed:
        return f"All {run.changed} changes of {run.total} snapshots are approved."
    if run.new:
        return f"{run.new} new, {run.unchanged} unchanged."
    return f"All {run.total} snapshots are unchanged."


def _not_right(session: Session, run: Run) -> tuple[int, int]:
    """How many snapshots changed and are not approved, and how many are rejected: new ones can be, too."""
    rows = session.execute(
        select(Snapshot.status, Snapshot.review, func.count())
        .where(
            Snapshot.run_id == run.id,
            Snapshot.status.in_(automatic.REVIEWABLE),
            Snapshot.review != "APPROVED",
        )
        .group_by(Snapshot.status, Snapshot.review)
    ).all()
    changes = sum(count for status, _, count in rows if status == "CHANGED")
    return changes, sum(count for _, review, count in rows if review == "REJECTED")


def cancel(run: Run, actor: Actor) -> bool:
    """Cancels a run that is not over; returns whether this call did it."""
    with writing() as session:
        cancelled = execute(session, _cancelling(Run.id == run.id, f"Cancelled by {actor}."))
        if cancelled:
            session.refresh(run)
            audit.record(
                run.organization_id,
                actor,
                "RUN_CANCEL",
                ("run", run.id, f"{run.project.slug} #{run.number}"),
            )
        return bool(cancelled)


CANCELLED_AT_ONCE = 10_000
CANCEL_PAUSE_S = 0.025
"""Between two batches; on SQLite, who waits to write looks about that often whether it is free."""


def cancel_all(organization_id: str, actor: Actor) -> int:
    """Cancels every unfinished run of an organisation, in batches, and returns how many that were.

    A run that is triggered meanwhile is cancelled too, or not touched at all.
    """
    unfinished = select(Run.id).where(Run.organization_id == organization_id, Run.status.in_(UNFINISHED))
    batch = Run.id.in_(unfinished.limit(CANCELLED_AT_ONCE))
    count = 0
    while True:
        with writing() as session:
            cancelled = execute(session, _cancelling(batch, f"Cancelled with all others by {actor}."))
            count += cancelled
            if cancelled < CANCELLED_AT_ONCE:
                about = ("organization", organization_id, None)
                audit.record(organization_id, actor, "RUN_CANCEL_ALL", about, cancelled=count)
                return count
        time.sleep(CANCEL_PAUSE_S)


def expire(run_id: str, message: str) -> None:
    """Ends a run whose time is up as ERROR, and with it every snapshot that nobody has judged."""
    with writing() as session:
        run = _held(session, run_id)
        if run.status not in UNFINISHED:
            return
        left = execute(
            session,
            update(Snapshot)
            .where(Snapshot.run_id == run.id, Snapshot.status.in_(UNFINISHED))
            .values(status="ERROR", error_kind="deadline", error_message=message, finished_at=now()),
        )
        run.done, run.error = run.done + left, run.error + left
        run.status, run.finished_at = "ERROR", now()
        run.message = f"{left} of {run.total} snapshots were not judged. {message}"


def _cancelling(which: ColumnElement[bool], message: str) -> Update:
    return (
        update(Run)
        .where(which, Run.status.in_(UNFINISHED))
        .values(status="CANCELLED", finished_at=now(), message=message)
    )


def seconds_left(run: Any) -> int | None:
    """How long a run (or its row) will take at the pace so far; None where nothing tells yet."""
    if run.status != "RUNNING" or not run.done:
        return None
    so_far_s = max(0.0, (now() - run.started_at).total_seconds())
    left_s: int = math.ceil(so_far_s * (run.total - run.done) / run.done)
    return left_s


def ask_again_s(run: Any) -> int:
    """When it is worth asking about an unfinished run again: a tenth of what is left, within 1 to 10 s."""
    left_s = seconds_left(run)
    return max(1, min(10, 1 + run.total // 100 if left_s is None else left_s // 10))


def status_of(snapshot: Snapshot) -> str:
    """A snapshot's status; one that was not judged when its run was cancelled is CANCELLED, because its run is."""
    if snapshot.status in UNFINISHED and snapshot.run.status == "CANCELLED":
        return "CANCELLED"
    return snapshot.status


def has_status(run: Run, status: str) -> ColumnElement[bool]:
    """The condition that selects a run's snapshots of a status, as `status_of` tells it."""
    if run.status == "CANCELLED" and status in (*UNFINISHED, "CANCELLED"):
        return Snapshot.status.in_(UNFINISHED if status == "CANCELLED" else ())
    return Snapshot.status == status
