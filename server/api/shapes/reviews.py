"""Decisions on changes: one, many, and what they did."""

from __future__ import annotations

from pydantic import Field

from server.api.shapes.base import Asked, Shape
from server.api.shapes.runs import RunOut
from server.api.shapes.snapshots import Review
from server.api.texts import Group, Note, SnapshotId


class ReviewIn(Asked):
    """Why a change is approved or rejected, and what whoever decides has seen."""

    reason: Note | None = Field(None, description="Why; it stays with the change.")
    seen: Review = Field(
        "UNREVIEWED",
        description="The snapshot's `review` that you have seen. Where it is another by now, the answer is 409 and "
        "tells who decided; to change what is decided, send what it is.",
    )


class UndoIn(Asked):
    """Which decision is undone."""

    seen: Review | None = Field(
        None,
        description="The snapshot's `review` that you have seen; where it is another by now, the answer is 409. Left "
        "out: whichever it is.",
    )


class RunReviewIn(Asked):
    """Why changes are approved or rejected, and which: without `snapshots` and `group` all."""

    reason: Note | None = Field(None, description="Why; it stays with the change.")
    snapshots: list[SnapshotId] | None = Field(
        None, min_length=1, max_length=1000, description="Only these, by their IDs."
    )
    group: Group | None = Field(None, description="Only those that show this change.")


class Reviewed(Shape):
    """What a decision on many changes did."""

    decided: int = Field(description="How many it approved or rejected.")
    settled: int = Field(
        description="How many undecided snapshots of other runs show the same images, and are decided with them."
    )
    otherwise: int = Field(description="How many had been decided otherwise before: they stay so.")


class ReviewedRunOut(RunOut):
    """A run, and what was just decided about its changes."""

    reviewed: Reviewed
