"""What retestr decides about a snapshot by itself: from what people decided before, and by the project's patterns.

What people decide is in `review`. A decision of retestr's own names nobody (`reviewed_by` is null) and says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from server.access import audit
from server.access.audit import SYSTEM
from server.database import db, now
from server.models import Baseline, Run, Snapshot
from server.runs import baselines

REVIEWABLE = ("CHANGED", "NEW")
MOST_REJECTIONS = 50
BY_PATTERN = "auto-approve"
"""Who approved what a branch pattern approved."""


def rejections(snapshot: Snapshot, *also: ColumnElement[bool]) -> Sequence[Snapshot]:
    """What people have rejected of a snapshot's variant, on any branch, the latest first; `also` narrows it."""
    return db.session.scalars(
        select(Snapshot)
        .where(baselines.is_of(snapshot, Snapshot), Snapshot.rejected_image.is_not(None), *also)
        .order_by(Snapshot.reviewed_at.desc())
        .limit(MOST_REJECTIONS)
    ).all()


def decide(
    session: Session, run: Run, snapshot: Snapshot, approval_id: str | None, rejection_id: str | None
) -> None:
    """Decides about a snapshot that was just judged, in the same transaction.

    `approval_id` is the baseline on another branch, and `rejection_id` the rejected snapshot, that it looks like;
    either may have been taken back since that was found out, or else have been given since to this very image.
    """
    if snapshot.status not in REVIEWABLE or snapshot.image is None:
        return
    standing = baselines.newest(snapshot, run.branch)
    approved, rejected = _given_meanwhile(run, snapshot)
    approval = _approval(session, approved or approval_id)
    rejection = _rejection(session, rejected or rejection_id, snapshot, approval)
    if rejection:
        reject_again(run, snapshot, rejection)
    elif approval:
        carry(session, run, snapshot, approval.branch, approval.approved_by)
    elif snapshot.status == "NEW" and run.on_default_branch:
        _approve(session, run, snapshot, "NEW")
    elif standing is not None and standing.image == snapshot.image:  # approved while this one was judged
        reason = f"approved in run #{standing.run_number}"
        _approve(session, run, snapshot, standing.source, standing.approved_by, reason)
    elif snapshot.status == "CHANGED" and (pattern := pattern_for(run)):
        _approve(session, run, snapshot, "AUTO", BY_PATTERN, f"{run.branch} matches {pattern}")
        _record(run, snapshot, "BASELINE_AUTO_APPROVE", pattern=pattern)


def pattern_for(run: Run) -> str | None:
    """The project's pattern that approves changes on a run's branch; never one for a fork's branch."""
    if baselines.is_fork(run.branch):
        return None
    patterns = run.project.auto_approve
    return next((pattern for pattern in patterns if fnmatchcase(run.branch, pattern)), None)


def carry(session: Session, run: Run, snapshot: Snapshot, branch: str, approved_by: str | None) -> None:
    """Lets an approval on another branch arrive: the image becomes the baseline of this one."""
    _approve(session, run, snapshot, "CARRIED", approved_by, f"approved before on {branch}")
    _record(run, snapshot, "BASELINE_CARRY", approvedOn=branch)


def reject_again(run: Run, snapshot: Snapshot, rejection: Snapshot) -> None:
    """Rejects an image that a person has rejected before, with their reason."""
    why = f"{rejection.review_reason} " if rejection.review_reason else ""
    snapshot.review, snapshot.reviewed_by, snapshot.reviewed_at = "REJECTED", None, now()
    snapshot.review_reason = (
        f"rejected again: {why}({rejection.reviewed_by}, {rejection.reviewed_at:%Y-%m-%d}, "
        f"run #{rejection.run.number})"
    )
    _record(run, snapshot, "BASELINE_REJECT", reason=snapshot.review_reason)


def _given_meanwhile(run: Run, snapshot: Snapshot) -> tuple[str | None, str | None]:
    """The approval on another branch and the rejection that a snapshot's image has by now."""
    approved = baselines.approvals_elsewhere(run, snapshot, Baseline.image == snapshot.image)
    rejected = rejections(snapshot, Snapshot.rejected_image == snapshot.image)
    return (approved[0].id if approved else None), (rejected[0].id if rejected else None)


def _rejection(
    session: Session, rejection_id: str | None, snapshot: Snapshot, approval: Baseline | None
) -> Snapshot | None:
    """The rejection, unless it was taken back or the image was approved since."""
    found = session.get(Snapshot, rejection_id, populate_existing=True) if rejection_id else None
    if found is None or found.rejected_image is None or found.reviewed_at is None:
        return None
    if approval is not None and approval.created_at > found.reviewed_at:
        return None
    return None if baselines.approved_since(session, snapshot, found.reviewed_at) else found


def _approval(session: Session, baseline_id: str | None) -> Baseline | None:
    found = session.get(Baseline, baseline_id, populate_existing=True) if baseline_id else None
    return found if found is not None and found.ended_at is None else None


def _approve(
    session: Session,
    run: Run,
    snapshot: Snapshot,
    source: str,
    approved_by: str | None = None,
    reason: str | None = None,
) -> None:
    baselines.add(session, run, snapshot, source, approved_by)
    snapshot.review, snapshot.review_reason = "APPROVED", reason
    snapshot.reviewed_by, snapshot.reviewed_at = None if source == "CARRIED" else approved_by, now()


def _record(run: Run, snapshot: Snapshot, action: str, **details: str) -> None:
    about = ("snapshot", snapshot.id, f"{snapshot.test} · {snapshot.viewport}")
    audit.record(run.organization_id, SYSTEM, action, about, branch=run.branch, runId=run.id, **details)
