"""Random lives of runs on the real tables: whatever the order of events, the promises of `runs` hold.

Hypothesis makes up sequences of triggering, claiming, judging, dying, cancelling and reviewing; after each step
everything that the tables tell is compared with a plain model, and at the end one worker finishes what is left.
RETESTR_LONG=1 (`make check-all`) takes more and longer sequences, each time others.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select

from server.access.audit import CLI
from server.database import db, writing
from server.models import Baseline, Chunk, Idempotency, Image, Project, Run, Schedule, Snapshot
from server.problems import Conflict
from server.runs import baselines, claims, lifecycle, review, trigger
from server.runs.claims import SUSPICIOUS_DEATHS, Claim
from server.runs.lifecycle import UNFINISHED, Outcome
from server.runs.trigger import Trigger
from tests.conftest import World

LONG = bool(os.environ.get("RETESTR_LONG"))
EXAMPLES, STEPS = (400, 80) if LONG else (50, 40)
JUDGED = ("UNCHANGED", "CHANGED", "NEW", "ERROR")
FORWARD = {
    "PENDING": {"RUNNING", "ERROR", "CANCELLED"},
    "RUNNING": {"PASSED", "FAILED", "ERROR", "CANCELLED"},
    "FAILED": {"PASSED"},  # its last change was approved
}

numbers = st.integers(0, 1000)  # which of those there are, modulo their number
branches = st.sampled_from(["main", "main", "feature"])
statuses = st.sampled_from(["NEW", "CHANGED", *JUDGED])
colours = st.sampled_from("abcdef")


@dataclass
class Worker:
    """A worker that lives, or once lived, and what it believes to hold."""

    name: str
    holds: dict[str, Claim] = field(default_factory=dict)


class Life(RuleBasedStateMachine):
    """One organisation with two projects, and workers that come and go."""

    organization_id: ClassVar[str]
    project_ids: ClassVar[list[str]]

    def __init__(self) -> None:
        super().__init__()
        with writing() as session:
            for table in (Idempotency, Snapshot, Chunk, Baseline, Run, Image):  # what a life leaves behind
                session.execute(delete(table))
            session.query(Project).update({"claimed_at_s": 0.0, "run_count": 0})
        db.session.expunge_all()
        self.names = iter(range(10_000))
        self.workers = [self.worker(), self.worker()]
        self.late: list[tuple[str, Claim]] = []  # what a former owner may still come up with
        self.keys: dict[str, tuple[Any, str]] = {}
        self.runs: dict[str, str] = {}
        self.judged: dict[str, tuple[str, datetime]] = {}
        self.deaths: dict[str, int] = defaultdict(int)
        self.decided: dict[tuple[str, str, str], tuple[int, str | None, str]] = {}
        self.decisions = 0

    def worker(self) -> Worker:
        return Worker(f"worker-{next(self.names)}")

    @initialize(runs=st.integers(0, 3))
    def begin_with_changes_to_review(self, runs: int) -> None:
        """Runs that wait for a review, which may then come in any order."""
        for number in range(runs):
            self.trigger(project=0, branch="main", tests=1, key=None)
            self.claim(which=0)
            self.complete(which=0, status="CHANGED", colour="abc"[number])

    # ---------------------------------------------------------------------------------------- what happens

    @precondition(lambda self: len(self.unfinished()) < 6)
    @rule(
        project=numbers,
        branch=branches,
        tests=st.sampled_from([1, 2, 10]),
        key=st.sampled_from([None, "k1", "k2"]),
    )
    def trigger(self, project: int, branch: str, tests: int, key: str | None) -> None:
        suite = "baseUrl: http://127.0.0.1:9\ntests:\n" + "".join(
            f"  - {{name: t{i}, path: /{i}}}\n" for i in range(tests)
        )
        chosen = db.session.get_one(Project, self.project_ids[project % 4 == 3])
        request = (chosen.id, branch, tests)
        if key in self.keys and self.keys[key][0] != request:
            with pytest.raises(Conflict):
                trigger.trigger(chosen, Trigger(branch, suite=suite), CLI, 100, key)
            return
        run, again = trigger.trigger(chosen, Trigger(branch, suite=suite), CLI, 100, key)
        assert again == (key in self.keys), "a repeated trigger is the same run, another one is not"
        assert not again or run.id == self.keys[key][1]
        if key:
            self.keys[key] = request, run.id
        self.runs.setdefault(run.id, "PENDING")

    @precondition(lambda self: self.unfinished() and len(self.held()) < 5)
    @rule(which=numbers)
    def claim(self, which: int) -> None:
        worker = self.workers[which % len(self.workers)]
        claim = claims.claim(worker.name)
        if claim is None:
            assert not any(c.owner is None for c in self.open_chunks()), "there was work, and nobody got it"
            return
        assert not any(claim.chunk_id in other.holds for other in self.workers), "a chunk has one owner"
        assert claim.alone == (self.deaths[claim.chunk_id] >= SUSPICIOUS_DEATHS)
        assert claim.snapshot_ids, "a chunk with nothing left to do was handed out"
        worker.holds[claim.chunk_id] = claim

    @precondition(lambda self: self.held())
    @rule(which=numbers)
    def renew(self, which: int) -> None:
        worker = self.workers[which % len(self.workers)]
        assert claims.renew(worker.name, list(worker.holds)) == len(worker.holds)

    @precondition(lambda self: self.held())
    @rule(which=numbers, snapshot=numbers)
    def begin(self, which: int, snapshot: int) -> None:
        """A worker that works snapshot by snapshot takes up the next."""
        _, claim = self.pick(which)
        if claim.alone and not any(
            self.judged.get(s) is None and self.running(s) for s in claim.snapshot_ids
        ):
            with writing() as session:
                lifecycle.begin(session, [claim.snapshot_ids[snapshot % len(claim.snapshot_ids)]])

    @precondition(lambda self: self.held())
    @rule(which=numbers, snapshot=numbers, status=statuses, colour=colours, flaky=st.booleans())
    def record(self, which: int, snapshot: int, status: str, colour: str, flaky: bool) -> None:
        worker, claim = self.pick(which)
        snapshot_id = claim.snapshot_ids[snapshot % len(claim.snapshot_ids)]
        wanted = snapshot_id not in self.judged and self.runs[claim.run_id] == "RUNNING"
        assert self.judge(worker.name, snapshot_id, status, colour, flaky) == wanted

    @precondition(lambda self: self.held())
    @rule(which=numbers, status=statuses, colour=colours)
    def complete(self, which: int, status: str, colour: str) -> None:
        """A worker judges all that it has claimed, and closes the chunk: what mostly happens."""
        worker, claim = self.pick(which)
        for snapshot_id in claim.snapshot_ids:
            self.judge(worker.name, snapshot_id, status, colour, False)
        self.let_go(worker, claim)

    @precondition(lambda self: self.held())
    @rule(which=numbers)
    def let_go_early(self, which: int) -> None:
        self.let_go(*self.pick(which))

    @precondition(lambda self: self.held())
    @rule(which=numbers)
    def die(self, which: int) -> None:
        """A worker vanishes; its leases run out and the sweep comes by."""
        dead, _ = self.pick(which)
        for claim in dead.holds.values():
            running = [s for s in claim.snapshot_ids if self.running(s)]
            if self.deaths[claim.chunk_id] >= SUSPICIOUS_DEATHS and self.runs[claim.run_id] == "RUNNING":
                assert len(running) <= 1, "worked alone, and yet several at once"
            self.deaths[claim.chunk_id] += 1
            self.late.append((dead.name, claim))
        with writing() as session:
            session.query(Chunk).filter_by(owner=dead.name).update({"lease_until_s": 1.0})
            session.query(Schedule).update({"due_s": 0.0})
        assert claims.sweep() or claims.sweep()
        self.workers[self.workers.index(dead)] = self.worker()

    @precondition(lambda self: self.late)
    @rule(which=numbers, snapshot=numbers, status=st.sampled_from(JUDGED))
    def come_late(self, which: int, snapshot: int, status: str) -> None:
        """A result from a former owner is refused."""
        owner, claim = self.late[which % len(self.late)]
        if not any(w.name == owner and claim.chunk_id in w.holds for w in self.workers):
            snapshot_id = claim.snapshot_ids[snapshot % len(claim.snapshot_ids)]
            assert not lifecycle.record(owner, snapshot_id, Outcome(status, image=_image("c")))

    @precondition(lambda self: len(self.runs) > 1)
    @rule(which=numbers)
    def cancel(self, which: int) -> None:
        run = db.session.get_one(Run, list(self.runs)[which % len(self.runs)])
        assert lifecycle.cancel(run, CLI) == (self.runs[run.id] in UNFINISHED)
        assert run.status == "CANCELLED" or self.runs[run.id] not in UNFINISHED

    @precondition(lambda self: len(self.unfinished()) > 2)
    @rule()
    def cancel_all(self) -> None:
        assert lifecycle.cancel_all(self.organization_id, CLI) == len(self.unfinished())
        assert lifecycle.cancel_all(self.organization_id, CLI) == 0

    @precondition(lambda self: len(self.runs) > 2)
    @rule(which=numbers)
    def time_is_up(self, which: int) -> None:
        lifecycle.expire(list(self.runs)[which % len(self.runs)], "It took too long.")

    @precondition(lambda self: self.judged)
    @rule(which=numbers, decision=st.sampled_from(["APPROVED", "REJECTED"]))
    def review(self, which: int, decision: str) -> None:
        snapshot = db.session.get_one(Snapshot, list(self.judged)[which % len(self.judged)])
        db.session.refresh(snapshot)
        before = snapshot.review
        if snapshot.status not in review.REVIEWABLE or (before == "APPROVED" and decision == "REJECTED"):
            with pytest.raises(Conflict):
                review.review_snapshot(snapshot, decision, CLI)
            return
        review.review_snapshot(snapshot, decision, CLI)
        if decision == "APPROVED" and before != "APPROVED":
            self.decide(snapshot)

    @precondition(lambda self: self.judged)
    @rule(which=numbers)
    def approve_a_run(self, which: int) -> None:
        """Also that of a run which was overtaken by later ones."""
        run_id = db.session.get_one(Snapshot, list(self.judged)[which % len(self.judged)]).run_id
        reviewable = Snapshot.status.in_(review.REVIEWABLE), Snapshot.review == "UNREVIEWED"
        open_changes = db.session.scalars(
            select(Snapshot).where(Snapshot.run_id == run_id, *reviewable)
        ).all()
        assert review.review_run(db.session.get_one(Run, run_id), "APPROVED", CLI) == len(open_changes)
        for snapshot in open_changes:
            self.decide(snapshot)

    # ---------------------------------------------------------------------------------------- what must hold

    @invariant()
    def runs_only_move_forward_and_count_their_snapshots(self) -> None:
        rows = defaultdict(list)
        for snapshot in db.session.execute(select(Snapshot.run_id, Snapshot.status, Snapshot.flaky)):
            rows[snapshot.run_id].append(snapshot)
        columns = (Run.id, Run.status, Run.total, Run.done, Run.unchanged, Run.changed, Run.new, Run.error)
        for run in db.session.execute(select(*columns, Run.flaky, Run.finished_at)):
            before, self.runs[run.id] = self.runs[run.id], run.status
            assert _reaches(before, run.status), f"from {before} to {run.status}"
            counted = {status: sum(s.status == status for s in rows[run.id]) for status in JUDGED}
            told = {status: getattr(run, status.lower()) for status in JUDGED}
            assert (told, run.done, run.total) == (counted, sum(counted.values()), len(rows[run.id]))
            assert run.flaky == sum(s.flaky for s in rows[run.id])
            assert run.status == "CANCELLED" or (run.done == run.total) == (run.status not in UNFINISHED)
            assert (run.finished_at is None) == (run.status in UNFINISHED)
            if run.status in ("PASSED", "FAILED", "ERROR"):
                assert (run.status == "ERROR") == (run.error > 0)

    @invariant()
    def what_is_judged_stays_as_it_is(self) -> None:
        columns = (Snapshot.id, Snapshot.status, Snapshot.finished_at)
        rows = db.session.execute(select(*columns).order_by(Snapshot.run_id, Snapshot.position))
        now = {s.id: (s.status, s.finished_at) for s in rows if s.status in JUDGED}
        for snapshot_id, before in self.judged.items():
            assert now[snapshot_id] == before
        self.judged = now

    @invariant()
    def chunks_have_the_owner_who_believes_to_have_them_and_no_work_is_lost(self) -> None:
        held = {chunk_id: worker.name for worker in self.workers for chunk_id in worker.holds}
        chunks = db.session.execute(select(Chunk.id, Chunk.owner, Chunk.lease_until_s, Chunk.done)).all()
        assert {c.id: c.owner for c in chunks if c.owner} == held
        assert all((c.lease_until_s is None) == (c.owner is None) for c in chunks)
        done = {c.id for c in chunks if c.done}
        left = db.session.execute(
            select(Snapshot.chunk_id)
            .join(Run)
            .where(Snapshot.status.in_(UNFINISHED), Run.status.in_(UNFINISHED))
        )
        assert not done & {row.chunk_id for row in left}, (
            "a closed chunk holds a snapshot that nobody will judge"
        )

    @invariant()
    def the_run_that_was_triggered_last_decides_the_baseline(self) -> None:
        assert db.session.query(Baseline).count() == self.decisions
        for (project_id, branch, test), (number, image, snapshot_id) in self.decided.items():
            newest = baselines.newest(db.session.get_one(Snapshot, snapshot_id), branch)
            assert newest is not None
            assert (newest.run_number, newest.image) == (number, image)
            assert newest in [b for b in baselines.current(project_id, branch) if b.test == test]

    def teardown(self) -> None:
        """One worker that lives long enough ends every run."""
        for worker in self.workers:
            for claim in list(worker.holds.values()):
                self.let_go(worker, claim)
        while claim := claims.claim("the last one"):
            for snapshot_id in claim.snapshot_ids:
                assert lifecycle.record("the last one", snapshot_id, Outcome("UNCHANGED"))
            claims.finish("the last one", claim)
        assert not {*db.session.scalars(select(Run.status))} & {*UNFINISHED}

    # ---------------------------------------------------------------------------------------- means

    def unfinished(self) -> list[str]:
        return [run_id for run_id, status in self.runs.items() if status in UNFINISHED]

    def held(self) -> list[tuple[Worker, Claim]]:
        return [(worker, claim) for worker in self.workers for claim in worker.holds.values()]

    def pick(self, which: int) -> tuple[Worker, Claim]:
        held = self.held()
        return held[which % len(held)]

    def open_chunks(self) -> list[Any]:
        chosen = select(Chunk.id, Chunk.owner).join(Run)
        return db.session.execute(chosen.where(Chunk.done.is_(False), Run.status.in_(UNFINISHED))).all()

    def running(self, snapshot_id: str) -> bool:
        return db.session.scalar(select(Snapshot.status).where(Snapshot.id == snapshot_id)) == "RUNNING"

    def judge(self, owner: str, snapshot_id: str, status: str, colour: str, flaky: bool) -> bool:
        image = None if status == "ERROR" else _image(colour)
        outcome = Outcome(status, image=image, flaky=flaky and status in ("NEW", "UNCHANGED"))
        accepted = lifecycle.record(owner, snapshot_id, outcome)
        if accepted and status == "NEW":
            snapshot = db.session.get_one(Snapshot, snapshot_id)
            if snapshot.run.branch == "main":
                self.decide(snapshot)
        return accepted

    def decide(self, snapshot: Snapshot) -> None:
        """A baseline was made: it is the current one unless a run that was triggered later has made one."""
        self.decisions += 1
        variant = snapshot.project_id, snapshot.run.branch, snapshot.test
        number = snapshot.run.number
        if number >= self.decided.get(variant, (0,))[0]:
            self.decided[variant] = number, snapshot.image, snapshot.id

    def let_go(self, worker: Worker, claim: Claim) -> None:
        claims.finish(worker.name, claim)
        del worker.holds[claim.chunk_id]
        self.late.append((worker.name, claim))


def _reaches(before: str, after: str) -> bool:
    """Whether a run may have come from one status to another, perhaps through a third."""
    steps = FORWARD.get(before, set())
    return before == after or after in steps or any(_reaches(step, after) for step in steps)


def _image(colour: str) -> Image:
    return Image(sha256=colour * 64, width=1, height=1, size_bytes=70)


def test_whatever_happens_runs_keep_their_promises(world: World) -> None:
    project_ids = [world.shop.id, world.project(world.acme, "Second").id]
    machine = type("Machine", (Life,), {"organization_id": world.acme.id, "project_ids": project_ids})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=not LONG,
            suppress_health_check=list(HealthCheck),
        ),
    )
