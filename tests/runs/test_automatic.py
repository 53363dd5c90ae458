"""What retestr decides by itself: rejected images that return, late approvals, branches of a pattern."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from server.access.audit import CLI
from server.database import db, now, writing
from server.models import AuditEvent, Baseline, Image, Snapshot
from server.runs import baselines, claims, judge, lifecycle, projects, review
from tests.runs.history import ONE_TEST, History, verdict
from tests.runs.reviews import ADA, said, sources

# ------------------------------------------------------------------------------------------- rejected again


def test_a_rejected_image_that_comes_back_is_rejected_at_once_with_the_old_reason(history: History) -> None:
    history.run("main", "white")
    bad = history.run("feature", "red")
    review.review_snapshot(bad, "REJECTED", ADA, "contrast")
    for branch in ("feature", "another", "main"):
        again = history.run(branch, "red")
        assert verdict(again) == ("FAILED", "CHANGED")
        assert (again.review, again.reviewed_by) == ("REJECTED", None)
        assert again.review_reason == f"rejected again: contrast (ada@acme.example, {now():%Y-%m-%d}, run #2)"
    assert history.run("feature", "green").review == "UNREVIEWED"


def test_a_rejected_image_is_known_again_by_its_pixels_too(history: History) -> None:
    """As compared with the suite's threshold, but not with what it tolerates: a repair may be small."""
    tolerant = "baseUrl: http://127.0.0.1:9\nmaxDiffRatio: 0.6\ntests:\n  - {name: Home, path: /}\n"
    history.run("main", "#808080", suite=tolerant)
    bad = history.run("main", "#ff0000", suite=tolerant)
    history.reject(bad, "red")
    assert history.run("main", "#ff0001", suite=tolerant).review == "REJECTED"
    assert history.run("main", "#00ff00", suite=tolerant).review == "UNREVIEWED"


def test_what_was_rejected_is_remembered_when_its_image_is_long_gone(history: History) -> None:
    history.run("main", "white")
    bad = history.run("main", "red")
    history.reject(bad)
    with writing() as session:
        session.execute(update(Snapshot).where(Snapshot.id == bad.id).values(image=None, difference=None))
    assert history.run("main", "red").review == "REJECTED"


def test_an_approval_under_a_tests_new_name_ends_a_rejection_under_its_old_one(history: History) -> None:
    renamed = ONE_TEST.replace("name: Home", "name: Front page, was: Home")
    history.run("main", "white")
    history.reject(history.run("feature", "red"))
    again = history.run("feature", "red", suite=renamed)
    assert again.review == "REJECTED"
    history.approve(again, seen="REJECTED")
    assert history.run("another", "red", suite=renamed).review == "UNREVIEWED"


def test_a_rejection_ends_when_a_person_approves_the_image_later(history: History) -> None:
    history.run("main", "white")
    bad = history.run("feature", "red")
    history.reject(bad, "contrast")
    again = history.run("feature", "red")
    history.approve(again, seen="REJECTED")  # looked at once more: it is meant
    assert said(bad)[:2] == ("FAILED", "REJECTED")  # what a person said about this one stays
    assert verdict(history.run("feature", "red")) == ("PASSED", "UNCHANGED")
    other = history.run("another", "red")
    assert (*verdict(other), other.review) == ("FAILED", "CHANGED", "UNREVIEWED")
    merged = history.run("main", "red")
    assert (*verdict(merged), merged.review) == ("PASSED", "CHANGED", "APPROVED")


def test_an_image_that_was_approved_and_then_rejected_elsewhere_does_not_arrive(history: History) -> None:
    history.run("main", "white")
    history.approve(history.run("feature", "red"))
    history.reject(history.run("another", "red"), "no")
    merged = history.run("main", "red")
    assert (*verdict(merged), merged.review) == ("FAILED", "CHANGED", "REJECTED")


def test_an_undone_rejection_is_forgotten_where_it_was_repeated(history: History) -> None:
    history.run("main", "white")
    bad = history.run("feature", "red")
    history.reject(bad)
    again, elsewhere = history.run("feature", "red"), history.run("another", "red")
    assert (again.review, elsewhere.review) == ("REJECTED", "REJECTED")
    history.undo(bad)
    assert [said(one)[1] for one in (bad, again, elsewhere)] == ["UNREVIEWED"] * 3
    assert history.run("feature", "red").review == "UNREVIEWED"


def test_rejecting_settles_the_same_image_in_the_branchs_other_runs(history: History) -> None:
    history.run("main", "white")
    first, second = history.run("feature", "red"), history.run("feature", "red")
    other = history.run("another", "red")
    history.reject(first, "contrast")
    assert said(second)[:2] == ("FAILED", "REJECTED")
    assert said(other)[1] == "UNREVIEWED"


# ------------------------------------------------------------------------------------------- late approvals


def test_a_late_approval_settles_the_branchs_other_runs_with_the_same_image(history: History) -> None:
    history.run("main", "white")
    first, between, last = (history.run("feature", colour) for colour in ("blue", "red", "blue"))
    history.approve(first)
    assert said(first) == ("PASSED", "APPROVED", None)
    assert said(last) == ("PASSED", "APPROVED", "approved in run #2")
    assert said(between)[:2] == ("FAILED", "UNREVIEWED")
    history.approve(between)  # an older run's approval overrules nothing
    assert verdict(history.run("feature", "blue")) == ("PASSED", "UNCHANGED")


