"""Claims, leases and the sweep: who works on what, and what happens when a worker vanishes."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from server.access.audit import CLI
from server.access.limits import TooMany
from server.database import db, now, writing
from server.models import Chunk, Run, Schedule, Snapshot
from server.runs import claims, lifecycle, trigger
from server.runs.trigger import Trigger
from tests.conftest import World


def begin(world: World, branch: str = "main", project: object = None, tests: int = 4) -> Run:
    suite = "baseUrl: http://127.0.0.1:9\ntests:\n" + "".join(
        f"  - {{name: t{i}, path: /{i}}}\n" for i in range(tests)
    )
    return trigger.trigger(project or world.shop, Trigger(branch, suite=suite), CLI, 1000)[0]


def vanish() -> None:
    """Every worker is gone for longer than its lease, and the sweep comes by."""
    with writing() as session:
        session.query(Chunk).filter(Chunk.owner.is_not(None)).update({"lease_until_s": 1.0})
        session.query(Schedule).update({"due_s": 0.0})
    assert claims.sweep() or claims.sweep()


def statuses(run: Run) -> list[str]:
    db.session.expire_all()
    return [s.status for s in db.session.query(Snapshot).filter_by(run_id=run.id).order_by("position")]


def test_a_chunk_is_claimed_once_and_starts_its_run(world: World) -> None:
    run = begin(world)
    claim = claims.claim("a")
    assert claim.run_id == run.id
    assert len(claim.snapshot_ids) == 4
    assert claims.claim("b") is None
    db.session.refresh(run)
    assert (run.status, run.started_at is None) == ("RUNNING", False)


def test_projects_take_turns_and_default_branches_come_first(world: World) -> None:
    big, second = world.shop, world.project(world.acme, "Second")
    first = begin(world, "feature", big, tests=24)
    preferred = begin(world, "main", big)
    small = begin(world, "feature", second)
    assert [claims.claim("w").run_id for _ in range(4)] == [preferred.id, small.id, first.id, first.id]


def test_only_the_owner_may_record_and_only_once(world: World) -> None:
    begin(world)
    claim = claims.claim("a")
    outcome = lifecycle.Outcome("UNCHANGED")
    assert not lifecycle.record("b", claim.snapshot_ids[0], outcome)
    assert lifecycle.record("a", claim.snapshot_ids[0], outcome)
    assert not lifecycle.record("a", claim.snapshot_ids[0], outcome)


def test_the_counts_of_a_run_are_those_of_its_snapshots(world: World) -> None:
    run = begin(world)
    claim = claims.claim("a")
    for snapshot_id, status in zip(
        claim.snapshot_ids, ("NEW", "UNCHANGED", "UNCHANGED", "ERROR"), strict=True
    ):
        lifecycle.record("a", snapshot_id, lifecycle.Outcome(status, error_kind="timeout"))
    db.session.refresh(run)
    assert (run.done, run.new, run.unchanged, run.error, run.changed) == (4, 1, 2, 1, 0)


def test_a_cancelled_run_takes_no_result_and_is_not_claimed(world: World) -> None:
    run, waiting = begin(world), begin(world)
    claim = claims.claim("a")
    for each in (run, waiting):
        lifecycle.cancel(each, CLI)
    assert claims.still_wanted("a", [claim]) == set()
    assert not lifecycle.record("a", claim.snapshot_ids[0], lifecycle.Outcome("UNCHANGED"))
    claims.finish("a", claim)
    assert claims.claim("a") is None
    db.session.refresh(run)
    assert (run.status, run.done) == ("CANCELLED", 0)


def test_a_chunk_given_back_is_claimed_again_with_what_is_left(world: World) -> None:
    run = begin(world)
    claim = claims.claim("a")
    lifecycle.record("a", claim.snapshot_ids[0], lifecycle.Outcome("UNCHANGED"))
    claims.finish("a", claim)
    assert statuses(run) == ["UNCHANGED", "PENDING", "PENDING", "PENDING"]
    assert claims.claim("b").snapshot_ids == claim.snapshot_ids[1:]


def test_a_renewed_lease_is_not_swept(world: World) -> None:
    begin(world)
    claim = claims.claim("a")
    assert claims.renew("a", [claim.chunk_id]) == 1
    claims.sweep()
    assert claims.still_wanted("a", [claim]) == {claim.chunk_id}


def test_a_vanished_workers_chunk_is_freed_and_its_late_results_refused(world: World) -> None:
    run = begin(world)
    claim = claims.claim("a")
    vanish()
    assert statuses(run) == ["PENDING"] * 4
    assert not lifecycle.record("a", claim.snapshot_ids[0], lifecycle.Outcome("UNCHANGED"))
    assert claims.claim("b").snapshot_ids == claim.snapshot_ids


def test_the_sweep_is_done_by_one_process_at_a_time(world: World) -> None:
    claims.sweep()
    with writing() as session:
        session.query(Schedule).update({"due_s": 0.0})
    assert [claims.sweep(), claims.sweep()] == [True, False]


def test_two_workers_that_look_for_periodic_work_in_a_new_database_at_once_do_not_collide(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "get", lambda *_, **__: None)  # neither sees the other's row yet
    for _ in range(2):
        with writing() as session:
            assert not claims.due(session, "cleaning", 60.0, first_in_s=60.0)
    assert db.session.query(Schedule).filter_by(name="cleaning").count() == 1


def test_after_two_deaths_a_chunk_is_worked_alone_and_the_third_names_the_culprit(world: World) -> None:
    run = begin(world)
    for _ in range(2):
        assert not claims.claim("a").alone
        vanish()
    claim = claims.claim("a")
    assert claim.alone
    with writing() as session:
        lifecycle.begin(session, [claim.snapshot_ids[1]])
    vanish()
    assert statuses(run) == ["PENDING", "ERROR", "PENDING", "PENDING"]
    last = claims.claim("b")
    for snapshot_id in last.snapshot_ids:
        assert lifecycle.record("b", snapshot_id, lifecycle.Outcome("UNCHANGED"))
    db.session.refresh(run)
    assert (run.status, run.error, run.unchanged) == ("ERROR", 1, 3)


def set_times(run: Run, **times: datetime) -> None:
    with writing() as session:
        session.query(Run).filter_by(id=run.id).update(times)
        session.query(Schedule).update({"due_s": 0.0})


def test_a_run_that_takes_too_long_ends_as_an_error_and_keeps_what_was_judged(world: World) -> None:
    run, calm = begin(world), begin(world)
    claim = claims.claim("a")
    lifecycle.record("a", claim.snapshot_ids[0], lifecycle.Outcome("UNCHANGED"))
    set_times(run, started_at=now() - timedelta(seconds=1801))
    assert claims.sweep() or claims.sweep()
    assert statuses(run) == ["UNCHANGED", "ERROR", "ERROR", "ERROR"]
    assert (run.status, run.done, run.unchanged, run.error) == ("ERROR", 4, 1, 3)
    assert "3 of 4 snapshots were not judged" in run.message
    assert not lifecycle.record("a", claim.snapshot_ids[1], lifecycle.Outcome("UNCHANGED"))
    assert claims.still_wanted("a", [claim]) == set()
    assert statuses(calm) == ["PENDING"] * 4


def test_a_run_that_no_worker_takes_up_ends_as_an_error(world: World) -> None:
    run = begin(world)
    set_times(run, created_at=now() - timedelta(days=1, seconds=1))
    assert claims.sweep() or claims.sweep()
    assert statuses(run) == ["ERROR"] * 4
    assert (run.status, run.done) == ("ERROR", 4)
    assert "retestr doctor" in run.message


def test_chunks_of_cancelled_runs_are_closed_in_batches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "CLOSED_AT_ONCE", 2)
    for _ in range(3):
        begin(world, tests=24)
    open_one = begin(world, "other")
    with writing() as session:
        session.query(Run).filter(Run.id != open_one.id).update({"status": "CANCELLED"})
    assert claims.sweep() or claims.sweep()
    assert {chunk.run_id for chunk in db.session.query(Chunk).filter_by(done=False)} == {open_one.id}


def test_an_organisation_with_too_many_unfinished_runs_is_told_what_to_do(world: World) -> None:
    asked = Trigger("main", suite="baseUrl: http://127.0.0.1:9\ntests: [{name: a, path: /}]")
    first = trigger.trigger(world.shop, asked, CLI, 10, "key", 2)[0]
    trigger.trigger(world.shop, asked, CLI, 10, None, 2)
    with pytest.raises(TooMany, match=r"2 unfinished runs.*cancel-all"):
        trigger.trigger(world.shop, asked, CLI, 10, None, 2)
    assert trigger.trigger(world.shop, asked, CLI, 10, "key", 2) == (first, True)
    lifecycle.cancel(first, CLI)
    assert trigger.trigger(world.shop, asked, CLI, 10, None, 2)[1] is False


def test_a_run_tells_how_long_it_will_take_at_its_pace(world: World) -> None:
    run = begin(world, tests=8)
    assert (lifecycle.seconds_left(run), lifecycle.ask_again_s(run)) == (None, 1)
    claim = claims.claim("a")
    for snapshot_id in claim.snapshot_ids[:2]:
        lifecycle.record("a", snapshot_id, lifecycle.Outcome("UNCHANGED"))
    set_times(run, started_at=now() - timedelta(seconds=20))
    db.session.refresh(run)
    assert lifecycle.seconds_left(run) == pytest.approx(60, abs=1)  # 2 in 20 s, 6 to go
    assert lifecycle.ask_again_s(run) == pytest.approx(6, abs=1)
