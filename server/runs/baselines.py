"""What a snapshot is compared with, and how an image becomes a baseline.

A variant is test name + viewport + browser. Its baselines are an append-only history on each branch; the
newest is the one whose run was triggered last, so that a run which finishes late overrules nothing.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from server.database import db, now
from server.models import Baseline, Image, Run, Snapshot

CARRY_LASTS = timedelta(days=30)
CARRY_CANDIDATES = 50
QUEUE_PREFIX = "gh-readonly-queue/"


def newest(snapshot: Snapshot, branch: str) -> Baseline | None:
    """A variant's current baseline on a branch."""
    return db.session.scalar(
        _of_variant(snapshot)
        .where(Baseline.branch == branch)
        .order_by(Baseline.run_number.desc(), Baseline.id.desc())
        .limit(1)
    )


def candidates(run: Run, snapshot: Snapshot) -> list[Baseline]:
    """What a snapshot may look like and pass, the one it is measured against first.

    The run's branch, then the branch it is based on, then the default branch: what main looks like now
    is no regression.
    """
    found = (newest(snapshot, branch) for branch in _branches(run))
    return [baseline for baseline in found if baseline is not None]


def approvals_elsewhere(run: Run, snapshot: Snapshot) -> list[Baseline]:
    """Approvals that may be arriving: what people approved on other branches of ours, latest first.

    Only for runs on the default branch or in a merge queue. Each is its branch's newest for the variant,
    younger than the default branch's baseline and than 30 days, and not from a fork (`owner:branch`).
    """
    if not (run.on_default_branch or run.branch.startswith(QUEUE_PREFIX)):
        return []
    since = now() - CARRY_LASTS
    if default := newest(snapshot, run.project.default_branch):
        since = max(since, default.created_at)
    rows = db.session.scalars(
        _of_variant(snapshot)
        .where(
            Baseline.source == "APPROVED",
            Baseline.created_at > since,
            Baseline.branch.not_in(_branches(run)),
            Baseline.branch.not_like("%:%"),
        )
        .order_by(Baseline.created_at.desc())
        .limit(CARRY_CANDIDATES)
    ).all()
    return [row for row in rows if row.id == getattr(newest(snapshot, row.branch), "id", None)]


def add(
    session: Session, run: Run, snapshot: Snapshot, source: str, approved_by: str | None = None
) -> Baseline:
    """Makes a snapshot's image the baseline of its branch. `source` is NEW, APPROVED or CARRIED."""
    image = session.get_one(Image, snapshot.image)
    baseline = Baseline(
        project_id=run.project_id,
        branch=run.branch,
        test=snapshot.test,
        viewport=snapshot.viewport,
        browser=snapshot.browser,
        image=image.sha256,
        width=image.width,
        height=image.height,
        ignore=snapshot.ignore,
        identity=snapshot.identity,
        run_id=run.id,
        run_number=run.number,
        commit_sha=run.commit_sha,
        source=source,
        approved_by=approved_by,
    )
    session.add(baseline)
    return baseline


def current(project_id: str, branch: str) -> list[Baseline]:
    """The newest baseline of every variant on a branch, by test and viewport."""
    rows = db.session.scalars(
        select(Baseline)
        .where(Baseline.project_id == project_id, Baseline.branch == branch)
        .order_by(Baseline.test, Baseline.viewport, Baseline.browser, Baseline.run_number, Baseline.id)
    )
    return list({(row.test, row.viewport, row.browser): row for row in rows}.values())


def _branches(run: Run) -> list[str]:
    return list(dict.fromkeys(filter(None, [run.branch, run.base_branch, run.project.default_branch])))


def _of_variant(snapshot: Snapshot) -> Select[Baseline]:
    return select(Baseline).where(
        Baseline.project_id == snapshot.project_id,
        Baseline.test == snapshot.test,
        Baseline.viewport == snapshot.viewport,
        Baseline.browser == snapshot.browser,
    )
