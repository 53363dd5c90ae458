"""Random lives of runs on the real tables: whatever the order of events, the promises of `runs` hold.

Hypothesis makes up sequences of triggering, claiming, judging, dying, cancelling and reviewing; after each step
everything that the tables tell is compared with a plain model, and at the end one worker finishes what is left.
RETESTR_LONG=1 (`make check-all`) takes more and longer sequences, each time others.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from server.access.audit import CLI
from server.database import db, writing
from server.models import Chunk, Project, Run, Schedule, Snapshot
from server.problems import Conflict
from server.runs import claims, lifecycle, review, trigger
from server.runs.claims import SUSPICIOUS_DEATHS
from server.runs.lifecycle import UNFINISHED, Outcome
from server.runs.trigger import Trigger
from tests.conftest import World
from tests.runs.lives import JUDGED, Promises, an_image, newest_alike

LONG = bool(os.environ.get("RETESTR_LONG"))
EXAMPLES, STEPS = (400, 80) if LONG else (30, 40)

numbers = st.integers(0, 1000)  # which of those there are, modulo their number
branches = st.sampled_from(["main", "main", "feature"])
statuses = st.sampled_from(["NEW", "CHANGED", *JUDGED])
colours = st.sampled_from("abcdef")


class Life(Promises):
    """One organisation with two projects: what may happen in it, in any order."""

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
            assert not lifecycle.record(owner, snapshot_id, Outcome(status, image=an_image("c")))

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
        """A person decides who has seen that nobody has decided."""
        snapshot = self.one_of_the_judged(which)
        if snapshot.status not in review.REVIEWABLE or snapshot.review not in ("UNREVIEWED", decision):
            with pytest.raises(Conflict):
                review.review_snapshot(snapshot, decision, CLI)
        else:
            self.decide_on(snapshot, decision)

    @precondition(lambda self: self.judged)
    @rule(which=numbers, decision=st.sampled_from(["APPROVED", "REJECTED", "UNREVIEWED"]))
    def change_ones_mind(self, which: int, decision: str) -> None:
        """A person decides who has seen what was decided before."""
        snapshot = self.one_of_the_judged(which)
        if snapshot.status not in review.REVIEWABLE or snapshot.review == decision:
            return
        if snapshot.review == "APPROVED":
            entries = self.standing[self.variant(snapshot)]
            shown = newest_alike(entries, snapshot.image)
            if snapshot.id not in [entry.snapshot_id for entry in shown]:
                with pytest.raises(Conflict):
                    review.review_snapshot(snapshot, decision, CLI, seen="APPROVED")
                return
            del entries[len(entries) - len(shown) :]
        self.decide_on(snapshot, decision)

    @precondition(lambda self: self.judged)
    @rule(which=numbers)
    def approve_a_run(self, which: int) -> None:
        """Also that of a run which was overtaken by later ones."""
        run_id = self.one_of_the_judged(which).run_id
        reviewable = Snapshot.run_id == run_id, Snapshot.status.in_(review.REVIEWABLE)
        undecided = db.session.scalars(
            select(Snapshot).where(*reviewable, Snapshot.review == "UNREVIEWED")
        ).all()
        rejected = db.session.scalars(
            select(Snapshot).where(*reviewable, Snapshot.review == "REJECTED")
        ).all()
        alike = [other for snapshot in undecided for other in self.alike(snapshot)]
        done = review.review_run(db.session.get_one(Run, run_id), "APPROVED", CLI)
        assert done == review.Reviewed(len(undecided), len(alike), len(rejected))
        for snapshot in [*undecided, *alike]:
            self.stands(snapshot)


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
