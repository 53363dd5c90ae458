"""Which runs pass, fail and become baselines: the rules of branches, played on the real tables."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.access.audit import CLI
from server.database import db, now, writing
from server.models import AuditEvent, Baseline, Chunk
from server.problems import Conflict
from server.runs import claims, lifecycle, review, trigger
from server.runs.trigger import Trigger
from server.vision.page import Box
from tests.conftest import World
from tests.runs.history import ONE_TEST, History, verdict


def test_new_on_the_default_branch_passes_and_becomes_the_baseline(history: History) -> None:
    assert verdict(history.run("main", "white")) == ("PASSED", "NEW")
    assert verdict(history.run("main", "white")) == ("PASSED", "UNCHANGED")


def test_new_on_another_branch_passes_and_becomes_no_baseline(history: History) -> None:
    assert verdict(history.run("feature", "white")) == ("PASSED", "NEW")
    assert db.session.query(Baseline).count() == 0


def test_a_change_fails_until_it_is_approved(history: History) -> None:
    history.run("main", "white")
    changed = history.run("main", "black")
    assert verdict(changed) == ("FAILED", "CHANGED")
    assert changed.difference is not None
    assert changed.changed_pixels == 200
    history.approve(changed)
    assert verdict(changed) == ("PASSED", "CHANGED")
    assert verdict(history.run("main", "black")) == ("PASSED", "UNCHANGED")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("maxDiffPixels: 199", "CHANGED"),
        ("maxDiffPixels: 200", "UNCHANGED"),
        ("maxDiffRatio: 0.99", "CHANGED"),
        ("maxDiffRatio: 1", "UNCHANGED"),
        ("threshold: 1", "UNCHANGED"),
    ],
)
def test_a_page_may_differ_as_far_as_its_suite_says(history: History, said: str, status: str) -> None:
    history.run("main", "white")
    assert history.run("main", "black", suite=f"{said}\n{ONE_TEST}").status == status


def test_a_rejected_change_keeps_the_run_failed_and_makes_no_baseline(history: History) -> None:
    history.run("main", "white")
    changed = history.run("main", "black")
    review.review_snapshot(changed, "REJECTED", CLI, "not meant")
    assert verdict(changed) == ("FAILED", "CHANGED")
    assert changed.review_reason == "not meant"
    assert verdict(history.run("main", "black")) == ("FAILED", "CHANGED")


def test_a_branch_passes_with_its_own_its_bases_or_the_default_branchs_look(history: History) -> None:
    history.run("main", "white")
    history.approve(history.run("release", "red"))
    history.approve(history.run("feature", "blue", base="release"))
    for colour in ("blue", "red", "white"):
        assert verdict(history.run("feature", colour, base="release")) == ("PASSED", "UNCHANGED"), colour
    changed = history.run("feature", "green", base="release")
    assert verdict(changed) == ("FAILED", "CHANGED")
    assert changed.baseline.branch == "feature"


def test_an_approval_on_a_branch_does_not_change_main(history: History) -> None:
    history.run("main", "white")
    history.approve(history.run("feature", "blue"))
    assert verdict(history.run("main", "white")) == ("PASSED", "UNCHANGED")


def test_an_approval_arrives_with_the_merge_without_a_second_review(history: History) -> None:
    history.run("main", "white")
    history.approve(history.run("feature", "blue"))
    merged = history.run("main", "blue")
    assert verdict(merged) == ("PASSED", "CHANGED")
    assert (merged.review, merged.review_reason) == ("APPROVED", "approved before on feature")
    assert verdict(history.run("main", "blue")) == ("PASSED", "UNCHANGED")
    assert db.session.query(AuditEvent).filter_by(action="BASELINE_CARRY").count() == 1


@pytest.mark.parametrize("reason", ["fork", "overruled", "older than main's", "older than 30 days"])
def test_an_approval_does_not_arrive_when_it_should_not(history: History, reason: str) -> None:
    history.run("main", "white")
    history.approve(history.run("eve:feature" if reason == "fork" else "feature", "blue"))
    if reason == "overruled":
        history.approve(history.run("feature", "red"))
    if reason == "older than main's":
        history.approve(history.run("main", "green"))
    if reason == "older than 30 days":
        with writing() as session:
            session.query(Baseline).update({"created_at": now() - timedelta(days=31)})
    assert verdict(history.run("main", "blue")) == ("FAILED", "CHANGED")


def test_a_run_that_finishes_late_overrules_nothing(history: History) -> None:
    early, late = history.begin("main"), history.begin("main")
    assert early.number < late.number
    with writing() as session:  # the later run is worked first
        session.query(Chunk).filter_by(run_id=early.id).update({"owner": "somebody else"})
    assert verdict(history.finish(late, "blue")) == ("PASSED", "NEW")
    with writing() as session:
        session.query(Chunk).filter_by(run_id=early.id).update({"owner": None})
    history.approve(history.finish(early, "white"))
    assert verdict(history.run("main", "blue")) == ("PASSED", "UNCHANGED")
    assert verdict(history.run("main", "white")) == ("FAILED", "CHANGED")


def test_what_is_not_a_change_cannot_be_approved(history: History) -> None:
    history.run("main", "white")
    with pytest.raises(Conflict, match="UNCHANGED"):
        history.approve(history.run("main", "white"))


def test_an_approved_change_cannot_be_rejected_unnoticed(history: History) -> None:
    history.run("main", "white")
    changed = history.run("main", "black")
    history.approve(changed)
    history.approve(changed)  # again: nothing to do
    with pytest.raises(Conflict, match="baseline by now"):
        review.review_snapshot(changed, "REJECTED", CLI)
    assert db.session.query(Baseline).count() == 2


def test_a_run_with_an_error_is_error_whatever_else_changed(history: History, world: World) -> None:
    run = trigger.trigger(world.shop, Trigger("main"), CLI, 100)[0]
    claim = claims.claim("w")
    for i, snapshot_id in enumerate(claim.snapshot_ids):
        outcome = lifecycle.Outcome("ERROR", error_kind="timeout", error_message="slow") if i else None
        assert lifecycle.record("w", snapshot_id, outcome or lifecycle.Outcome("UNCHANGED"))
    db.session.refresh(run)
    assert (run.status, run.error, run.done) == ("ERROR", 3, 4)
    assert "3 of 4" in run.message


def test_where_rows_were_inserted_or_removed_stays_with_the_snapshot(history: History) -> None:
    history.run("main", "red/blue/white")
    assert history.run("inserted", "red/green/blue/white").shifts == [[10, 10]]
    assert history.run("removed", "red/white").shifts == [[10, -10]]
    assert history.run("recoloured", "red/green/white").shifts == []
    assert history.run("same", "red/blue/white").shifts is None


@pytest.mark.parametrize(
    ("count", "told"), [(1, "one region"), (2, "2 regions"), (50, "at least 50 regions")]
)
def test_a_page_that_did_not_come_to_rest_is_told(history: History, count: int, told: str) -> None:
    moved = tuple(Box(0, at, 1, 1) for at in range(count))
    restless = history.run("main", "white", moved=moved)
    assert restless.sentence == f"The page did not come to rest: {told} moved between two shots."
