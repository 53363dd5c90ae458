"""One snapshot's images, and what a person decides about it."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from server import answers
from server.dashboard import reviewing
from server.dashboard.runs import DECISIONS
from server.dashboard.visitors import actor, organization_id
from server.runs import review


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule(
        "/snapshots/<snapshot_id>/<any(actual, baseline, difference):kind>.png", view_func=snapshot_image
    )
    pages.add_url_rule(
        "/snapshots/<snapshot_id>/<any(approve, reject):decision>",
        view_func=review_snapshot,
        methods=["POST"],
    )


def snapshot_image(snapshot_id: str, kind: str) -> ResponseReturnValue:
    """One of a snapshot's images. It never changes, so that a browser may keep it for ever."""
    return answers.snapshot_image(reviewing.snapshot_named(organization_id(), snapshot_id), kind)


def review_snapshot(snapshot_id: str, decision: str) -> ResponseReturnValue:
    """Approves or rejects one change and goes on to the next that is to be reviewed."""
    snapshot = reviewing.snapshot_named(organization_id(), snapshot_id)
    following = reviewing.next_to_review(snapshot)
    reason = request.form.get("reason", "").strip()[:2000] or None
    review.review_snapshot(snapshot, DECISIONS[decision], actor(), reason)
    return redirect(
        url_for(
            "dashboard.show_run",
            run_id=snapshot.run_id,
            snapshot=following or snapshot.id,
            show=request.form.get("show") or None,
        ),
        303,
    )
