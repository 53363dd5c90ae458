"""What people (and keys with `baseline:write`) decide about changes: approve or reject, one or many."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.access import audit
from server.access.audit import Actor
from server.database import now, writing
from server.models import Run, Snapshot
from server.problems import Conflict
from server.runs import baselines, lifecycle
from server.runs.kept import image_removed

REVIEWABLE = ("CHANGED", "NEW")


def review_snapshot(snapshot: Snapshot, decision: str, actor: Actor, reason: str | None = None) -> Snapshot:
    """Approves (`APPROVED`) or rejects (`REJECTED`) one change. An approved image becomes the branch's baseline.

    Raises `Conflict` where there is nothing to decide, or somebody else has decided otherwise.
    """
    with writing() as session:
        session.refresh(snapshot, with_for_update={"of": Snapshot})
        if snapshot.status not in REVIEWABLE:
            raise Conflict(
                "nothing-to-review",
                f"This snapshot is {snapshot.status}; only CHANGED and NEW ones are reviewed.",
            )
        if snapshot.review == decision:
            return snapshot
        if image_removed(snapshot):
            raise Conflict(
                "image-removed",
                "This snapshot's image was removed by retention; trigger a new run and review that one.",
            )
        if snapshot.review == "APPROVED":
            raise Conflict(
                "already-reviewed",
                f"{snapshot.reviewed_by or 'retestr'} has approved this snapshot; it is a baseline by now.",
                {"reviewedBy": snapshot.reviewed_by},
            )
        _decide(session, [snapshot], decision, actor, reason)
        return snapshot


def review_run(run: Run, decision: str, actor: Actor, reason: str | None = None) -> int:
    """Approves or rejects every change of a run that nobody has reviewed; returns how many that were."""
    with writing() as session:
        snapshots = session.scalars(
            select(Snapshot)
            .where(
                Snapshot.run_id == run.id,
                Snapshot.status.in_(REVIEWABLE),
                Snapshot.review == "UNREVIEWED",
                Snapshot.image.is_not(None),  # else retention has removed it
            )
            .order_by(Snapshot.position)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).all()
        _decide(session, snapshots, decision, actor, reason)
        session.refresh(run)
        return len(snapshots)


def _decide(
    session: Session, snapshots: Sequence[Snapshot], decision: str, actor: Actor, reason: str | None
) -> None:
    for snapshot in snapshots:
        before = snapshot.review
        snapshot.review, snapshot.review_reason = decision, reason
        snapshot.reviewed_by, snapshot.reviewed_at = actor.name, now()
        run = session.get_one(Run, snapshot.run_id)
        if decision == "APPROVED":
            baselines.add(session, run, snapshot, "APPROVED", actor.name)
        audit.record(
            run.organization_id,
            actor,
            "BASELINE_APPROVE" if decision == "APPROVED" else "BASELINE_REJECT",
            ("snapshot", snapshot.id, f"{snapshot.test} · {snapshot.viewport}"),
            runId=run.id,
            branch=run.branch,
            reason=reason,
            before={"review": before},
            after={"review": decision},
        )
    session.flush()
    for run_id in {snapshot.run_id for snapshot in snapshots}:
        lifecycle.reconsider(session, run_id)
