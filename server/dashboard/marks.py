"""How a status looks: one place for its shape, its word and its colour. The shapes are in parts/marks.html."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from server.models import Run, Snapshot
from server.runs import lifecycle


class Mark(NamedTuple):
    """A shape's name, a word for people, and the tone that app.css colours it with."""

    shape: str
    word: str
    tone: str


MARKS: dict[str, Mark] = {
    "PENDING": Mark("circle", "pending", "grey"),
    "RUNNING": Mark("half", "running", "blue"),
    "PASSED": Mark("dot", "passed", "green"),
    "FAILED": Mark("diamond", "failed", "amber"),
    "ERROR": Mark("cross", "error", "red"),
    "CANCELLED": Mark("slashed", "cancelled", "grey"),
    "UNCHANGED": Mark("dot", "unchanged", "green"),
    "CHANGED": Mark("diamond", "changed", "amber"),
    "NEW": Mark("plus", "new", "violet"),
    "APPROVED": Mark("check", "approved", "green"),
    "REJECTED": Mark("cross", "rejected", "red"),
    "FLAKY": Mark("again", "passed on retry", "teal"),
}


def mark_of(snapshot: Snapshot) -> str:
    """The key in `MARKS` that says most about a snapshot: what was decided, else how it was judged."""
    return mark_for(lifecycle.status_of(snapshot), snapshot.review, snapshot.flaky)


def mark_for(status: str, review: str, flaky: bool) -> str:
    """The same, of what is known of a snapshot."""
    if (status == "CHANGED" and review != "UNREVIEWED") or (status == "NEW" and review == "REJECTED"):
        return review
    return "FLAKY" if status == "UNCHANGED" and flaky else status


def state(run: Run) -> str:
    """How far a run is, for a page that asks whether something happened."""
    return f"{run.id}.{run.status}.{run.done}"


def unfinished_states(runs: Iterable[Run]) -> list[str]:
    """The states of those that are not over."""
    return [state(run) for run in runs if run.status in lifecycle.UNFINISHED]


def counts(run: Run) -> str:
    """A run's counts in words, the most important first: "2 of 48 changed, 1 new"."""
    if run.status == "PENDING":
        return f"waiting for a worker, {run.total} to capture"
    if run.status == "CANCELLED":
        return f"{run.done} of {run.total} done"
    said = []
    if run.error:
        said.append(f"{run.error} of {run.total} not judged")
    if run.changed:
        total = "" if run.error or run.status == "RUNNING" else f" of {run.total}"
        said.append(f"{run.changed}{total} changed")
    if run.new:
        said.append(f"{run.new} new")
    if run.status == "RUNNING":
        return ", ".join([f"{run.done} of {run.total} done", *said])
    if run.changed and run.status == "PASSED":
        said.append("all approved")
    if run.flaky:
        said.append(f"{run.flaky} passed on retry")
    return ", ".join(said) or f"all {run.total} unchanged"


def verdict(run: Run) -> str:
    """A run's verdict as the sentence over its review."""
    if run.status == "PENDING":
        return "Waiting for a worker"
    if run.status == "RUNNING":
        return f"{run.done} of {run.total} pages captured"
    if run.status == "CANCELLED":
        return f"Cancelled after {run.done} of {run.total} pages"
    if run.status == "ERROR":
        return f"{run.error} of {run.total} pages could not be judged{f', {run.changed} changed' if run.changed else ''}"
    if run.status == "FAILED":
        return f"{run.changed} of {run.total} pages changed" if run.changed else "A new page was rejected"
    if run.changed:
        return f"{run.changed} of {run.total} pages changed, all approved"
    if run.new == run.total:
        return f"All {run.total} pages are new" if run.total > 1 else "The page is new"
    if run.new:
        return f"{run.new} of {run.total} pages are new, the others look as before"
    return f"All {run.total} pages look as before" if run.total > 1 else "The page looks as before"
