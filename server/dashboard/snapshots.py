"""One snapshot's images, and what a person decides about it."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from server import answers
from server.dashboard import deciding, reviewing
from server.dashboard.visitors import organization_id


def add_to(pages: Blueprint) -> None:
    """Adds the routes."""
    pages.add_url_rule(
        "/snapshots/<snapshot_id>/<any(actual, baseline, difference):kind>.png", view_func=snapshot_image
    )
    pages.add_url_rule("/snapshots/<snapshot_id>/listed.png", view_func=listed_image)
    pages.add_url_rule(
        "/snapshots/<snapshot_id>/<any(approve, reject, undo):decision>",
        view_func=review_snapshot,
        methods=["POST"],
    )


def snapshot_image(snapshot_id: str, kind: str) -> ResponseReturnValue:
    """One of a snapshot's images. It never changes, so that a browser may keep it for ever."""
    return answers.snapshot_image(reviewing.snapshot_named(organization_id(), snapshot_id), kind)


def listed_image(snapshot_id: str) -> ResponseReturnValue:
    """What the list beside the review shows of a snapshot: a few kilobytes for a change, whatever its page weighs."""
    return answers.listed(reviewing.snapshot_named(organization_id(), snapshot_id))


def review_snapshot(snapshot_id: str, decision: str) -> ResponseReturnValue:
    """Approves or rejects one change, or undoes that, and goes on to the next that is to be reviewed."""
    snapshot = reviewing.snapshot_named(organization_id(), snapshot_id)
    return deciding.one(snapshot, deciding.DECISIONS[decision], request.form)
