"""Machines whose clocks are 30 s apart: leases, limits and periodic work go by the database's clock alone.

A machine's own clock writes down when something happened, and ends what lasts hours or days.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server import database
from server.access import limits, passwords, people
from server.access.audit import CLI
from server.access.limits import Limit
from server.database import db, now, writing
from server.models import Chunk, Run, Schedule, User
from server.runs import claims, lifecycle, trigger, workers
from server.runs.lifecycle import Outcome
from server.runs.trigger import Trigger
from server.runs.workers import Done
from tests.conftest import World

SKEWS = pytest.mark.parametrize("skew_s", [30.0, -30.0], ids=["ahead", "behind"])


@contextmanager
def on_machine(skew_s: float) -> Iterator[None]:
    """What happens meanwhile is done by a machine whose clock is wrong by so much."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=skew_s)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "datetime", Wrong)
        patch.setattr("time.time", lambda: datetime.now(UTC).timestamp() + skew_s)
        yield


def sweep() -> list[Chunk]:
    """A sweep by a machine whose clock is right; returns the chunks that somebody holds afterwards."""
    with writing() as session:
        session.query(Schedule).update({"due_s": 0.0})
    assert claims.sweep() or claims.sweep()
    db.session.expire_all()
    return db.session.query(Chunk).filter(Chunk.owner.is_not(None)).all()


def begin(world: World) -> Run:
    return trigger.trigger(world.shop, Trigger("main"), CLI, 1000)[0]


def test_the_machine_of_these_tests_is_wrong_by_so_much() -> None:
    with on_machine(30.0):
        assert 29 < (now() - datetime.now(UTC)).total_seconds() < 31


@SKEWS
def test_a_worker_loses_no_lease_and_nobody_else_judges_what_it_has(world: World, skew_s: float) -> None:
    run = begin(world)
    with on_machine(skew_s):
        claim = claims.claim("wrong")
    assert claim is not None
    assert [chunk.owner for chunk in sweep()] == ["wrong"]
    with on_machine(skew_s):
        assert claims.renew("wrong", [claim.chunk_id]) == 1
    assert [chunk.owner for chunk in sweep()] == ["wrong"]
    assert claims.claim("right") is None
    assert not lifecycle.record("right", claim.snapshot_ids[0], Outcome("NEW"))
    with on_machine(skew_s):
        for snapshot_id in claim.snapshot_ids:
            assert lifecycle.record("wrong", snapshot_id, Outcome("UNCHANGED"))
        claims.finish("wrong", claim)
    db.session.expire_all()
    assert (run.status, run.done) == ("PASSED", len(claim.snapshot_ids))


@SKEWS
def test_a_worker_s_sweep_frees_nobody_who_lives_and_everybody_who_vanished(
    world: World, skew_s: float
) -> None:
    begin(world)
    claim = claims.claim("right")
    assert claim is not None
    with on_machine(skew_s):
        assert [chunk.owner for chunk in sweep()] == ["right"]
    with writing() as session:  # it has been silent for longer than its lease
        session.query(Chunk).update({"lease_until_s": Chunk.lease_until_s - claims.LEASE_S - 0.5})
    with on_machine(skew_s):
        assert sweep() == []


@SKEWS
def test_the_sweep_runs_as_often_as_it_should_whoever_does_it(world: World, skew_s: float) -> None:
    sweep()
    with on_machine(skew_s):
        assert not claims.sweep()


@SKEWS
def test_a_worker_is_neither_silent_nor_forgotten(world: World, skew_s: float) -> None:
    with on_machine(skew_s):
        workers.beat("wrong", Done())
    assert [worker.owner for worker in workers.present()] == ["wrong"]
    (known,) = workers.known()
    assert not known.is_silent
    assert abs(known.silent_s) < 5


@SKEWS
def test_a_run_is_not_ended_early_and_its_times_stay_in_order(world: World, skew_s: float) -> None:
    with on_machine(skew_s):
        run = begin(world)
    assert claims.claim("right") is not None
    sweep()
    db.session.refresh(run)
    assert run.status == "RUNNING"


@SKEWS
def test_a_session_made_on_one_machine_holds_on_another(world: World, skew_s: float) -> None:
    user = db.session.query(User).first()
    assert user is not None
    with on_machine(skew_s):
        token = people.log_in(user, "127.0.0.1", "pytest")
    assert people.visitor(str(token)) is not None
    with on_machine(-skew_s):
        assert people.visitor(str(token)) is not None


@SKEWS
def test_a_limit_s_window_is_no_longer_and_no_shorter(world: World, skew_s: float) -> None:
    limit = Limit("test", 2, 60)
    with on_machine(skew_s):
        limits.hit(limit, "a")
    limits.hit(limit, "a")
    with on_machine(skew_s):
        assert limits.hit(limit, "a").exceeded
    assert 55 <= limits.look(limit, "a").reset_s <= 60


@SKEWS
def test_a_log_in_is_slowed_down_by_what_failed_elsewhere(world: World, skew_s: float) -> None:
    for _ in range(passwords.BY_PERSON_AND_ADDRESS.count):
        with on_machine(skew_s):
            assert passwords.check("ada@acme.example", "wrong", "192.0.2.1") is None
    with pytest.raises(limits.TooMany):
        passwords.check("ada@acme.example", "correct horse battery", "192.0.2.1")
