"""What the review page shows of a run: its snapshots worst first, one page of them, and the selected one.

A run may have 20,000 snapshots, so order, neighbours and tallies are the database's work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select
from sqlalchemy.orm import contains_eager, joinedload, undefer

from server.database import db
from server.models import Image, Run, Snapshot
from server.problems import NotFound
from server.runs import lifecycle
from server.runs.review import REVIEWABLE

SNAPSHOTS_PER_PAGE = 60
FILTERS: dict[str, str] = {
    "all": "All",
    "review": "To review",
    "changed": "Changed",
    "error": "Errors",
    "new": "New",
    "unchanged": "Unchanged",
}

_open = Snapshot.review == "UNREVIEWED"
_to_review = and_(
    Snapshot.status.in_(REVIEWABLE), _open, Snapshot.image.is_not(None)
)  # retention may take it
RANK: ColumnElement[int] = case(
    (and_(Snapshot.status == "CHANGED", _open), 0),
    (Snapshot.status == "ERROR", 1),
    (and_(Snapshot.status == "NEW", _open), 2),
    (Snapshot.status.in_(REVIEWABLE), 3),
    (Snapshot.status == "UNCHANGED", 4),
    (Snapshot.status == "RUNNING", 5),
    else_=6,
)


@dataclass(frozen=True)
class Tally:
    """How many snapshots each filter of the list shows."""

    all: int = 0
    review: int = 0
    changed: int = 0
    error: int = 0
    new: int = 0
    unchanged: int = 0


@dataclass(frozen=True)
class Listing:
    """One page of a run's snapshots, where it stands in the whole, and who is next to the selected one."""

    show: str
    tally: Tally
    rows: Sequence[Snapshot]
    first: int
    place: int
    before: str | None
    after: str | None
    previous_page: str | None
    next_page: str | None

    @property
    def total(self) -> int:
        """How many snapshots the filter shows on all pages."""
        count: int = getattr(self.tally, self.show)
        return count


def tally(run: Run) -> Tally:
    """Counts a run's snapshots for the filters."""
    rows = db.session.execute(
        select(Snapshot.status, _to_review, func.count())
        .where(Snapshot.run_id == run.id)
        .group_by(Snapshot.status, _to_review)
    ).all()

    def count(*statuses: str) -> int:
        return sum(n for status, _, n in rows if status in statuses)

    return Tally(
        all=sum(n for _, _, n in rows),
        review=sum(n for _, to_review, n in rows if to_review),
        changed=count("CHANGED"),
        error=count("ERROR"),
        new=count("NEW"),
        unchanged=count("UNCHANGED"),
    )


def listing(run: Run, show: str, selected: Snapshot | None) -> Listing:
    """The page of a run's snapshots on which the selected one stands; `show` names one of `FILTERS`."""
    show = show if show in FILTERS else "all"
    query = _shown(run, show)
    place, before, after = 0, None, None
    if selected is not None:
        smaller, greater = _beside(selected)
        place = db.session.scalar(select(func.count()).select_from(query.where(smaller).subquery())) or 0
        before = db.session.scalar(
            query.where(smaller).order_by(RANK.desc(), Snapshot.position.desc()).limit(1)
        )
        after = db.session.scalar(query.where(greater).order_by(RANK, Snapshot.position).limit(1))
    first = place // SNAPSHOTS_PER_PAGE * SNAPSHOTS_PER_PAGE
    ordered = query.order_by(RANK, Snapshot.position)  # of IDs alone: whole rows would take ten times as long
    rows = db.session.scalars(
        select(Snapshot)
        .join(Snapshot.run)
        .options(contains_eager(Snapshot.run))
        .where(Snapshot.id.in_(ordered.offset(first).limit(SNAPSHOTS_PER_PAGE + 1)))
        .order_by(RANK, Snapshot.position)
    ).all()
    next_page = rows[SNAPSHOTS_PER_PAGE].id if len(rows) > SNAPSHOTS_PER_PAGE else None
    previous_page = None
    if first:
        previous_page = db.session.scalar(ordered.offset(first - SNAPSHOTS_PER_PAGE).limit(1))
    rows = rows[:SNAPSHOTS_PER_PAGE]
    return Listing(show, tally(run), rows, first, place, before, after, previous_page, next_page)


def selected_of(run: Run, snapshot_id: str, show: str) -> Snapshot | None:
    """The snapshot that an address names, else the worst one; None where the filter shows none.

    Raises `NotFound` for one that the run does not have.
    """
    whole = joinedload(Snapshot.baseline), undefer(Snapshot.evidence)
    query = select(Snapshot).options(*whole).where(Snapshot.run_id == run.id)
    if not snapshot_id:
        return db.session.scalar(
            query.where(Snapshot.id.in_(_shown(run, show))).order_by(RANK, Snapshot.position).limit(1)
        )
    snapshot = db.session.scalar(query.where(Snapshot.id == snapshot_id))
    if snapshot is None:
        raise NotFound("snapshot-not-found", f"This run has no snapshot {snapshot_id!r}.")
    return snapshot


def snapshot_named(organization_id: str, snapshot_id: str) -> Snapshot:
    """A snapshot of an organisation, with its run and baseline. Raises `NotFound`."""
    snapshot = db.session.scalar(
        select(Snapshot)
        .join(Snapshot.run)
        .options(contains_eager(Snapshot.run), joinedload(Snapshot.baseline))
        .where(Snapshot.id == snapshot_id, Run.organization_id == organization_id)
    )
    if snapshot is None:
        raise NotFound("snapshot-not-found", f"There is no snapshot {snapshot_id!r} in your organisation.")
    return snapshot


def next_to_review(snapshot: Snapshot) -> str | None:
    """The unreviewed change after a snapshot in its run's list, else the first; None where none is left."""
    query = _shown(snapshot.run, "review").where(Snapshot.id != snapshot.id)
    _, greater = _beside(snapshot)
    ordered = query.order_by(case((greater, 0), else_=1), RANK, Snapshot.position)
    following: str | None = db.session.scalar(ordered.limit(1))
    return following


def sizes(snapshot: Snapshot) -> dict[str, Image]:
    """Width and height of a snapshot's images, by kind: `actual`, `baseline`, `difference`."""
    names = {
        "baseline": snapshot.baseline.image if snapshot.baseline else None,
        "actual": snapshot.image,
        "difference": snapshot.difference,
    }
    rows = db.session.scalars(
        select(Image).where(Image.sha256.in_([n for n in names.values() if n]), Image.removed_at.is_(None))
    ).all()
    known = {image.sha256: image for image in rows}
    return {kind: known[name] for kind, name in names.items() if name in known}


def _shown(run: Run, show: str) -> Select[Any]:
    query = select(Snapshot.id).where(Snapshot.run_id == run.id)
    if show == "review":
        return query.where(_to_review)
    if show in ("changed", "error", "new", "unchanged"):
        return query.where(lifecycle.has_status(run, show.upper()))
    return query


def _beside(snapshot: Snapshot) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The conditions for standing before and after a snapshot in the list."""
    own = literal(_rank_of(snapshot))
    smaller = or_(own > RANK, and_(own == RANK, Snapshot.position < snapshot.position))
    greater = or_(own < RANK, and_(own == RANK, Snapshot.position > snapshot.position))
    return smaller, greater


def _rank_of(snapshot: Snapshot) -> int:
    return db.session.scalars(select(RANK).where(Snapshot.id == snapshot.id)).one()
