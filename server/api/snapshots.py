"""`/api/snapshots`: read one, fetch its images, approve or reject it."""

from __future__ import annotations

from typing import Any

from flask import Response, g

from server import answers
from server.api import shapes
from server.api.blueprint import api
from server.api.openapi import binary, optional_json
from server.api.views import optional_body, snapshot_json, snapshot_named
from server.runs import review


@api.get("/snapshots/<snapshot_id>")
@api.output(shapes.SnapshotDetail)
def read_snapshot(snapshot_id: str) -> dict[str, Any]:
    """Read a snapshot, with what the browser reported while it was captured"""
    snapshot = snapshot_named(snapshot_id)
    return {**snapshot_json(snapshot), "evidence": snapshot.evidence}


@api.get("/snapshots/<snapshot_id>/<any(actual, baseline, difference):kind>.png")
@api.doc(responses=binary("image/png", description="The image."))
def read_snapshot_image(snapshot_id: str, kind: str) -> Response:
    """Fetch an image: what was captured, what it was compared with, or where they differ"""
    return answers.snapshot_image(snapshot_named(snapshot_id), kind)


@api.post("/snapshots/<snapshot_id>/approve")
@api.output(shapes.SnapshotOut)
@api.doc(extensions=optional_json(shapes.ReviewIn))
def approve_snapshot(snapshot_id: str) -> dict[str, Any]:
    """Approve a change: its image is the branch's new baseline"""
    snapshot = snapshot_named(snapshot_id)
    return snapshot_json(
        review.review_snapshot(snapshot, "APPROVED", g.actor, optional_body(shapes.ReviewIn).reason)
    )


@api.post("/snapshots/<snapshot_id>/reject")
@api.output(shapes.SnapshotOut)
@api.doc(extensions=optional_json(shapes.ReviewIn))
def reject_snapshot(snapshot_id: str) -> dict[str, Any]:
    """Reject a change"""
    snapshot = snapshot_named(snapshot_id)
    return snapshot_json(
        review.review_snapshot(snapshot, "REJECTED", g.actor, optional_body(shapes.ReviewIn).reason)
    )
