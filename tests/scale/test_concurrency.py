"""Two at once: what several workers, triggers and reviewers may do in the same moment, on the real tables.

On PostgreSQL (RETESTR_TEST_DATABASE_URL) they run side by side; on SQLite one write follows the other.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import ModuleType
from typing import TypeVar

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.access import audit, invitations, people
from server.access.audit import CLI
from server.database import db, writing
from server.models import Baseline, Chunk, Image, Run, Snapshot, User
from server.problems import Invalid
from server.runs import claims, lifecycle, review, trigger
from server.runs.claims import Claim
from server.runs.lifecycle import Outcome
from server.runs.trigger import Trigger
from tests.conftest import World

T = TypeVar("T")


@pytest.fixture
def postgresql(world: World) -> None:
    if db.engine.dialect.name != "postgresql":
        pytest.skip("on SQLite one write waits for the other; use scripts/services run …")


def at_once(world: World, *calls: Callable[[], T]) -> list[T]:
    """Calls all in the same moment, each in a thread with a session of its own."""
    together = threading.Barrier(len(calls))

    def call(function: Callable[[], T]) -> T:
        with world.app.app_context():
            db.session.connection()
            db.session.rollback()
            together.wait(10)
            return function()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(call, calls))


def meet_after(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> None:
    """Has the first two that come out of a function wait for each other, where the database lets both come so far."""
    function, together = getattr(module, name), threading.Barrier(2)

    def met(*arguments: object, **named: object) -> object:
        found = function(*arguments, **named)
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(0.5)
        return found

    monkeypatch.setattr(module, name, met)


def begin(world: World, tests: int, branch: str = "main") -> Run:
    suite = "baseUrl: http://127.0.0.1:9\ntests:\n" + "".join(
        f"  - {{name: t{i}, path: /{i}}}\n" for i in range(tests)
    )
    return trigger.trigger(world.shop, Trigger(branch, suite=suite), CLI, 1000)[0]


def all_claims(owner: str) -> list[Claim]:
    return list(iter(lambda: claims.claim(owner), None))


def picture(name: str) -> Image:
    return Image(sha256=name * 64, width=1, height=1, size_bytes=1)


def fresh(run: Run) -> Run:
    db.session.expire_all()
    return db.session.get_one(Run, run.id)


def baselines_of(run: Run) -> int:
    return db.session.scalar(select(func.count()).select_from(Baseline).where(Baseline.run_id == run.id)) or 0


def test_no_chunk_is_claimed_by_two_workers(world: World) -> None:
    for _ in range(3):
        begin(world, 64)
    claimed = at_once(world, *(lambda owner=f"w{i}": all_claims(owner) for i in range(6)))
    ids = [claim.chunk_id for claims_of_one in claimed for claim in claims_of_one]
    assert len(ids) == 24
    assert set(ids) == set(db.session.scalars(select(Chunk.id)))
    for i, claims_of_one in enumerate(claimed):
        owned = set(db.session.scalars(select(Chunk.id).where(Chunk.owner == f"w{i}")))
        assert owned == {claim.chunk_id for claim in claims_of_one}


def test_a_claim_waits_neither_for_another_claim_nor_for_who_holds_the_project(
    world: World, postgresql: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(world, 24)
    in_the_middle, may_go_on = threading.Event(), threading.Event()
    take_turn = claims._take_turn

    def paused(session: Session, project_id: str) -> None:
        take_turn(session, project_id)
        if not in_the_middle.is_set():
            in_the_middle.set()
            assert may_go_on.wait(20)

    def claim_all(owner: str) -> int:
        with world.app.app_context():
            return len(all_claims(owner))

    monkeypatch.setattr(claims, "_take_turn", paused)
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(claim_all, "slow")
        assert in_the_middle.wait(10)  # it holds its chunk and, as a trigger would, the project's row
        try:
            assert threads.submit(claim_all, "quick").result(5) == 2
        finally:
            may_go_on.set()
        assert slow.result(10) == 1


def test_triggers_at_once_get_different_numbers(world: World) -> None:
    def make() -> int:
        return begin(world, 3).number

    assert sorted(at_once(world, *[make] * 6)) == [1, 2, 3, 4, 5, 6]


def test_one_idempotency_key_sent_twice_at_once_makes_one_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make() -> str:
        asked = Trigger("main")
        return trigger.trigger(world.shop, asked, CLI, 100, idempotency_key="same")[0].id

    meet_after(monkeypatch, trigger, "_made_before")
    assert len(set(at_once(world, make, make))) == 1
    assert db.session.scalar(select(func.count()).select_from(Run)) == 1


def test_the_last_two_snapshots_at_once_close_their_run_once(world: World) -> None:
    for _ in range(5):
        run = begin(world, 16)
        first, second = all_claims("w")
        changed = Outcome("CHANGED", image=picture("a"), difference=picture("b"))
        for snapshot_id in (*first.snapshot_ids[:-1], *second.snapshot_ids[:-1]):
            assert lifecycle.record("w", snapshot_id, Outcome("UNCHANGED"))
        done = at_once(
            world,
            partial(lifecycle.record, "w", first.snapshot_ids[-1], changed),
            partial(lifecycle.record, "w", second.snapshot_ids[-1], Outcome("NEW", image=picture("a"))),
        )
        assert done == [True, True]
        run = fresh(run)
        assert (run.status, run.done, run.changed, run.new, run.unchanged) == ("FAILED", 16, 1, 1, 14)
        assert run.message == "1 of 16 snapshots changed."


def test_two_runs_may_bring_the_same_new_image_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(world, 1)
    begin(world, 1)
    meet_after(monkeypatch, lifecycle, "_keep")
    new = Outcome("NEW", image=picture("a"))
    one, other = (partial(lifecycle.record, "w", claim.snapshot_ids[0], new) for claim in all_claims("w"))
    assert at_once(world, one, other) == [True, True]
    assert db.session.scalar(select(func.count()).select_from(Image)) == 1


def test_a_snapshot_recorded_twice_at_once_counts_once(world: World) -> None:
    for _ in range(5):
        run = begin(world, 2)
        (claim,) = all_claims("w")
        outcome = Outcome("NEW", image=picture("a"))
        done = at_once(world, *[partial(lifecycle.record, "w", claim.snapshot_ids[0], outcome)] * 3)
        assert sorted(done) == [False, False, True]
        assert (fresh(run).done, fresh(run).new) == (1, 1)
        assert baselines_of(run) == 1


def test_approving_the_last_two_changes_at_once_passes_the_run(world: World) -> None:
    for _ in range(5):
        run = begin(world, 2)
        (claim,) = all_claims("w")
        for snapshot_id in claim.snapshot_ids:
            lifecycle.record("w", snapshot_id, Outcome("CHANGED", image=picture("a")))

        def approve(snapshot_id: str) -> None:
            review.review_snapshot(db.session.get_one(Snapshot, snapshot_id), "APPROVED", CLI)

        at_once(world, *(lambda id=snapshot_id: approve(id) for snapshot_id in claim.snapshot_ids))
        assert fresh(run).status == "PASSED"
        assert baselines_of(run) == 2


def test_a_cancelled_run_stays_cancelled_when_its_last_result_arrives_at_once(world: World) -> None:
    def cancel(run_id: str) -> bool:
        return lifecycle.cancel(db.session.get_one(Run, run_id), CLI)

    for _ in range(5):
        run = begin(world, 1)
        (claim,) = all_claims("w")
        cancelled, recorded = at_once(
            world,
            partial(cancel, run.id),
            partial(lifecycle.record, "w", claim.snapshot_ids[0], Outcome("UNCHANGED")),
        )
        assert cancelled != recorded
        assert fresh(run).status == ("CANCELLED" if cancelled else "PASSED")


def test_a_sweep_amid_late_results_stops_nobody_and_loses_nothing(world: World) -> None:
    run = begin(world, 40)
    held = all_claims("w")
    with writing() as session:
        session.query(Chunk).update({"lease_until_s": 1.0})
    claims.sweep()  # makes the schedule's row

    def results(claim: Claim) -> int:
        return sum(lifecycle.record("w", each, Outcome("UNCHANGED")) for each in claim.snapshot_ids)

    accepted = sum(
        at_once(world, *(lambda c=claim: results(c) for claim in held), lambda: int(claims.sweep()))
    )
    for claim in all_claims("other"):
        accepted += sum(lifecycle.record("other", each, Outcome("UNCHANGED")) for each in claim.snapshot_ids)
    assert accepted == 41  # 40 snapshots, and the sweep's own answer
    assert (fresh(run).status, fresh(run).done) == ("PASSED", 40)


def test_of_two_people_who_accept_one_invitation_at_once_one_becomes_a_member(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = invitations.invite(world.acme, "grace@acme.example", people.VIEWER, CLI)
    with writing() as session:
        ids = [people.add_user(session, f"{name}@x.example", None).id for name in ("grace", "eve")]

    def accept(user_id: str) -> bool:
        try:
            invitations.accept(token, db.session.get_one(User, user_id), None)
        except Invalid:
            return False
        return True

    meet_after(monkeypatch, invitations, "find")
    assert sorted(at_once(world, *(partial(accept, user_id) for user_id in ids))) == [False, True]
    assert len(people.members(world.acme.id)) == 2


def test_of_two_projects_made_at_once_with_one_name_the_second_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    meet_after(monkeypatch, audit, "record")  # on PostgreSQL the second waits for the first one's row by then
    api = world.api()
    answers = at_once(world, *[partial(api.post, "/projects", {"name": "Teas"})] * 2)
    codes = {answer.status_code: answer.json for answer in answers}
    assert set(codes) == {201, 409}, codes
    assert codes[409]["error"]["code"] in ("project-exists", "changed-meanwhile")
