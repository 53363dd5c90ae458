"""Who reviews, and what their reviews look like afterwards."""

from __future__ import annotations

from sqlalchemy import select

from server.access.audit import Actor
from server.database import db
from server.models import Baseline, Snapshot

ADA, BOB = Actor("user", None, "ada@acme.example"), Actor("user", None, "bob@acme.example")


def said(snapshot: Snapshot) -> tuple[str, str, str | None]:
    """A run's verdict, what was decided about its only snapshot, and why."""
    db.session.expire_all()
    return snapshot.run.status, snapshot.review, snapshot.review_reason


def sources(branch: str = "main") -> list[tuple[str, str | None]]:
    """The branch's history, the oldest entry first: where each comes from and why it has ended."""
    rows = db.session.scalars(select(Baseline).where(Baseline.branch == branch).order_by(Baseline.id))
    return [(row.source, row.ended_why) for row in rows]
