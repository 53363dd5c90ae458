"""What people (and keys with `baseline:write`) decide: approve, reject and undo, one change or many; restore.

An image that one decision is about is decided on wherever its branch shows it. Reviews of one project follow one
another, so that the second of two reviewers sees what the first one did, and is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from server.access import audit
from server.access.audit import Actor
from server.database import db, writing
from server.models import Baseline, Image, Project, Run, Snapshot
from server.problems import Conflict, NotFound
from server.runs import baselines, decisions, refusals
from server.runs.automatic import REVIEWABLE
from server.runs.kept import image_removed
from server.runs.suite import chosen


@dataclass(frozen=True)
class Only:
    """Which changes of a run: those that fit all that is named; nothing named: every one."""

    snapshots: Sequence[str] | None = None  # their IDs
    group: str | None = None
    tests: Sequence[str] = ()  # names, or shell patterns of names


@dataclass(frozen=True)
class Reviewed:
    """What a decision on many changes did."""

    decided: int = 0
    settled: int = 0  # snapshots of other runs that show the same images
    otherwise: int = 0  # were decided otherwise before, and stay so


def review_snapshot(
    snapshot: Snapshot,
    decision: str,
    actor: Actor,
    reason: str | None = None,
    seen: str | None = "UNREVIEWED",
) -> Snapshot:
    """Approves (`APPROVED`) or rejects (`REJECTED`) one change, or undoes (`UNREVIEWED`) what was decided.

    An approved image becomes the branch's baseline; where an approval is taken back, the baseline before counts again.
    `seen` is the review that whoever decides has seen; None: whichever it is. Raises `Conflict` where somebody has
    decided otherwise meanwhile, where there is nothing to decide, and where it is too late.
    """
    with writing() as session:
        _take_turn(session, snapshot.run)
        session.refresh(snapshot, with_for_update={"of": Snapshot})
        if snapshot.status not in REVIEWABLE:
            raise refusals.not_reviewable(snapshot)
        if snapshot.review == decision:
            return snapshot
        if image_removed(snapshot) and (decision == "APPROVED" or snapshot.review == "UNREVIEWED"):
            raise Conflict(
                "image-removed",
                "This snapshot's image was removed by retention; trigger a new run and review that one.",
            )
        touched = decisions.Touched()
        if seen is not None and snapshot.review != seen:
            raise refusals.decided_otherwise(snapshot)
        image = decisions.free(session, snapshot, touched)
        if decision == "UNREVIEWED":
            decisions.note(snapshot.run, snapshot, decision, actor, None)
        else:
            decisions.decide(session, snapshot.run, [snapshot], decision, actor, reason, touched)
        if decision == "REJECTED":
            snapshot.rejected_image = image  # which retention may have taken
        touched.reconsider(session)
        return snapshot


def review_run(
    run: Run, decision: str, actor: Actor, reason: str | None = None, only: Only | None = None
) -> Reviewed:
    """Approves or rejects the changes of a run that nobody has reviewed, all or some, in one transaction.

    Raises `NotFound` where `only` names what the run does not have, `Conflict` where that is no change.
    """
    with writing() as session:
        _take_turn(session, run)
        snapshots = session.scalars(
            select(Snapshot)
            .where(Snapshot.run_id == run.id, Snapshot.status.in_(REVIEWABLE), *_chosen(run, only or Only()))
            .order_by(Snapshot.position)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).all()
        undecided = [one for one in snapshots if one.review == "UNREVIEWED" and one.image is not None]
        otherwise = sum(one.review not in ("UNREVIEWED", decision) for one in snapshots)
        touched = decisions.Touched()
        settled = decisions.decide(session, run, undecided, decision, actor, reason, touched)
        touched.reconsider(session)
        return Reviewed(len(undecided), settled, otherwise)


def undo(
    run: Run, decision: str, actor: Actor, since: datetime, group: str | None = None
) -> Sequence[Snapshot]:
    """Undoes at once what `actor` decided about a run's snapshots, or a group's, since a moment; returns them.

    Raises `Conflict` where that is too late for one of them; then nothing is undone.
    """
    with writing() as session:
        _take_turn(session, run)
        decided = select(Snapshot).where(
            Snapshot.run_id == run.id,
            Snapshot.review == decision,
            Snapshot.reviewed_by == actor.name,
            Snapshot.reviewed_at >= since,
            *([Snapshot.group == group] if group else []),
        )
        snapshots = session.scalars(
            decided.order_by(Snapshot.position).with_for_update().execution_options(populate_existing=True)
        ).all()
        touched = decisions.Touched()
        with session.no_autoflush:  # no two of a run are of one variant: thousands are written at once
            for snapshot in snapshots:
                decisions.free(session, snapshot, touched)
                decisions.note(run, snapshot, "UNREVIEWED", actor, None)
        touched.reconsider(session)
        return snapshots


def group_sizes(run_id: str, groups: Iterable[str | None]) -> dict[str | None, int]:
    """How many snapshots of a run show each of these changes."""
    rows = db.session.execute(
        select(Snapshot.group, func.count().label("size"))
        .where(Snapshot.run_id == run_id, Snapshot.group.in_({group for group in groups if group}))
        .group_by(Snapshot.group)
    )
    return {row.group: row.size for row in rows}


def restore(baseline: Baseline, actor: Actor) -> Baseline:
    """Makes an older baseline's image the current one of its branch again: a new entry of the history.

    Raises `Conflict` where the branch shall look like that already, or retention has removed the image.
    """
    with writing() as session:
        project = session.get_one(Project, baseline.project_id)
        _one_at_a_time(session, project.id)
        named = baselines.latest_name(baseline)
        standing = baselines.newest(named, baseline.branch)
        if standing is not None and standing.image == baseline.image:
            raise Conflict(
                "baseline-current", f"This is how {baseline.branch} shall look already; nothing to restore."
            )
        image = session.get_one(Image, baseline.image, populate_existing=True, with_for_update={"read": True})
        if image.removed_at is not None:
            raise Conflict(
                "image-removed", "Retention removed this baseline's image; it cannot be restored any more."
            )
        names = ("project_id", "branch", "viewport", "browser", "image", "width", "height", "ignore", "identity",
                 "run_id", "commit_sha")  # fmt: skip
        restored = Baseline(
            **{name: getattr(baseline, name) for name in names},
            test=named.test,
            was=named.was,
            run_number=max(baseline.run_number, standing.run_number if standing else 0),
            source="RESTORED",
            approved_by=actor.name,
        )
        session.add(restored)
        session.flush()
        audit.record(
            project.organization_id,
            actor,
            "BASELINE_RESTORE",
            ("baseline", restored.id, f"{restored.test} · {restored.viewport}"),
            branch=restored.branch,
            restored=baseline.id,
            instead=standing.id if standing else None,
        )
        return restored


# ------------------------------------------------------------------------------------------- who, and which


def _take_turn(session: Session, run: Run) -> None:
    """Waits for other reviews of the project, and keeps results of runs that may show the same back until the end.

    So a worker's result either is there already, and is settled, or finds what was decided.
    """
    _one_at_a_time(session, run.project_id)
    running = select(Run.id).where(
        Run.project_id == run.project_id,
        Run.status == "RUNNING",
        or_(Run.branch == run.branch, Run.on_default_branch, baselines.is_queued()),
    )
    session.execute(running.order_by(Run.id).with_for_update(key_share=True)).all()


def _one_at_a_time(session: Session, project_id: str) -> None:
    """Has reviews of a project follow one another: on SQLite writers do so anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(project_id, 0))))


