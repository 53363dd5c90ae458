"""What a snapshot is compared with, and how an image becomes a baseline or ceases to be one.

A variant is test name + viewport + browser; the earlier names that a suite gives (`was`) are the same variant. Its
baselines are an append-only history on each branch; the newest is the one whose run was triggered last, so that a
run which finishes late overrules nothing. One that has ended (`ended_at`) counts no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import Session

from server import times
from server.database import db, now
from server.models import Baseline, Image, Project, Run, Snapshot
from server.problems import Conflict

CARRY_LASTS = timedelta(days=30)
CARRY_CANDIDATES = 50
STALE_AFTER = timedelta(days=30)
QUEUE_PREFIX = "gh-readonly-queue/"
BY_PEOPLE = ("APPROVED", "RESTORED")
NEWEST_FIRST = Baseline.run_number.desc(), Baseline.id.desc()


def names_of(variant: Snapshot | Baseline) -> list[str]:
    """What a variant's test is called, then what it was called before."""
    return [variant.test, *(variant.was or ())]


def is_of(variant: Snapshot | Baseline, table: type[Snapshot] | type[Baseline]) -> ColumnElement[bool]:
    """The condition that selects a variant's rows, under whatever name of the test."""
    names = names_of(variant)
    return and_(
        table.project_id == variant.project_id,  # what the indexes of variants begin with
        table.test.in_(names) if len(names) > 1 else table.test == names[0],
        table.viewport == variant.viewport,
        table.browser == variant.browser,
    )


def of_variant(variant: Snapshot | Baseline) -> Select[Baseline]:
    """All baselines of a variant, of every branch and time."""
    return select(Baseline).where(is_of(variant, Baseline))


def newest(variant: Snapshot | Baseline, branch: str) -> Baseline | None:
    """A variant's current baseline on a branch."""
    standing = of_variant(variant).where(Baseline.branch == branch, Baseline.ended_at.is_(None))
    return db.session.scalar(standing.order_by(*NEWEST_FIRST).limit(1))


def candidates(run: Run, snapshot: Snapshot) -> list[Baseline]:
    """What a snapshot may look like and pass, the one it is measured against first.

    The run's branch, then the branch it is based on, then the default branch: what main looks like now
    is no regression. One that shows what one before it shows is left out.
    """
    found: dict[tuple[str, str], Baseline] = {}
    for branch in _branches(run):
        if baseline := newest(snapshot, branch):
            found.setdefault((baseline.image, str(baseline.ignore)), baseline)
    return list(found.values())


def is_fork(branch: str) -> bool:
    """Whether a branch is somebody else's (`owner:branch`)."""
    return ":" in branch


def is_queued() -> ColumnElement[bool]:
    """The condition that selects runs in a merge queue."""
    return Run.branch.startswith(QUEUE_PREFIX, autoescape=True)


def approvals_elsewhere(run: Run, snapshot: Snapshot, *also: ColumnElement[bool]) -> list[Baseline]:
    """Approvals that may be arriving: what people approved on other branches of ours, latest first.

    Only for runs on the default branch or in a merge queue. Each is its branch's newest for the variant,
    younger than the default branch's baseline and than 30 days, and not from a fork (`owner:branch`).
    `also` narrows them.
    """
    if not (run.on_default_branch or run.branch.startswith(QUEUE_PREFIX)):
        return []
    since = now() - CARRY_LASTS
    if default := newest(snapshot, run.project.default_branch):
        since = max(since, default.created_at)
    rows = db.session.scalars(
        of_variant(snapshot)
        .where(
            Baseline.source.in_(BY_PEOPLE),
            Baseline.created_at > since,
            Baseline.branch.not_in(_branches(run)),
            Baseline.branch.not_like("%:%"),
            *also,
        )
        .order_by(Baseline.created_at.desc())
        .limit(CARRY_CANDIDATES)
    ).all()
    return [row for row in rows if row.id == getattr(newest(snapshot, row.branch), "id", None)]


def approved_since(session: Session, snapshot: Snapshot, when: datetime) -> bool:
    """Whether a person has approved a snapshot's image, on any branch and under any of its test's names, after a time."""
    later = of_variant(snapshot).where(
        Baseline.image == snapshot.image,
        Baseline.source.in_(BY_PEOPLE),
        Baseline.created_at > when,
        Baseline.ended_why.is_distinct_from("TAKEN_BACK"),
    )
    return session.scalar(later.limit(1)) is not None


