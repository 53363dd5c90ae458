"""`/api/snapshots`: read one, fetch its images, approve or reject it, undo that."""

from __future__ import annotations

from typing import Any

from flask import Response, g

from server import answers
from server.api.blueprint import api
from server.api.openapi import binary, optional_json
from server.api.shapes.reviews import ReviewIn, UndoIn
from server.api.shapes.snapshots import SnapshotDetail, SnapshotOut
from server.api.views import group_sizes, optional_body, snapshot_json, snapshot_named
from server.runs import review


@api.get("/snapshots/<snapshot_id>")
@api.output(SnapshotDetail)
def read_snapshot(snapshot_id: str) -> dict[str, Any]:
    """Read a snapshot, with what the browser reported while it was captured"""
    snapshot = snapshot_named(snapshot_id)
    return {**snapshot_json(snapshot, group_sizes([snapshot])), "evidence": snapshot.evidence}


@api.get("/snapshots/<snapshot_id>/<any(actual, baseline, difference):kind>.png")
@api.doc(responses=binary("image/png", description="The image."))
def read_snapshot_image(snapshot_id: str, kind: str) -> Response:
    """Fetch an image: what was captured, what it was compared with, or where they differ"""
    return answers.snapshot_image(snapshot_named(snapshot_id), kind)


@api.post("/snapshots/<snapshot_id>/approve")
@api.output(SnapshotOut)
@api.doc(extensions=optional_json(ReviewIn))
def approve_snapshot(snapshot_id: str) -> dict[str, Any]:
    """Approve a change: its image is the branch's new baseline

    Undecided snapshots of other runs of the branch that show the same image are approved with it.
    """
    return _decide(snapshot_id, "APPROVED", optional_body(ReviewIn))


@api.post("/snapshots/<snapshot_id>/reject")
@api.output(SnapshotOut)
@api.doc(extensions=optional_json(ReviewIn))
def reject_snapshot(snapshot_id: str) -> dict[str, Any]:
    """Reject a change, or an approval (`seen`: `APPROVED`) while no newer baseline stands

    The image is rejected wherever it shows up again, with the same reason, until somebody approves it.
    """
    return _decide(snapshot_id, "REJECTED", optional_body(ReviewIn))


@api.post("/snapshots/<snapshot_id>/undo")
@api.output(SnapshotOut)
@api.doc(extensions=optional_json(UndoIn))
def undo_snapshot(snapshot_id: str) -> dict[str, Any]:
    """Undo what was decided: the snapshot is to be reviewed once more

    Where it was approved, the baseline before counts again; 409 once a newer one stands.
    """
    return _decide(snapshot_id, "UNREVIEWED", optional_body(UndoIn))


def _decide(snapshot_id: str, decision: str, asked: ReviewIn | UndoIn) -> dict[str, Any]:
    snapshot = snapshot_named(snapshot_id)
    reason = asked.reason if isinstance(asked, ReviewIn) else None
    review.review_snapshot(snapshot, decision, g.actor, reason, asked.seen)
    return snapshot_json(snapshot, group_sizes([snapshot]))