def test_a_late_approval_arrives_where_the_change_was_merged_before(history: History) -> None:
    history.run("main", "white")
    feature, merged = history.run("feature", "blue"), history.run("main", "blue")
    assert verdict(merged) == ("FAILED", "CHANGED")
    review.review_snapshot(feature, "APPROVED", ADA)
    assert said(merged) == ("PASSED", "APPROVED", "approved before on feature")
    assert sources() == [("NEW", None), ("CARRIED", None)]
    assert baselines.newest(merged, "main").approved_by == "ada@acme.example"


def test_an_approval_on_a_fork_arrives_nowhere(history: History) -> None:
    history.run("main", "white")
    forked, merged = history.run("eve:feature", "blue"), history.run("main", "blue")
    history.approve(forked)
    assert said(merged)[:2] == ("FAILED", "UNREVIEWED")


def test_an_approval_while_a_run_is_judged_is_found_when_it_is_recorded(history: History) -> None:
    history.run("main", "white")
    first, second = history.begin("feature"), history.begin("feature")
    approved = history.finish(first, "blue")
    claim = claims.claim("w")
    (job,) = judge.jobs(claim.snapshot_ids)
    image = db.session.get_one(Image, approved.image)
    history.approve(approved)  # after the second was compared, before that is written down
    assert lifecycle.record("w", job.snapshot_id, lifecycle.Outcome("CHANGED", image=image))
    late = db.session.get_one(Snapshot, job.snapshot_id)
    assert said(late) == ("PASSED", "APPROVED", f"approved in run #{first.number}")
    assert late.run_id == second.id


@pytest.mark.parametrize("branch", ["main", "gh-readonly-queue/main/pr-1"])
@pytest.mark.parametrize(("decision", "ended"), [("APPROVED", "PASSED"), ("REJECTED", "FAILED")])
def test_a_decision_elsewhere_while_a_run_is_judged_is_found_when_it_is_recorded(
    history: History, branch: str, decision: str, ended: str
) -> None:
    history.run("main", "white")
    first = history.run("feature", "blue")
    history.begin(branch)
    claim = claims.claim("w")
    (job,) = judge.jobs(claim.snapshot_ids)
    review.review_snapshot(first, decision, CLI)  # after it was compared, before that is written down
    image = db.session.get_one(Image, first.image)
    assert lifecycle.record("w", job.snapshot_id, lifecycle.Outcome("CHANGED", image=image))
    assert said(db.session.get_one(Snapshot, job.snapshot_id))[:2] == (ended, decision)


def test_a_rejection_while_a_run_is_judged_counts_more_than_an_approval_found_then(history: History) -> None:
    history.run("main", "white")
    approved, rejected = history.run("feature", "blue"), history.run("other", "blue")
    review.review_snapshot(approved, "APPROVED", CLI)
    history.begin("main")
    claim = claims.claim("w")
    (job,) = judge.jobs(claim.snapshot_ids)
    (approval,) = db.session.query(Baseline).filter_by(branch="feature")
    review.review_snapshot(rejected, "REJECTED", CLI)
    image = db.session.get_one(Image, rejected.image)
    outcome = lifecycle.Outcome("CHANGED", image=image, approval_id=approval.id)
    assert lifecycle.record("w", job.snapshot_id, outcome)
    assert said(db.session.get_one(Snapshot, job.snapshot_id))[:2] == ("FAILED", "REJECTED")


# ------------------------------------------------------------------------------------------- by pattern


@pytest.mark.parametrize(
    ("branch", "approved"),
    [
        ("renovate/react", True),
        ("renovate/deep/er", True),
        ("feature/renovate/x", False),
        ("eve:renovate/react", False),
        ("Renovate/react", False),
    ],
)
def test_changes_on_branches_of_a_pattern_are_approved_by_it(
    history: History, branch: str, approved: bool
) -> None:
    projects.change(history.world.shop, CLI, auto_approve=["deps-*", "renovate/*"])
    history.run("main", "white")
    changed = history.run(branch, "blue")
    if not approved:
        assert said(changed) == ("FAILED", "UNREVIEWED", None)
        return
    assert said(changed) == ("PASSED", "APPROVED", f"{branch} matches renovate/*")
    assert changed.reviewed_by == "auto-approve"
    assert sources(branch) == [("AUTO", None)]
    assert verdict(history.run(branch, "blue")) == ("PASSED", "UNCHANGED")
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "BASELINE_AUTO_APPROVE")).one()
    assert (event.actor_kind, event.details["pattern"]) == ("system", "renovate/*")
    assert verdict(history.run("main", "blue")) == ("FAILED", "CHANGED")  # nobody has looked at it


def test_a_pattern_approves_nothing_that_a_person_rejected(history: History) -> None:
    projects.change(history.world.shop, CLI, auto_approve=["*"])
    history.run("main", "white")
    bad = history.run("renovate/react", "blue")
    history.reject(bad, "broken", seen="APPROVED")
    again = history.run("renovate/react", "blue")
    assert said(again)[:2] == ("FAILED", "REJECTED")
