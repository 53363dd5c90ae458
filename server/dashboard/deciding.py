"""What pressing a button of the review does: the decision, what is told, what can be undone, and where it goes on.

The rules of a decision are `runs.review`'s. What somebody else has decided meanwhile stays, and is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import flash, redirect, session, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from server.dashboard import formats
from server.dashboard.outline import Filters, Outline, Step, outline
from server.dashboard.visitors import actor
from server.database import db, now
from server.models import Run, Snapshot
from server.problems import Conflict, Invalid
from server.runs import review
from server.runs.review import Only

DECISIONS = {"approve": "APPROVED", "reject": "REJECTED", "undo": "UNREVIEWED"}
DONE = {"APPROVED": "Approved", "REJECTED": "Rejected"}
UNDO_OFFERED = timedelta(minutes=5)
LONGEST_REASON = 2000
TOLD = 3
"""So many of the decisions that others made meanwhile are told one by one."""


def one(snapshot: Snapshot, decision: str, form: Mapping[str, str]) -> Response:
    """Approves, rejects or undoes one snapshot, and goes on to the next that is to be decided."""
    filters, run, began = Filters.of(form), snapshot.run, now()
    outlined = outline(run, filters.without_show())
    try:
        review.review_snapshot(snapshot, decision, actor(), _reason(form), form.get("seen") or "UNREVIEWED")
    except Conflict as problem:
        flash(problem.message, "notice")
        return _to(run, filters, Step(snapshot.id, "open" in form))
    if decision == "UNREVIEWED":
        session.pop("decided", None)
        flash(f"Undone. {_name(snapshot)} is to be reviewed again.", "done")
        return _to(run, filters, Step(snapshot.id, "open" in form))
    if snapshot.reviewed_at is None or snapshot.reviewed_at < began:
        flash(f"{_name(snapshot)} was decided already: {_decision_of(snapshot)}", "notice")
    else:
        _offer_undo(run, decision, began, f"{DONE[decision]} {_name(snapshot)}.", snapshot=snapshot.id)
    return _to(run, filters, _following(outlined, snapshot.id, "open" in form))


def many(run: Run, decision: str, form: Mapping[str, str]) -> Response:
    """Approves or rejects what is undecided of a group, or of all that the filters show, and goes on."""
    filters, began, group = Filters.of(form), now(), form.get("group") or None
    outlined = outline(run, filters.without_show())
    chosen = [
        item.id
        for entry in outlined.entries
        for item in entry.members
        if item.to_review and group in (None, item.group)
    ]
    meanwhile = _meanwhile(run, group, form.get("at", ""))
    done = review.review_run(run, decision, actor(), _reason(form), Only(snapshots=chosen))
    if done.decided:
        _offer_undo(run, decision, began, f"{DONE[decision]} {_counted(done.decided)}.", group=group)
    elif not meanwhile:
        flash("There was nothing left to decide.", "notice")
    if meanwhile:
        told = "; ".join(f"{_name(one)} {_decision_of(one)}" for one in meanwhile[:TOLD])
        more = f"; and {len(meanwhile) - TOLD} more" if len(meanwhile) > TOLD else ""
        flash(f"Decided by somebody else meanwhile, and left as it is: {told}{more}", "notice")
    if group is None:
        return _to(run, filters, None)
    return _to(run, filters, _following(outlined, form.get("snapshot", ""), False))


def undo_many(run: Run, form: Mapping[str, str]) -> Response:
    """Undoes what the visitor decided about a group or a run at once, as the offer to undo says."""
    filters, decision = Filters.of(form), DECISIONS.get(form.get("decision", ""), "")
    try:
        snapshots = review.undo(run, decision, actor(), _moment(form.get("since", "")), form.get("group"))
    except Conflict as problem:
        flash(f"Nothing is undone. {problem.message}", "notice")
        return _to(run, filters, None)
    session.pop("decided", None)
    if not snapshots:
        flash("Nothing is left to undo.", "notice")
        return _to(run, filters, None)
    flash(f"Undone. {_counted(len(snapshots))} to be reviewed again.", "done")
    return _to(run, filters, Step(snapshots[0].id, False))


def undo_offered(run: Run) -> dict[str, Any] | None:
    """What the visitor decided last in a run, if that was just now: `words`, and what a form to undo it sends."""
    decided = session.get("decided")
    if not decided or decided["run"] != run.id or _moment(decided["since"]) < now() - UNDO_OFFERED:
        return None
    offered: dict[str, Any] = decided
    return offered


def _offer_undo(
    run: Run,
    decision: str,
    since: datetime,
    words: str,
    snapshot: str | None = None,
    group: str | None = None,
) -> None:
    session["decided"] = {
        "run": run.id,
        "decision": next(verb for verb, status in DECISIONS.items() if status == decision),
        "since": since.isoformat(),
        "words": words,
        "snapshot": snapshot,
        "group": group,
    }


def _following(outlined: Outline, snapshot_id: str, opened: bool) -> Step | None:
    """What is to be decided next; where nothing is left, what was decided last stays."""
    entry = outlined.entry_of(snapshot_id)
    if entry is None:
        return None
    return outlined.next_to_review(entry, snapshot_id if opened else None) or Step(snapshot_id, opened)


def _meanwhile(run: Run, group: str | None, at: str) -> list[Snapshot]:
    """What others have decided since the visitor's page was made (`at`), the latest first."""
    if not at:
        return []
    query = select(Snapshot).where(
        Snapshot.run_id == run.id,
        Snapshot.reviewed_at > _moment(at),
        Snapshot.reviewed_by.is_not(None),
        Snapshot.reviewed_by != actor().name,
    )
    if group is not None:
        query = query.where(Snapshot.group == group)
    return list(db.session.scalars(query.order_by(Snapshot.reviewed_at.desc())))


def _decision_of(snapshot: Snapshot) -> str:
    """Who decided what, when and why."""
    when = formats.relative(snapshot.reviewed_at) if snapshot.reviewed_at else ""
    why = f": {snapshot.review_reason}" if snapshot.review_reason else ""
    return f"{snapshot.review.lower()} by {snapshot.reviewed_by or 'retestr'} {when}{why}."


def _name(snapshot: Snapshot) -> str:
    return f"{snapshot.test} · {snapshot.viewport}"


def _counted(count: int) -> str:
    return "1 change" if count == 1 else f"{formats.number(count)} changes"


def _reason(form: Mapping[str, str]) -> str | None:
    return form.get("reason", "").strip()[:LONGEST_REASON] or None


def _moment(text: str) -> datetime:
    """A time as this server's pages carry it. Raises `Invalid`."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("form-damaged", "The form was sent damaged. Reload the page and try again.") from None


def _to(run: Run, filters: Filters, step: Step | None) -> Response:
    place: dict[str, Any] = {"run_id": run.id}
    if step is not None:
        place |= {"snapshot": step.id, "open": 1 if step.opened else None}
    place |= filters.query()
    return redirect(url_for("dashboard.show_run", **place), 303)
