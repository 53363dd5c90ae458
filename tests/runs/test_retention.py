"""What retention removes and what it never does. Only time is made up: rows are made to look older."""

from __future__ import annotations

import io
import os
import random
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture
from sqlalchemy import event, select, update

from server.access import people
from server.access.audit import CLI
from server.database import db, now, writing
from server.images import ImageMissing, ImageStore, name_of, open_store
from server.models import (
    AuditEvent,
    Baseline,
    Chunk,
    Idempotency,
    Image,
    LimitWindow,
    LoginSession,
    Project,
    Run,
    Schedule,
    Snapshot,
    User,
)
from server.problems import Conflict
from server.runs import baselines, claims, judge, lifecycle, retention, review, trigger
from server.runs.retention import Report
from server.runs.trigger import Trigger
from server.vision import page as vision
from tests.conftest import World


def picture(shade: int) -> bytes:
    """A PNG that no other shade has."""
    file = io.BytesIO()
    Picture.new("RGB", (20, 10), (shade * 97 % 256, shade * 61 % 256, shade * 151 % 256)).save(file, "PNG")
    return file.getvalue()


class Past:
    """Plays runs of pages that are one plain colour each, and lets days go by."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.settings = world.app.extensions["retestr"]
        self.store = open_store(self.settings.storage)
        self.folder = Path(self.settings.storage)

    def run(
        self, *shades: int, branch: str = "main", project: Project | None = None, key: str | None = None
    ) -> str:
        """A run that ended just now, one test for each shade; returns its ID."""
        tests = "".join(f"  - {{name: t{n}, path: /{n}}}\n" for n in range(len(shades)))
        suite = f"baseUrl: http://127.0.0.1:9\ntests:\n{tests}"
        asked = Trigger(branch, suite=suite)
        run, _ = trigger.trigger(project or self.world.shop, asked, CLI, 1000, key)
        for claim in iter(lambda: claims.claim("w"), None):
            for job in judge.jobs(claim.snapshot_ids):
                png = picture(shades[int(job.shot.page.url.rsplit("/", 1)[1])])
                image = vision.Image(png, name_of(png), 20, 10, (), 1, (), None, 200, 0.1)
                outcome = judge.judge(job, image, {"name": "chromium"}, self.store, 100)
                assert lifecycle.record("w", job.snapshot_id, outcome)
            claims.finish("w", claim)
        return run.id

    def snapshots(self, run_id: str) -> list[Snapshot]:
        db.session.expire_all()
        query = select(Snapshot).where(Snapshot.run_id == run_id).order_by(Snapshot.position)
        return list(db.session.scalars(query))

    def approve(self, run_id: str) -> None:
        review.review_run(db.session.get_one(Run, run_id), "APPROVED", CLI)

    def pass_days(self, days: float) -> None:
        """Makes everything so much older."""
        gone = timedelta(days=days)
        with writing() as session:
            for table, names in (
                (Run, ("created_at", "finished_at")),
                (Image, ("created_at", "used_at")),
                (Baseline, ("created_at",)),
                (Idempotency, ("created_at",)),
            ):
                for row in session.scalars(select(table)):
                    for name in names:
                        if (at := getattr(row, name)) is not None:
                            setattr(row, name, at - gone)
        for file in self.folder.rglob("*.png"):
            os.utime(file, (file.stat().st_mtime - days * 86_400,) * 2)
        db.session.expire_all()

    def collect(self, **how: Any) -> Report:
        report = retention.collect(self.store, self.settings, **how)
        db.session.expire_all()
        return report

    def has(self, name: str | None) -> bool:
        try:
            return name is not None and bool(self.store.get(name))
        except ImageMissing:
            return False

    def disk(self) -> tuple[int, int]:
        """How many images lie in the folder, and their bytes."""
        sizes = [file.stat().st_size for file in self.folder.rglob("*.png")]
        return len(sizes), sum(sizes)


@pytest.fixture
def past(world: World) -> Past:
    return Past(world)


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    return {
        name: [tuple(row) for row in db.session.execute(select(table).order_by(*table.primary_key))]
        for name, table in db.metadata.tables.items()
    }


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


def picture_name(shade: int) -> str:
    return name_of(picture(shade))


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
    assert review.review_run(db.session.get_one(Run, new), "APPROVED", CLI) == 0


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


# ------------------------------------------------------------------------------------------- files


def test_orphans_are_removed_and_what_is_not_ours_is_left_alone(past: Past) -> None:
    past.run(1)
    orphan, young = picture(100), picture(101)
    past.store.put(orphan)
    past.pass_days(2)
    past.store.put(young)
    others = [
        past.folder / "README",
        past.folder / "ab" / "notes.png",
        past.folder / "zz" / f"{'a' * 64}.png",
    ]
    for file in others:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"not ours")
        os.utime(file, (0, 0))
    expected = Report(orphans=1, freed_bytes=len(orphan), strangers=3)
    assert past.collect(dry_run=True) == expected
    assert past.has(name_of(orphan))
    assert past.collect() == expected
    assert [past.has(name_of(png)) for png in (orphan, young, picture(1))] == [False, True, True]
    assert all(file.exists() for file in others)
    assert db.session.query(Image).count() == 1


def test_a_collection_that_was_killed_between_file_and_commit_is_made_good(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = past.run(1, 2, branch="feature")
    past.pass_days(8)
    delete = ImageStore.delete

    def killed(store: ImageStore, names: list[str]) -> None:
        delete(store, names)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ImageStore, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            past.collect()
    assert db.session.query(Image).count() == 2  # rows without files
    past.run(1, branch="feature")
    assert past.has(picture_name(1))
    past.collect()
    assert [row.sha256 for row in db.session.query(Image)] == [picture_name(1)]
    assert past.snapshots(run)[0].image is None


@pytest.mark.parametrize("orphaned", [False, True])
def test_a_worker_that_stores_the_image_that_is_being_removed_waits_and_stores_it_anew(
    past: Past, monkeypatch: pytest.MonkeyPatch, orphaned: bool
) -> None:
    png = picture(1)
    image = Image(sha256=name_of(png), width=20, height=10, size_bytes=len(png))
    if not orphaned:
        retention.reserve(image)
    past.store.put(png)
    past.pass_days(2)
    removing, stored = threading.Event(), threading.Event()
    delete = ImageStore.delete

    def slow(store: ImageStore, names: list[str]) -> None:
        removing.set()
        assert not stored.wait(0.5), "the worker did not wait for the collection"
        delete(store, names)

    def work() -> None:
        assert removing.wait(10)
        with past.world.app.app_context():
            judge._stored(past.store, png, 20, 10)
        stored.set()

    monkeypatch.setattr(ImageStore, "delete", slow)
    worker = threading.Thread(target=work)
    worker.start()
    report = past.collect()
    worker.join(10)
    assert stored.is_set()
    assert report.images + report.orphans == 1
    assert past.has(name_of(png))
    db.session.rollback()
    assert db.session.get_one(Image, name_of(png)).used_at > now() - timedelta(minutes=1)


def test_workers_and_collections_side_by_side_lose_no_image(past: Past) -> None:
    """Without order between them: whatever a worker has stored is there when both are through."""
    pngs = [picture(shade) for shade in range(12)]
    failures: list[BaseException] = []

    def work(own: list[bytes]) -> None:
        try:
            with past.world.app.app_context():
                for png in own:
                    judge._stored(past.store, png, 20, 10)
        except BaseException as error:
            failures.append(error)

    for seed in range(8):
        work(pngs)
        past.pass_days(2)
        again = random.Random(seed).sample(pngs, 6)
        worker = threading.Thread(target=work, args=(again,))
        worker.start()
        past.collect()
        worker.join(30)
        assert failures == []
        assert [past.has(name_of(png)) for png in again] == [True] * 6


# ------------------------------------------------------------------------------------------- batches, the rest


def test_no_transaction_writes_more_rows_than_a_batch(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(retention, "FILES_AT_ONCE", 5)
    for _ in range(12):
        past.run(*range(20), branch="feature")
    past.approve(past.run(*range(20)))
    past.pass_days(500)
    written, most = [0], [0]

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith(("UPDATE", "DELETE", "INSERT")):
            written[0] += cursor.rowcount
            most[0] = max(most[0], written[0])

    def ended(connection: Any) -> None:
        written[0] = 0

    event.listen(db.engine, "after_cursor_execute", note)
    event.listen(db.engine, "commit", ended)
    try:
        assert past.collect().runs == 12
    finally:
        event.remove(db.engine, "after_cursor_execute", note)
        event.remove(db.engine, "commit", ended)
    assert 1 < most[0] <= 2 * 7


def test_rows_that_expired_are_removed(past: Past) -> None:
    user = db.session.scalars(select(User)).first()
    people.log_in(user, "127.0.0.1", "old browser")
    with writing() as session:
        session.execute(update(LoginSession).values(expires_at=now() - timedelta(minutes=1)))
        session.add(LimitWindow(name="over", ends_s=1.0, count=1))
    people_in = db.session.query(LoginSession).count()
    past.run(1, key="old")
    past.pass_days(2.1)
    past.run(1, key="young")
    assert past.collect(dry_run=True).expired == past.collect().expired == people_in + 2
    assert [row.key for row in db.session.query(Idempotency)] == ["young"]


def test_it_is_done_once_a_day_whoever_asks(past: Past) -> None:
    due = [retention.daily(past.store, past.settings) for _ in range(3)]
    assert [report is not None for report in due] == [False, True, False]
    with writing() as session:
        row = session.get_one(Schedule, "retention")
        row.due_s -= 86_399
    assert retention.daily(past.store, past.settings) is None
    with writing() as session:
        row = session.get_one(Schedule, "retention")
        row.due_s -= 2
    assert retention.daily(past.store, past.settings) is not None
