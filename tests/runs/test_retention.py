"""What retention removes and what it never does. Only time is made up: rows are made to look older."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from server.access.audit import CLI
from server.database import db, now, writing
from server.images import name_of
from server.models import (
    AuditEvent,
    Chunk,
    Idempotency,
    Image,
    Project,
    Run,
    Snapshot,
)
from server.problems import Conflict
from server.runs import baselines, lifecycle, retention, review, trigger
from server.runs.retention import Report
from server.runs.trigger import Trigger
from tests.runs.past import Past, everything, picture, picture_name

# ------------------------------------------------------------------------------------------- days


def test_images_of_passing_runs_go_after_7_days_and_of_failing_ones_after_30(past: Past) -> None:
    past.run(1, 2)
    passing = past.run(1, 2, branch="feature")
    failing = past.run(1, 3, branch="feature")
    unreviewed = past.snapshots(failing)[1]
    review.review_snapshot(unreviewed, "REJECTED", CLI)
    past.pass_days(6.9)
    assert past.collect().images == 0
    past.pass_days(0.2)
    assert past.collect().images == 0  # main's baselines are the passing run's images
    assert [s.image for s in past.snapshots(passing)] == [None, None]
    assert past.snapshots(failing)[1].image is not None
    past.pass_days(23)
    assert past.collect().images == 2
    assert [s.image for s in past.snapshots(failing)] == [None, None]
    assert db.session.get_one(Run, failing).images_removed_at is not None


def test_a_project_may_keep_longer_or_shorter_and_for_ever(past: Past) -> None:
    ids = {}
    for days in (2, 0, None):
        project = past.world.project(past.world.acme, f"Keeps {days}")
        project.keep_passing_days = days
        db.session.commit()
        ids[days] = past.run(10, branch="feature", project=project), past.run(11, branch="x", project=project)
    past.pass_days(3)
    past.collect()
    assert {days: [past.snapshots(i)[0].image is None for i in both] for days, both in ids.items()} == {
        2: [True, True],
        0: [False, False],
        None: [False, False],
    }
    past.pass_days(1000)
    past.collect()
    assert past.snapshots(ids[None][0]) == []


def test_a_change_that_nobody_has_reviewed_keeps_all_three_images(past: Past) -> None:
    past.run(1)
    changed = past.run(2, branch="feature")
    later = past.run(3)
    past.approve(later)
    past.pass_days(200)
    past.collect()
    (snapshot,) = past.snapshots(changed)
    assert [past.has(n) for n in (snapshot.image, snapshot.difference, snapshot.baseline.image)] == [True] * 3
    review.review_snapshot(snapshot, "REJECTED", CLI)
    past.collect()
    (snapshot,) = past.snapshots(changed)
    assert (snapshot.image, snapshot.difference) == (None, None)
    assert not past.has(snapshot.baseline.image)


def test_a_young_run_keeps_the_superseded_baseline_that_it_shows(past: Past) -> None:
    past.run(1)
    past.pass_days(100)
    changed = past.run(2)
    past.approve(changed)
    past.pass_days(6)
    assert past.collect().images == 0
    past.pass_days(2)
    assert past.collect().images == 2  # the superseded baseline and the difference
    assert past.has(past.snapshots(changed)[0].image or picture_name(2))


def test_a_baseline_superseded_an_hour_ago_is_kept_for_comparisons_under_way(past: Past) -> None:
    past.run(1)
    past.pass_days(100)
    past.approve(past.run(2))
    with writing() as session:
        session.execute(update(Run).values(finished_at=now() - timedelta(days=50)))
        session.execute(update(Image).values(used_at=now() - timedelta(days=50)))
    past.collect()
    assert past.has(picture_name(1))
    past.pass_days(1)
    past.collect()
    assert not past.has(picture_name(1))
    old = db.session.get_one(Image, picture_name(1))
    assert old.removed_at is not None


def test_a_superseded_baseline_whose_image_is_stored_anew_has_it_again(past: Past) -> None:
    past.run(1)
    past.approve(past.run(2))
    past.pass_days(50)
    past.collect()
    assert not past.has(picture_name(1))
    past.run(1)
    assert past.has(picture_name(1))
    assert db.session.get_one(Image, picture_name(1)).removed_at is None


def test_an_image_younger_than_a_day_stays(past: Past) -> None:
    png = picture(5)
    retention.reserve(Image(sha256=name_of(png), width=20, height=10, size_bytes=len(png)))
    past.store.put(png)
    past.pass_days(0.9)
    assert past.collect().images == 0
    past.pass_days(0.2)
    assert past.collect() == Report(images=1, freed_bytes=len(png))


def test_baselines_of_unused_branches_expire_and_their_images_go_a_day_later(past: Past) -> None:
    past.run(1)
    past.approve(past.run(2, branch="old"))
    past.approve(past.run(3, branch="used"))
    past.pass_days(31)
    past.run(3, branch="used")
    told = past.collect(dry_run=True)
    assert past.collect(actor=CLI) == told
    assert (told.baselines, past.has(picture_name(2))) == (1, True)
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "BASELINES_EXPIRE")).one()
    assert (event.actor_kind, event.target_name) == ("cli", "shop")
    assert event.details == {"ended": 1, "branches": ["old"]}
    past.pass_days(1.1)
    assert past.collect().baselines == 0
    assert [past.has(picture_name(shade)) for shade in (1, 2, 3)] == [True, False, True]


def test_a_branch_that_runs_now_and_then_keeps_its_baselines_where_runs_are_kept_for_days_only(
    past: Past,
) -> None:
    with writing() as session:
        session.get_one(Project, past.world.shop.id).keep_runs_days = 14
    past.run(1)
    past.approve(past.run(2, branch="release"))
    for days in (15, 5, 15, 5):
        past.pass_days(days)
        told = past.collect(dry_run=True)
        assert past.collect() == told
        assert told.baselines == 0
        if days == 5:
            past.run(2, branch="release")


def test_what_counts_again_after_an_approval_was_taken_back_is_kept(past: Past) -> None:
    past.run(1)
    changed = past.run(2)
    past.approve(changed)
    past.pass_days(0.5)
    review.review_snapshot(past.snapshots(changed)[0], "REJECTED", CLI, seen="APPROVED")
    past.pass_days(60)
    past.collect()
    assert [past.has(picture_name(shade)) for shade in (1, 2)] == [True, False]


# ------------------------------------------------------------------------------------------- runs


def test_runs_go_after_400_days_but_for_those_that_a_current_baseline_came_from(past: Past) -> None:
    first, plain = past.run(1, 2, key="k"), past.run(1, 2)
    past.pass_days(399)
    assert past.collect().runs == 0
    past.pass_days(2)
    assert past.collect(actor=CLI).runs == 1
    assert db.session.get(Run, plain) is None
    assert [row.run_id for row in baselines.current(past.world.shop.id, "main")] == [first, first]
    assert past.has(picture_name(1))
    assert past.has(picture_name(2))
    assert db.session.query(Chunk).count() == db.session.query(Idempotency).count() == 0
    told = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "RUNS_EXPIRE")).one()
    assert (told.actor_kind, told.target_name, told.details) == ("cli", "shop", {"removed": 1})
    past.approve(past.run(3, 4))
    past.pass_days(402)
    past.approve(past.run(5, 6))
    past.pass_days(2)
    assert past.collect().runs == 1  # the first; a younger run was compared with the second's baselines
    assert db.session.get(Run, first) is None


def test_runs_that_were_compared_with_each_other_go_together(past: Past) -> None:
    """The first run's second page is compared with a baseline of the second run, which was compared with the first's."""
    a, b = past.run(1, 2), past.run(3, 4)
    past.approve(b)
    (_, second), rows = past.snapshots(a), baselines.current(past.world.shop.id, "main")
    with writing() as session:
        session.execute(update(Snapshot).where(Snapshot.id == second.id).values(baseline_id=rows[1].id))
    past.approve(past.run(5, 6))
    past.pass_days(500)
    assert past.collect().runs == 2
    assert (db.session.get(Run, a), db.session.get(Run, b)) == (None, None)


def test_a_run_that_is_not_over_stays_however_old(past: Past) -> None:
    run, _ = trigger.trigger(past.world.shop, Trigger("main"), CLI, 100)
    past.pass_days(1000)
    past.collect()
    assert len(past.snapshots(run.id)) == 4


def test_a_change_whose_image_is_gone_is_not_approved(past: Past) -> None:
    past.run(1)
    changed = past.run(2, branch="feature")
    review.review_snapshot(past.snapshots(changed)[0], "REJECTED", CLI)
    new = past.run(1, 9, branch="feature")
    past.pass_days(31)
    past.collect()
    for snapshot in (past.snapshots(changed)[0], past.snapshots(new)[1]):
        with pytest.raises(Conflict, match="removed"):
            review.review_snapshot(snapshot, "APPROVED", CLI)
    assert review.review_run(db.session.get_one(Run, new), "APPROVED", CLI).decided == 0


# ------------------------------------------------------------------------------------------- whatever happened


@pytest.mark.parametrize("seed", range(6))
def test_after_any_history_what_is_current_or_unreviewed_is_readable_and_a_dry_run_told_the_truth(
    past: Past, seed: int
) -> None:
    dice = random.Random(seed)
    runs: list[str] = []
    if seed % 2:
        with writing() as session:
            project = session.get_one(Project, past.world.shop.id)
            project.keep_passing_days, project.keep_failing_days, project.keep_runs_days = 0, 200, 20 * seed
    for _ in range(25):
        what = dice.choice(["run", "run", "run", "approve", "reject", "cancel", "days", "collect"])
        if what == "run":
            shades = [dice.randrange(6) for _ in range(dice.choice([1, 2]))]
            runs.append(past.run(*shades, branch=dice.choice(["main", "main", "feature", "other"])))
        elif what == "cancel":
            run, _ = trigger.trigger(past.world.shop, Trigger("main"), CLI, 100)
            lifecycle.cancel(run, CLI)
        elif what == "days":
            past.pass_days(dice.choice([0.5, 2, 8, 31, 150]))
        elif what == "collect":
            _collect_and_look(past)
        elif runs and (run := db.session.get(Run, dice.choice(runs))):
            review.review_run(run, "APPROVED" if what == "approve" else "REJECTED", CLI)
    past.pass_days(10)
    _collect_and_look(past)


def _collect_and_look(past: Past) -> None:
    before, disk = everything(), past.disk()
    told = past.collect(dry_run=True)
    assert everything() == before
    assert past.disk() == disk
    done = past.collect()
    assert done == told
    after = past.disk()
    assert (disk[0] - after[0], disk[1] - after[1]) == (done.images + done.orphans, done.freed_bytes)
    for branch in ("main", "feature", "other"):
        for row in baselines.current(past.world.shop.id, branch):
            assert past.has(row.image)
    for snapshot in db.session.scalars(
        select(Snapshot).where(Snapshot.status == "CHANGED", Snapshot.review == "UNREVIEWED")
    ):
        assert past.has(snapshot.image)
        assert past.has(snapshot.difference)
        assert past.has(snapshot.baseline.image)
    for name in db.session.scalars(select(Image.sha256).where(Image.removed_at.is_(None))):
        assert past.has(name)
    assert past.collect() == Report()