def _chosen(run: Run, only: Only) -> list[ColumnElement[bool]]:
    """`only` as conditions. Raises `NotFound` where the run does not have what it names."""
    conditions: list[ColumnElement[bool]] = []
    if only.snapshots is not None:
        rows = db.session.scalars(
            select(Snapshot).where(Snapshot.run_id == run.id, Snapshot.id.in_(only.snapshots))
        ).all()
        if missing := sorted(set(only.snapshots) - {row.id for row in rows}):
            raise NotFound("snapshot-not-found", f"This run has no snapshot {missing[0]!r}.")
        if other := next((row for row in rows if row.status not in REVIEWABLE), None):
            raise refusals.not_reviewable(other)
        conditions.append(Snapshot.id.in_(only.snapshots))
    if only.group is not None:
        if not group_sizes(run.id, [only.group]):
            raise NotFound("group-not-found", f"This run has no group {only.group!r}.")
        conditions.append(Snapshot.group == only.group)
    if only.tests:
        names = db.session.scalars(select(Snapshot.test).where(Snapshot.run_id == run.id).distinct()).all()
        tests = chosen(names, only.tests)
        if not tests:
            raise NotFound("no-test-matches", f"No test of this run matches {', '.join(only.tests)}.")
        conditions.append(Snapshot.test.in_(tests))
    return conditions
