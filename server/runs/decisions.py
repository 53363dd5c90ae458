"""What one decision of a person does to the rows: the snapshot, the branch's baseline, and other runs with the same image.

Which snapshots a decision is about, and whether it is allowed, is said by `review`, the only one who uses this.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.orm import Session, contains_eager

from server.access import audit
from server.access.audit import Actor
from server.database import now
from server.models import Baseline, Run, Snapshot
from server.runs import automatic, baselines, lifecycle
from server.runs.automatic import REVIEWABLE

IMAGES_AT_ONCE = 500
ACTIONS = {"APPROVED": "BASELINE_APPROVE", "REJECTED": "BASELINE_REJECT", "UNREVIEWED": "BASELINE_UNDO"}


@dataclass
class Touched:
    """The runs whose verdict a decision may change."""

    run_ids: set[str] = field(default_factory=set)

    def reconsider(self, session: Session) -> None:
        session.flush()
        for run_id in sorted(self.run_ids):
            lifecycle.reconsider(session, run_id)


def decide(
    session: Session,
    run: Run,
    snapshots: Sequence[Snapshot],
    decision: str,
    actor: Actor,
    reason: str | None,
    touched: Touched,
) -> int:
    """Writes a decision down, and settles other runs' snapshots with the same images; returns how many those are."""
    for snapshot in snapshots:
        note(run, snapshot, decision, actor, reason)
        if decision == "APPROVED":
            baselines.add(session, run, snapshot, "APPROVED", actor.name)
        else:
            snapshot.rejected_image = snapshot.image
    touched.run_ids.add(run.id)
    settled = _same_elsewhere(session, run, snapshots, decision)
    for other, snapshot in settled:
        touched.run_ids.add(other.run_id)
        if decision == "REJECTED":
            automatic.reject_again(other.run, other, snapshot)
        elif other.run.branch == run.branch:
            note(other.run, other, decision, actor, f"approved in run #{run.number}", settledWith=run.id)
            baselines.add(session, other.run, other, "APPROVED", actor.name)
        else:
            automatic.carry(session, other.run, other, run.branch, actor.name)
    return len(settled)


def note(
    run: Run, snapshot: Snapshot, decision: str, actor: Actor, reason: str | None, **details: str
) -> None:
    """Writes one decision of a person into its snapshot and the audit log."""
    before = snapshot.review
    undone = decision == "UNREVIEWED"
    snapshot.review, snapshot.review_reason = decision, reason
    snapshot.reviewed_by, snapshot.reviewed_at = (None, None) if undone else (actor.name, now())
    audit.record(
        run.organization_id,
        actor,
        ACTIONS[decision],
        ("snapshot", snapshot.id, f"{snapshot.test} · {snapshot.viewport}"),
        runId=run.id,
        branch=run.branch,
        reason=reason,
        before={"review": before},
        after={"review": decision},
        **details,
    )


def _same_elsewhere(
    session: Session, run: Run, snapshots: Sequence[Snapshot], decision: str
) -> list[tuple[Snapshot, Snapshot]]:
    """Undecided snapshots of other runs that show the same variant with the same image, each with the one it is like.

    Those of the same branch; an approval on a branch of ours arrives on the default branch and in merge queues, too.
    """
    there = Run.branch == run.branch
    if decision == "APPROVED" and not baselines.is_fork(run.branch):
        there = or_(there, Run.on_default_branch, baselines.is_queued())
    like: dict[str | None, list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        like[snapshot.image].append(snapshot)
    images, found = [image for image in like if image], []
    for start in range(0, len(images), IMAGES_AT_ONCE):
        others = session.scalars(
            select(Snapshot)
            .join(Snapshot.run)
            .options(contains_eager(Snapshot.run))
            .where(
                Snapshot.image.in_(images[start : start + IMAGES_AT_ONCE]),
                Snapshot.project_id == run.project_id,
                Snapshot.run_id != run.id,
                Snapshot.status.in_(REVIEWABLE),
                or_(
                    Snapshot.review == "UNREVIEWED", _rejected_again() if decision == "APPROVED" else false()
                ),
                there,
            )
            .order_by(Snapshot.id)
            .with_for_update(of=Snapshot)
            .execution_options(populate_existing=True)
        )
        for other in others:
            same = next((one for one in like[other.image] if _same_variant(one, other)), None)
            if same is not None:
                found.append((other, same))
    return found


def free(session: Session, snapshot: Snapshot, touched: Touched) -> str | None:
    """Takes back what was decided about a snapshot, before it is decided anew; returns its image.

    Other snapshots that were decided with it, or because of it, are open again.
    """
    image, others = snapshot.image, list[Snapshot]()
    if snapshot.review == "APPROVED" and (own := _became(session, snapshot)):
        image = own.image
        if own.ended_at is None:  # else it has expired
            ended = baselines.take_back(session, own)
            runs = {entry.run_id for entry in ended if entry.source != "RESTORED"} - {snapshot.run_id}
            if runs:  # most often there is none, and undoing thousands asks for each
                others = _others(session, snapshot, Snapshot.run_id.in_(runs), Snapshot.review == "APPROVED")
    elif snapshot.rejected_image is not None:
        again = Snapshot.image == snapshot.rejected_image
        others = _others(session, snapshot, again, _rejected_again())
    snapshot.rejected_image = None
    for other in others:
        other.review, other.review_reason, other.reviewed_by, other.reviewed_at = (
            "UNREVIEWED",
            None,
            None,
            None,
        )
    touched.run_ids |= {snapshot.run_id, *(other.run_id for other in others)}
    return image


def _became(session: Session, snapshot: Snapshot) -> Baseline | None:
    """The baseline that a snapshot's image became."""
    made = (
        Baseline.branch == snapshot.run.branch,  # for the index
        Baseline.run_id == snapshot.run_id,
        Baseline.source != "RESTORED",
        baselines.is_of(snapshot, Baseline),
    )
    return session.scalars(select(Baseline).where(*made).order_by(Baseline.id.desc())).first()


def _others(session: Session, snapshot: Snapshot, *which: ColumnElement[bool]) -> list[Snapshot]:
    other = Snapshot.id != snapshot.id
    query = select(Snapshot).where(other, baselines.is_of(snapshot, Snapshot), *which).order_by(Snapshot.id)
    return list(session.scalars(query.with_for_update().execution_options(populate_existing=True)))


def _rejected_again() -> ColumnElement[bool]:
    """Rejected by retestr, because a person has rejected the image elsewhere."""
    return and_(Snapshot.review == "REJECTED", Snapshot.reviewed_by.is_(None))


def _same_variant(one: Snapshot, other: Snapshot) -> bool:
    names = set(baselines.names_of(one)) & set(baselines.names_of(other))
    return bool(names) and (one.viewport, one.browser) == (other.viewport, other.browser)
