"""What people decide: two reviewers, approvals taken back, baselines rolled back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, update

from server.database import db, now, writing
from server.models import AuditEvent, Baseline, Image, Run
from server.problems import Conflict
from server.runs import baselines, review
from tests.runs.history import History, verdict
from tests.runs.reviews import ADA, BOB, said, sources

# ------------------------------------------------------------------------------------------- two reviewers


@pytest.mark.parametrize(("first", "second"), [("APPROVED", "REJECTED"), ("REJECTED", "APPROVED")])
def test_who_decides_otherwise_without_having_seen_the_first_decision_is_told_who_and_when(
    history: History, first: str, second: str
) -> None:
    history.run("main", "white")
    changed = history.run("main", "black")
    review.review_snapshot(changed, first, ADA, "as designed")
    with pytest.raises(
        Conflict, match=f"ada@acme.example has {first.lower()} this snapshot .* as designed"
    ) as told:
        review.review_snapshot(changed, second, BOB)
    assert told.value.details["reviewedBy"] == "ada@acme.example"
    assert told.value.details["review"] == first
    assert told.value.details["reviewedAt"].endswith("Z")
    db.session.expire_all()
    assert (changed.review, changed.reviewed_by) == (first, "ada@acme.example")
    review.review_snapshot(changed, second, BOB, seen=first)
    assert (changed.review, changed.reviewed_by) == (second, "bob@acme.example")


def test_who_decides_the_same_changes_nothing(history: History) -> None:
    history.run("main", "white")
    changed = history.run("main", "black")
    review.review_snapshot(changed, "REJECTED", ADA, "too dark")
    review.review_snapshot(changed, "REJECTED", BOB, "ugly")
    assert (changed.reviewed_by, changed.review_reason) == ("ada@acme.example", "too dark")


def test_what_was_undone_meanwhile_is_told_too(history: History) -> None:
    history.run("main", "white")
    changed = history.run("main", "black")
    history.reject(changed)
    history.undo(changed)
    with pytest.raises(Conflict, match="undone meanwhile"):
        history.approve(changed, seen="REJECTED")


# ------------------------------------------------------------------------------------------- taking back


def test_an_approval_that_is_rejected_ends_its_baseline_and_the_one_before_counts_again(
    history: History,
) -> None:
    history.run("main", "white")
    changed = history.run("main", "black")
    history.approve(changed)
    assert verdict(history.run("main", "black")) == ("PASSED", "UNCHANGED")
    history.reject(changed, "by mistake", seen="APPROVED")
    assert said(changed) == ("FAILED", "REJECTED", "by mistake")
    assert sources() == [("NEW", None), ("APPROVED", "TAKEN_BACK")]
    assert verdict(history.run("main", "white")) == ("PASSED", "UNCHANGED")
    again = history.run("main", "black")
    assert verdict(again) == ("FAILED", "CHANGED")
    assert again.review == "REJECTED"


def test_an_approval_that_is_undone_is_to_be_reviewed_once_more(history: History) -> None:
    history.run("main", "white")
    changed = history.run("main", "black")
    history.approve(changed)
    history.undo(changed)
    assert said(changed) == ("FAILED", "UNREVIEWED", None)
    assert (changed.reviewed_by, changed.reviewed_at) == (None, None)
    again = history.run("main", "black")
    assert (*verdict(again), again.review) == ("FAILED", "CHANGED", "UNREVIEWED")
    history.approve(again)
    assert said(changed)[:2] == ("PASSED", "APPROVED")
    audit = db.session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)).all()
    assert audit.count("BASELINE_UNDO") == 1


def test_an_approval_that_was_overtaken_cannot_be_taken_back(history: History) -> None:
    history.run("main", "white")
    first, second = history.run("main", "black"), history.run("main", "red")
    history.approve(first)
    review.review_snapshot(second, "APPROVED", ADA)
    with pytest.raises(Conflict, match=r"ada@acme\.example made it of run #3") as told:
        history.undo(first)
    assert told.value.details["runId"] == second.run_id
    assert said(first)[:2] == ("PASSED", "APPROVED")
    history.undo(second)
    history.undo(first)
    assert sources() == [("NEW", None), ("APPROVED", "TAKEN_BACK"), ("APPROVED", "TAKEN_BACK")]


def test_an_approval_is_taken_back_in_all_runs_that_it_settled(history: History) -> None:
    history.run("main", "white")
    first, second = history.run("feature", "blue"), history.run("feature", "blue")
    history.approve(first)
    assert said(second) == ("PASSED", "APPROVED", "approved in run #2")
    history.undo(first)
    assert said(first)[:2] == said(second)[:2] == ("FAILED", "UNREVIEWED")
    history.approve(second)
    history.reject(first, "too blue", seen="APPROVED")
    assert said(first) == ("FAILED", "REJECTED", "too blue")
    assert said(second)[:2] == ("FAILED", "REJECTED")
    assert second.review_reason.startswith("rejected again: too blue (command line, ")


def test_nothing_is_taken_back_to_a_baseline_whose_image_is_gone(history: History) -> None:
    white = history.run("main", "white")
    changed = history.run("main", "black")
    history.approve(changed)
    with writing() as session:
        session.execute(update(Image).where(Image.sha256 == white.image).values(removed_at=now()))
    with pytest.raises(Conflict, match="removed by retention"):
        history.undo(changed)
    assert said(changed)[:2] == ("PASSED", "APPROVED")


def test_the_first_picture_of_a_page_can_be_taken_back_and_a_rejected_one_fails_its_run(
    history: History,
) -> None:
    first = history.run("main", "white")
    history.reject(first, "the page is blank", seen="APPROVED")
    assert said(first) == ("FAILED", "REJECTED", "the page is blank")
    assert first.run.message == "1 of 1 snapshots rejected."
    again = history.run("main", "white")
    assert (*verdict(again), again.review) == ("FAILED", "NEW", "REJECTED")
    assert verdict(history.run("main", "black")) == ("PASSED", "NEW")
    assert sources() == [("NEW", "TAKEN_BACK"), ("NEW", None)]


def test_undoing_what_nobody_decided_changes_nothing(history: History) -> None:
    history.run("main", "white")
    changed = history.run("main", "black")
    history.undo(changed)
    assert said(changed) == ("FAILED", "UNREVIEWED", None)
    assert "BASELINE_UNDO" not in db.session.scalars(select(AuditEvent.action)).all()


# ------------------------------------------------------------------------------------------- rolling back


def test_an_older_baseline_is_restored_as_a_new_entry(history: History) -> None:
    white = history.run("main", "white")
    history.approve(history.run("main", "black"))
    first = db.session.scalars(select(Baseline).order_by(Baseline.id)).first()
    restored = review.restore(first, ADA)
    assert (restored.image, restored.source, restored.approved_by) == (
        white.image,
        "RESTORED",
        "ada@acme.example",
    )
    assert (restored.run_id, restored.commit_sha) == (first.run_id, first.commit_sha)
    assert verdict(history.run("main", "white")) == ("PASSED", "UNCHANGED")
    back = history.run("main", "black")
    assert verdict(back) == ("FAILED", "CHANGED")
    assert back.baseline_id == restored.id
    assert sources() == [("NEW", None), ("APPROVED", None), ("RESTORED", None)]
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "BASELINE_RESTORE")).one()
    assert (event.target_id, event.details["restored"]) == (restored.id, first.id)
    with pytest.raises(Conflict, match="already"):
        review.restore(first, ADA)


def test_a_baseline_whose_image_is_gone_is_not_restored(history: History) -> None:
    white = history.run("main", "white")
    history.approve(history.run("main", "black"))
    with writing() as session:
        session.execute(update(Image).where(Image.sha256 == white.image).values(removed_at=now()))
    first = db.session.scalars(select(Baseline).order_by(Baseline.id)).first()
    with pytest.raises(Conflict, match="Retention removed"):
        review.restore(first, ADA)
    assert len(sources()) == 2


def test_what_expired_or_was_taken_back_can_be_restored(history: History) -> None:
    history.run("main", "white")
    changed = history.run("feature", "blue")
    history.approve(changed)
    history.undo(changed)
    entry = db.session.scalars(select(Baseline).where(Baseline.branch == "feature")).one()
    review.restore(entry, ADA)
    assert verdict(history.run("feature", "blue")) == ("PASSED", "UNCHANGED")


# ------------------------------------------------------------------------------------------- expiry


def test_a_stale_branch_is_known_by_its_runs_and_those_based_on_it(history: History) -> None:
    for branch in ("main", "release", "old", "young"):
        history.run("main", "white")
        if branch != "main":
            history.approve(history.run(branch, "blue"))
    with writing() as session:
        long_ago = now() - timedelta(days=31)
        session.execute(update(Run).values(created_at=long_ago))
        session.execute(update(Baseline).where(Baseline.branch != "young").values(created_at=long_ago))
    history.run("fix", "blue", base="release")
    assert {branch for _, branch in baselines.stale(history.world.shop)} == {"old"}


def test_undoing_many_looks_each_baseline_up_by_its_variant(history: History) -> None:
    """By the run alone, each look-up would read all that the run has made: 2,000 took 22 s."""
    if db.engine.dialect.name != "sqlite":
        pytest.skip("SQLite tells its plan in words")
    history.run("main", "white")
    changed, began = history.run("main", "black"), now()
    run = changed.run
    review.review_run(run, "APPROVED", ADA)
    asked: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, values: Any, *rest: Any) -> None:
        if "FROM baseline" in statement:
            asked.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert [one.id for one in review.undo(run, "APPROVED", ADA, began)] == [changed.id]
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    with db.engine.connect() as connection:
        plans = [
            " ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values))
            for statement, values in asked
        ]
    assert len(plans) >= 2
    assert [
        plan for plan in plans if "baseline_newest (project_id=? AND branch=? AND test=?" not in plan
    ] == []
