"""What must hold in the random lives of runs that `test_machine` makes up, and the plain model it is compared with."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any, ClassVar

from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
)
from sqlalchemy import delete, select

from server.access.audit import CLI
from server.database import db, writing
from server.models import Baseline, Chunk, Idempotency, Image, Project, Run, Snapshot
from server.runs import baselines, claims, lifecycle, review
from server.runs.claims import Claim
from server.runs.lifecycle import UNFINISHED, Outcome

JUDGED = ("UNCHANGED", "CHANGED", "NEW", "ERROR")
FORWARD = {
    "PENDING": {"RUNNING", "ERROR", "CANCELLED"},
    "RUNNING": {"PASSED", "FAILED", "ERROR", "CANCELLED"},
    "FAILED": {"PASSED"},  # its last change was approved
    "PASSED": {"FAILED"},  # an approval was taken back, or a new page rejected
}


@dataclass
class Entry:
    """What the model knows of a baseline that stands."""

    number: int  # its run's
    image: str
    snapshot_id: str


@dataclass
class Worker:
    """A worker that lives, or once lived, and what it believes to hold."""

    name: str
    holds: dict[str, Claim] = field(default_factory=dict)


class Promises(RuleBasedStateMachine):
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
        self.standing: dict[tuple[str, str, str], list[Entry]] = defaultdict(list)  # the newest last
        self.decisions = 0

    def worker(self) -> Worker:
        return Worker(f"worker-{next(self.names)}")

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
        standing = db.session.query(Baseline).filter(Baseline.ended_at.is_(None)).count()
        assert standing == sum(map(len, self.standing.values()))
        for (project_id, branch, test), entries in self.standing.items():
            if entries:
                newest = baselines.newest(db.session.get_one(Snapshot, entries[-1].snapshot_id), branch)
                assert newest is not None
                assert (newest.run_number, newest.image) == (entries[-1].number, entries[-1].image)
                assert newest in [b for b in baselines.current(project_id, branch) if b.test == test]

    @invariant()
    def a_run_fails_while_something_is_not_right(self) -> None:
        not_right = (Snapshot.status == "CHANGED") & (Snapshot.review != "APPROVED")
        wrong = select(Snapshot.id).where(
            Snapshot.run_id == Run.id, not_right | (Snapshot.review == "REJECTED")
        )
        for status, fails in db.session.execute(select(Run.status, wrong.exists())):
            assert status not in ("PASSED", "FAILED") or fails == (status == "FAILED")

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
        image = None if status == "ERROR" else an_image(colour)
        outcome = Outcome(status, image=image, flaky=flaky and status in ("NEW", "UNCHANGED"))
        snapshot = db.session.get_one(Snapshot, snapshot_id)
        said = self.said_of(snapshot, image.sha256) if image else None
        accepted = lifecycle.record(owner, snapshot_id, outcome)
        if accepted and status in review.REVIEWABLE and said != "REJECTED":
            entries = self.standing[self.variant(snapshot)]
            approved_already = bool(entries) and entries[-1].image == snapshot.image
            new_on_main = status == "NEW" and snapshot.run.branch == "main"
            if said == "APPROVED" or approved_already or new_on_main:
                self.stands(snapshot)
        return accepted

    def said_of(self, snapshot: Snapshot, image: str) -> str | None:
        """What people have said of an image: rejected, and not approved since; or approved, and to arrive on main."""
        of = {"project_id": snapshot.project_id, "test": snapshot.test}
        rejections = db.session.query(Snapshot).filter_by(**of, rejected_image=image)
        if rejected_at := max((one.reviewed_at for one in rejections if one.reviewed_at), default=None):
            made = db.session.query(Baseline).filter_by(**of, image=image).all()
            by_people = [one for one in made if one.source in baselines.BY_PEOPLE]
            if not any(one.created_at > rejected_at for one in by_people if one.ended_why != "TAKEN_BACK"):
                return "REJECTED"
        there, here = (baselines.newest(snapshot, branch) for branch in ("feature", "main"))
        if there is None or there.image != image or there.source not in baselines.BY_PEOPLE:
            return None
        arrives = snapshot.run.branch == "main" and (here is None or here.created_at < there.created_at)
        return "APPROVED" if arrives else None

    def one_of_the_judged(self, which: int) -> Snapshot:
        snapshot = db.session.get_one(Snapshot, list(self.judged)[which % len(self.judged)])
        db.session.refresh(snapshot)
        return snapshot

    def decide_on(self, snapshot: Snapshot, decision: str) -> None:
        before = snapshot.review
        alike = self.alike(snapshot) if decision == "APPROVED" and before != "APPROVED" else []
        review.review_snapshot(snapshot, decision, CLI, seen=before)
        assert snapshot.review == decision
        if decision == "APPROVED" and before != "APPROVED":
            for made in [snapshot, *alike]:
                self.stands(made)

    def alike(self, snapshot: Snapshot) -> list[Snapshot]:
        """What is approved along with a snapshot: undecided ones of its branch, and of main, with the same image."""
        same = Snapshot.test == snapshot.test, Snapshot.project_id == snapshot.project_id
        found = db.session.scalars(
            select(Snapshot)
            .join(Run)
            .where(*same, Snapshot.image == snapshot.image, Snapshot.status.in_(review.REVIEWABLE))
            .where(Run.id != snapshot.run_id, Run.branch.in_([snapshot.run.branch, "main"]))
            .order_by(Snapshot.id)
        )
        again = {one: one.review == "REJECTED" and one.reviewed_by is None for one in found}
        return [one for one in again if one.review == "UNREVIEWED" or again[one]]

    def stands(self, snapshot: Snapshot) -> None:
        """A baseline was made: it is the current one unless a run that was triggered later has made one."""
        self.decisions += 1
        entries = self.standing[self.variant(snapshot)]
        entries.append(Entry(snapshot.run.number, snapshot.image, snapshot.id))
        entries.sort(key=lambda entry: entry.number)  # a later one of the same run stays later

    def variant(self, snapshot: Snapshot) -> tuple[str, str, str]:
        return snapshot.project_id, snapshot.run.branch, snapshot.test

    def let_go(self, worker: Worker, claim: Claim) -> None:
        claims.finish(worker.name, claim)
        del worker.holds[claim.chunk_id]
        self.late.append((worker.name, claim))


def _reaches(before: str, after: str) -> bool:
    """Whether a run may have come from one status to another, perhaps through others."""
    reached = {before}
    for _ in FORWARD:
        reached |= {step for status in reached for step in FORWARD.get(status, ())}
    return after in reached


def newest_alike(entries: list[Entry], image: str) -> list[Entry]:
    """The entries at the newer end of a history that show an image."""
    return list(takewhile(lambda entry: entry.image == image, reversed(entries)))


def an_image(colour: str) -> Image:
    return Image(sha256=colour * 64, width=1, height=1, size_bytes=70)
