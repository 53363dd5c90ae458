"""Two people decide in the same moment, each in a transaction of their own, on SQLite and on PostgreSQL alike.

On PostgreSQL (RETESTR_TEST_DATABASE_URL) they really overlap; on SQLite one waits for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from server.access.audit import Actor
from server.database import db, now
from server.models import AuditEvent, Baseline, Image, Run, Snapshot
from server.problems import Conflict
from server.runs import claims, judge, lifecycle, review
from tests.conftest import World
from tests.runs.history import History
from tests.scale.test_concurrency import at_once as side_by_side

ADA, BOB = Actor("user", None, "ada@acme.example"), Actor("user", None, "bob@acme.example")
COLOURS = ("red", "green", "blue", "black", "yellow", "magenta")


@pytest.fixture
def history(world: World) -> History:
    history = History(world)
    history.run("main", "white")
    return history


def at_once(world: World, *calls: Callable[[], Any]) -> list[Any]:
    """What calls in the same moment return; afterwards everything is read anew."""
    done = side_by_side(world, *calls)
    db.session.rollback()
    return done


def deciding(snapshot_id: str, decision: str, actor: Actor) -> Callable[[], str]:
    """One reviewer's click: who decided, or what they are told instead."""

    def decide() -> str:
        snapshot = db.session.get_one(Snapshot, snapshot_id)
        try:
            review.review_snapshot(snapshot, decision, actor)
        except Conflict as problem:
            return problem.message
        return actor.name

    return decide


def count(*where: object) -> int:
    return db.session.scalar(select(func.count()).select_from(Baseline).where(*where)) or 0


def test_of_two_who_decide_otherwise_the_second_is_told_and_nothing_is_overwritten(history: History) -> None:
    for colour in COLOURS:
        changed = history.run("main", colour)
        told = at_once(
            history.world,
            deciding(changed.id, "APPROVED", ADA),
            deciding(changed.id, "REJECTED", BOB),
        )
        first = ADA if changed.review == "APPROVED" else BOB
        verb = changed.review.lower()
        assert changed.reviewed_by == first.name
        assert first.name in told
        (message,) = (said for said in told if said != first.name)
        assert message.startswith(f"{first.name} has {verb} this snapshot"), message
        assert count(Baseline.run_id == changed.run_id) == (changed.review == "APPROVED")
        events = db.session.scalars(
            select(AuditEvent.actor_name).where(
                AuditEvent.target_id == changed.id, AuditEvent.actor_kind == "user"
            )
        ).all()
        assert events == [first.name]


def test_two_who_approve_the_same_make_one_baseline(history: History) -> None:
    for colour in COLOURS:
        changed = history.run("main", colour)
        told = at_once(
            history.world, deciding(changed.id, "APPROVED", ADA), deciding(changed.id, "APPROVED", BOB)
        )
        assert sorted(told) == ["ada@acme.example", "bob@acme.example"]
        assert count(Baseline.run_id == changed.run_id) == 1


def test_two_runs_with_the_same_images_reviewed_at_once_wait_in_no_circle(history: History) -> None:
    """Each review settles the other's snapshots."""
    for colour in COLOURS:
        for baseline in db.session.scalars(select(Baseline).where(Baseline.branch == "feature")):
            baseline.ended_at = now()  # so that both images change once more
        db.session.commit()
        runs = [history.run("feature", look).run_id for look in (colour, "teal")]
        again = [history.run("feature", look).run_id for look in ("teal", colour)]

        def approve(*run_ids: str) -> int:
            return sum(
                review.review_run(db.session.get_one(Run, run_id), "APPROVED", ADA).decided
                for run_id in run_ids
            )

        decided = at_once(history.world, lambda: approve(*runs), lambda: approve(*again))  # noqa: B023
        assert sum(decided) == 2, "each of the two images is decided once"
        statuses = db.session.scalars(select(Run.status).where(Run.id.in_(runs + again)))
        assert {*statuses} == {"PASSED"}


def test_a_result_that_is_written_down_during_an_approval_of_its_image_is_approved_too(
    history: History,
) -> None:
    for colour in COLOURS:
        changed = history.run("feature", colour)
        history.begin("feature")
        claim = claims.claim("w")
        (job,) = judge.jobs(claim.snapshot_ids)
        outcome = lifecycle.Outcome("CHANGED", image=db.session.get_one(Image, changed.image))

        def record() -> str:
            assert lifecycle.record("w", job.snapshot_id, outcome)  # noqa: B023
            return "recorded"

        at_once(history.world, deciding(changed.id, "APPROVED", ADA), record)
        claims.finish("w", claim)
        late = db.session.get_one(Snapshot, job.snapshot_id)
        assert (late.review, late.run.status) == ("APPROVED", "PASSED")
