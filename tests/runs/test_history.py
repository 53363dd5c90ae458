"""A year of a project, replayed: each run's verdict and baseline are as docs/baselines.md says.

A page is one plain colour. Nobody looks at anything but where the story says so (`history.approve`, `.reject`), and
every other run must come out right by itself: nothing is reviewed twice.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from server.access.audit import Actor
from server.database import db, writing
from server.models import AuditEvent, Baseline, Run, Snapshot
from server.runs import projects, retention, review
from tests.conftest import World
from tests.runs.history import ONE_TEST, History

ADA = Actor("user", None, "ada@acme.example")
RENAMED = ONE_TEST.replace("name: Home", "name: Front page, was: Home")


class Year(History):
    """Tells what became of each run, and lets days go by."""

    def pass_days(self, days: int) -> None:
        gone = timedelta(days=days)
        with writing() as session:
            for table, names in (
                (Run, ("created_at", "finished_at")),
                (Snapshot, ("reviewed_at",)),
                (Baseline, ("created_at", "ended_at")),
            ):
                for row in session.scalars(select(table)):
                    for name in names:
                        if (at := getattr(row, name)) is not None:
                            setattr(row, name, at - gone)
        db.session.expire_all()

    def keep_house(self) -> int:
        report = retention.collect(self.store, self.world.app.extensions["retestr"])
        db.session.expire_all()
        return report.baselines

    def told(self, snapshot: Snapshot) -> tuple[str, str, str, str | None]:
        """A run's verdict, its page's status and review, and whose look it was compared with."""
        db.session.expire_all()
        against = snapshot.baseline
        look = f"{against.branch} #{against.run_number} {against.source}" if against else None
        return snapshot.run.status, snapshot.status, snapshot.review, look

    def decisions(self) -> int:
        """How often a person decided something; not what was settled by that."""
        of_people = AuditEvent.actor_kind == "user", AuditEvent.action.like("BASELINE_%")
        told = db.session.scalars(select(AuditEvent.details).where(*of_people)).all()
        return sum("settledWith" not in details for details in told)

    def by_ada(
        self, snapshot: Snapshot, decision: str, reason: str | None = None, seen: str = "UNREVIEWED"
    ) -> None:
        review.review_snapshot(snapshot, decision, ADA, reason, seen)


@pytest.fixture
def year(world: World) -> Year:
    return Year(world)


def test_a_projects_history_comes_out_as_the_rules_say_and_nothing_is_reviewed_twice(year: Year) -> None:
    told, run = year.told, year.run

    # The first picture of the default branch is its baseline.
    assert told(run("main", "white")) == ("PASSED", "NEW", "APPROVED", None)  # run 1
    assert told(run("main", "white")) == ("PASSED", "UNCHANGED", "UNREVIEWED", "main #1 NEW")  # 2

    # A branch changes the page; a second push shows the same; the approval comes late, for the first of them.
    blue, again = run("blue", "blue"), run("blue", "blue")  # 3, 4
    assert told(blue) == told(again) == ("FAILED", "CHANGED", "UNREVIEWED", "main #1 NEW")
    year.by_ada(blue, "APPROVED")
    assert told(blue) == told(again) == ("PASSED", "CHANGED", "APPROVED", "main #1 NEW")
    assert told(run("blue", "blue")) == ("PASSED", "UNCHANGED", "UNREVIEWED", "blue #4 APPROVED")  # 5
    assert told(run("main", "white"))[:2] == ("PASSED", "UNCHANGED")  # 6: main does not look like that yet

    # Squash-merged: another commit, the same picture. It is main's look now, by the approval that Ada gave.
    merged = run("main", "blue")  # 7
    assert told(merged) == ("PASSED", "CHANGED", "APPROVED", "main #1 NEW")
    assert merged.review_reason == "approved before on blue"
    after = run("main", "blue")  # 8
    assert told(after) == ("PASSED", "UNCHANGED", "UNREVIEWED", "main #7 CARRIED")
    assert after.baseline.approved_by == "ada@acme.example"

    # A second branch that began before the merge, and one that began after it.
    assert told(run("second", "white")) == ("FAILED", "CHANGED", "UNREVIEWED", "main #7 CARRIED")  # 9
    assert told(run("second", "blue"))[:2] == ("PASSED", "UNCHANGED")  # 10: rebased
    green = run("second", "green")  # 11
    year.by_ada(green, "APPROVED")
    assert told(run("second", "green")) == ("PASSED", "UNCHANGED", "UNREVIEWED", "second #11 APPROVED")  # 12

    # A stale branch: approved long ago, while main went another way. A person looks once more.
    old = run("stale", "red")  # 13
    year.by_ada(old, "APPROVED")
    year.pass_days(1)
    assert told(run("main", "green"))[:3] == (
        "PASSED",
        "CHANGED",
        "APPROVED",
    )  # 14: the second branch arrives
    assert told(run("stale", "red")) == ("PASSED", "UNCHANGED", "UNREVIEWED", "stale #13 APPROVED")  # 15
    stale = run("main", "red")  # 16: merged, but the approval is older than what main shows
    assert told(stale) == ("FAILED", "CHANGED", "UNREVIEWED", "main #14 CARRIED")

    # Reverted on main. Main's own baseline was never anything else.
    assert told(run("main", "green")) == ("PASSED", "UNCHANGED", "UNREVIEWED", "main #14 CARRIED")  # 17

    # A revert of what was approved is a change like any other: approved on its branch, it arrives with the merge.
    revert = run("revert", "blue")  # 18
    assert told(revert) == ("FAILED", "CHANGED", "UNREVIEWED", "main #14 CARRIED")
    year.by_ada(revert, "APPROVED")
    assert told(run("main", "blue"))[:3] == ("PASSED", "CHANGED", "APPROVED")  # 19

    # The test is renamed; its history goes on under the new name, and a change is compared with it.
    assert told(run("main", "blue", suite=RENAMED)) == (
        "PASSED",
        "UNCHANGED",
        "UNREVIEWED",
        "main #19 CARRIED",
    )  # 20
    assert told(run("second", "green", suite=RENAMED))[:2] == ("PASSED", "UNCHANGED")  # 21
    assert (
        told(run("new", "blue", suite=ONE_TEST.replace("Home", "Front page")))[1] == "NEW"
    )  # 22: without `was`
    black = run("main", "black", suite=RENAMED)  # 23
    assert told(black) == ("FAILED", "CHANGED", "UNREVIEWED", "main #19 CARRIED")
    year.by_ada(black, "APPROVED")
    assert told(run("main", "black", suite=RENAMED))[3] == "main #23 APPROVED"  # 24

    # What is rejected is rejected wherever it returns, also under the new name, until somebody approves it.
    year.by_ada(run("pink", "pink"), "REJECTED", "unreadable")  # 25
    back = run("pink", "pink", suite=RENAMED)  # 26
    assert told(back)[:3] == ("FAILED", "CHANGED", "REJECTED")
    assert back.review_reason.startswith("rejected again: unreadable (ada@acme.example, ")
    year.by_ada(back, "APPROVED", seen="REJECTED")
    assert told(run("pink", "pink", suite=RENAMED))[:2] == ("PASSED", "UNCHANGED")  # 27
    assert told(run("main", "pink", suite=RENAMED))[:3] == ("PASSED", "CHANGED", "APPROVED")  # 28

    # Rolled back to the look from before the rename: a new entry, under today's name.
    first = db.session.scalars(
        select(Baseline).where(Baseline.branch == "main").order_by(Baseline.id)
    ).first()
    restored = review.restore(first, ADA)
    assert (restored.test, restored.was, restored.source) == ("Front page", ["Home"], "RESTORED")
    assert told(run("main", "white", suite=RENAMED)) == (
        "PASSED",
        "UNCHANGED",
        "UNREVIEWED",
        "main #28 RESTORED",
    )  # 29
    assert told(run("main", "pink", suite=RENAMED))[:2] == ("FAILED", "CHANGED")  # 30

    # Branches that nobody uses any more: after 30 days their baselines count no more. Main's stay.
    year.pass_days(31)
    used = run("second", "green", suite=RENAMED)  # 31
    assert told(used) == ("PASSED", "UNCHANGED", "UNREVIEWED", "second #11 APPROVED")
    branches = set(db.session.scalars(select(Baseline.branch).where(Baseline.ended_at.is_(None))))
    assert branches == {"main", "blue", "second", "stale", "revert", "pink"}
    assert year.keep_house() == 5  # blue has two entries
    branches = set(db.session.scalars(select(Baseline.branch).where(Baseline.ended_at.is_(None))))
    assert branches == {"main", "second"}
    assert told(run("stale", "red", suite=RENAMED)) == (
        "FAILED",
        "CHANGED",
        "UNREVIEWED",
        "main #28 RESTORED",
    )  # 32
    assert year.keep_house() == 0

    # Dependencies' branches need nobody, and what they show arrives nowhere by itself.
    projects.change(year.world.shop, ADA, auto_approve=["deps/*"])
    assert told(run("deps/css", "gold", suite=RENAMED)) == (
        "PASSED",
        "CHANGED",
        "APPROVED",
        "main #28 RESTORED",
    )  # 33
    assert told(run("main", "gold", suite=RENAMED))[:3] == ("FAILED", "CHANGED", "UNREVIEWED")  # 34

    looked = ["blue", "green", "red", "blue again", "black", "pink rejected", "pink after all", "rolled back"]
    assert year.decisions() == len(looked)
