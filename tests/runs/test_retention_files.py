"""Retention and the files of images: orphans, faults, workers beside it, and how it goes about it."""

from __future__ import annotations

import os
import random
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from sqlalchemy import event, select, update

from server.access import people
from server.database import db, now, writing
from server.images import ImageStore, name_of, open_store
from server.models import (
    Idempotency,
    Image,
    LimitWindow,
    LoginSession,
    Schedule,
    User,
)
from server.runs import judge, retention
from server.runs.retention import Report
from tests.runs.past import Past, picture, picture_name

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


def days_later(days: float) -> None:
    with writing() as session:
        session.get_one(Schedule, "retention").due_s -= days * 86_400


def test_it_is_done_once_a_day_whoever_asks(past: Past) -> None:
    def done() -> list[bool]:
        return [retention.daily(past.store, past.settings) is not None for _ in range(3)]

    assert done() == [False, False, False]  # a new database waits a day, too
    days_later(0.99)
    assert done() == [False, False, False]
    days_later(0.01)
    assert done() == [True, False, False]
    days_later(1)
    assert done() == [True, False, False]


@pytest.mark.parametrize(("orphans", "goes"), [(12, True), (13, False)])
def test_files_of_which_most_are_orphans_go_only_where_somebody_asked(
    past: Past, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, orphans: int, goes: bool
) -> None:
    monkeypatch.setattr(retention, "MANY_FILES", 20)
    past.run(*range(12))
    for shade in range(100, 100 + orphans):
        past.store.put(picture(shade))
    past.pass_days(2)
    retention.daily(past.store, past.settings)
    days_later(1)
    told = past.collect(dry_run=True, unasked=True)
    assert retention.daily(past.store, past.settings) == told
    assert (told.orphans, told.spared) == ((orphans, 0) if goes else (0, orphans))
    assert past.has(name_of(picture(100))) is not goes
    assert ("Check that RETESTR_DATABASE_URL" in caplog.text) is not goes
    assert past.collect().orphans == (0 if goes else orphans)
    assert past.has(picture_name(1))


def test_a_server_on_an_empty_database_leaves_a_full_store_alone(
    app: APIFlask, caplog: pytest.LogCaptureFixture
) -> None:
    settings = app.extensions["retestr"]
    store = open_store(settings.storage)
    name = store.put(picture(1))
    os.utime(Path(settings.storage) / name[:2] / f"{name}.png", (0, 0))
    assert retention.daily(store, settings) is None
    assert retention.daily(store, settings) is None
    days_later(1)
    told = retention.collect(store, settings, dry_run=True)
    assert told == retention.daily(store, settings) == Report(spared=1)
    assert store.get(name) == picture(1)
    assert "Check that RETESTR_DATABASE_URL" in caplog.text
