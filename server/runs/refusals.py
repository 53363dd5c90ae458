"""Why a decision about a snapshot is refused, in words for whoever wanted to decide. The rules are in `review`."""

from __future__ import annotations

from server import times
from server.models import Snapshot
from server.problems import Conflict
from server.runs import lifecycle

DECIDED = {"APPROVED": "approved", "REJECTED": "rejected"}


def not_reviewable(snapshot: Snapshot) -> Conflict:
    return Conflict(
        "nothing-to-review",
        f"Snapshot {snapshot.id} ({snapshot.test}) is {lifecycle.status_of(snapshot)}; "
        "only CHANGED and NEW ones are reviewed.",
    )


def decided_otherwise(snapshot: Snapshot) -> Conflict:
    who, at, why = snapshot.reviewed_by or "retestr", snapshot.reviewed_at, snapshot.review_reason
    if snapshot.review == "UNREVIEWED":
        said = "What was decided about this snapshot has been undone meanwhile."
    else:
        said = f"{who} has {DECIDED[snapshot.review]} this snapshot"
        said += f" ({times.exact(at)})" if at else ""
        said += f": {why}." if why else "."
        said += " It is a baseline by now." if snapshot.review == "APPROVED" else ""
    return Conflict(
        "already-reviewed",
        f"{said} Look at it once more, and then decide.",
        {
            "review": snapshot.review,
            "reviewedBy": snapshot.reviewed_by,
            "reviewedAt": times.rfc_3339(at) if at else None,
            "reason": why,
        },
    )