def add(
    session: Session, run: Run, snapshot: Snapshot, source: str, approved_by: str | None = None
) -> Baseline:
    """Makes a snapshot's image the baseline of its branch. `source` is NEW, APPROVED, CARRIED or AUTO."""
    image = session.get_one(Image, snapshot.image)
    baseline = Baseline(
        project_id=run.project_id,
        branch=run.branch,
        test=snapshot.test,
        viewport=snapshot.viewport,
        browser=snapshot.browser,
        was=snapshot.was,
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


def take_back(session: Session, baseline: Baseline) -> list[Baseline]:
    """Ends the newest entries of a branch that show a baseline's image, so that the one before them counts again.

    Several do where several runs showed the image. Raises `Conflict` where another image has become the branch's
    baseline since, or the one before was removed by retention.
    """
    history = of_variant(baseline).where(Baseline.branch == baseline.branch, Baseline.ended_at.is_(None))
    standing = session.scalars(
        history.order_by(*NEWEST_FIRST).execution_options(populate_existing=True)
    ).all()
    ended = list(takewhile(lambda entry: entry.image == baseline.image, standing))
    if baseline not in ended:
        newer = standing[0]
        raise Conflict(
            "newer-baseline",
            f"A newer baseline stands on {newer.branch}: {newer.approved_by or 'retestr'} made it of run "
            f"#{newer.run_number} ({times.exact(newer.created_at)}). Take that one back first.",
            {"baselineId": newer.id, "runId": newer.run_id, "approvedBy": newer.approved_by},
        )
    former = standing[len(ended)] if len(standing) > len(ended) else None
    if former is not None and session.get_one(Image, former.image).removed_at is not None:
        raise Conflict(
            "image-removed",
            "The baseline before this one was removed by retention, so that nothing could be compared with it. "
            "Approve the image that is right instead.",
        )
    for entry in ended:
        entry.ended_at, entry.ended_why = now(), "TAKEN_BACK"
    return ended


def current(project_id: str, branch: str) -> list[Baseline]:
    """The newest baseline of every variant on a branch, by test and viewport; a renamed test's under its new name."""
    rows = db.session.scalars(
        select(Baseline)
        .where(Baseline.project_id == project_id, Baseline.branch == branch, Baseline.ended_at.is_(None))
        .order_by(Baseline.test, Baseline.viewport, Baseline.browser, Baseline.run_number, Baseline.id)
    )
    newest = {(row.test, row.viewport, row.browser): row for row in rows}
    for row in list(newest.values()):
        for name in row.was or ():
            old = newest.get((name, row.viewport, row.browser))
            if old is not None and old.run_number <= row.run_number:  # else the name is another test's by now
                del newest[name, row.viewport, row.browser]
    return list(newest.values())


def stale(project: Project) -> Sequence[tuple[str, str]]:
    """The baselines (ID, branch) that expire: their branch saw no run, nor one based on it, for 30 days.

    Those of the default branch never do, nor one that was made in this time.
    """
    since = now() - STALE_AFTER
    recent = Run.project_id == project.id, Run.created_at >= since
    used = {project.default_branch}
    for branch in (Run.branch, Run.base_branch):
        used |= set(db.session.scalars(select(branch).where(*recent).distinct()))
    old = (
        Baseline.project_id == project.id,
        Baseline.branch != project.default_branch,
        Baseline.ended_at.is_(None),
        Baseline.created_at < since,
    )
    rows = db.session.execute(select(Baseline.id, Baseline.branch).where(*old).order_by(Baseline.id)).all()
    return [(row.id, row.branch) for row in rows if row.branch not in used]


def latest_name(baseline: Baseline) -> Baseline:
    """An entry of the same history that knows the test's latest name; itself where it was not renamed since."""
    renamed = (
        select(Baseline)
        .where(
            Baseline.project_id == baseline.project_id,
            Baseline.branch == baseline.branch,
            Baseline.viewport == baseline.viewport,
            Baseline.browser == baseline.browser,
            Baseline.was.is_not(None),
            Baseline.run_number >= baseline.run_number,
        )
        .order_by(*NEWEST_FIRST)
    )
    return next((row for row in db.session.scalars(renamed) if baseline.test in names_of(row)), baseline)


def history(baseline: Baseline) -> Select[Baseline]:
    """Every entry of a baseline's variant on its branch, also under the test's other names."""
    return of_variant(latest_name(baseline)).where(Baseline.branch == baseline.branch)


def _branches(run: Run) -> list[str]:
    return list(dict.fromkeys(filter(None, [run.branch, run.base_branch, run.project.default_branch])))
