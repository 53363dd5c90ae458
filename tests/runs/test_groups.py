"""Decisions on many changes: groups, choices, all or nothing."""

from __future__ import annotations

import pytest

from server.models import Baseline, Run
from server.problems import Conflict, NotFound
from server.runs import baselines, review
from server.runs.review import Only, Reviewed
from tests.runs.pages import Pages
from tests.runs.reviews import ADA, sources


@pytest.fixture
def changed(pages: Pages) -> Run:
    """A run on whose pages a red box came in three places, and on one a blue one."""
    pages.run("main", a=None, bb=None, ccc=None, dddd=None, eeeee=None)
    red, blue = "red", "blue"
    return pages.run(
        "feature", a=(10, 10, red), bb=(90, 40, red), ccc=(150, 80, red), dddd=(10, 10, blue), eeeee=None
    )


def test_the_same_change_on_several_pages_is_one_group_and_approved_as_one(
    pages: Pages, changed: Run
) -> None:
    group = pages.of(changed, "a").group
    groups = {test: pages.of(changed, test).group for test in ("a", "bb", "ccc", "dddd", "eeeee")}
    assert group is not None
    assert [test for test in groups if groups[test] == group] == ["a", "bb", "ccc"]
    assert groups["dddd"] not in (group, None)
    assert groups["eeeee"] is None
    assert review.group_sizes(changed.id, [group]) == {group: 3}
    history = pages.history
    history.reject(pages.of(changed, "bb"), "not here")
    done = review.review_run(changed, "APPROVED", ADA, "new logo", Only(group=group))
    assert done == Reviewed(decided=2, otherwise=1)
    assert pages.reviews(changed) == {
        "a": "APPROVED", "bb": "REJECTED", "ccc": "APPROVED", "dddd": "UNREVIEWED", "eeeee": "UNREVIEWED"
    }  # fmt: skip
    assert pages.of(changed, "a").review_reason == "new logo"
    assert pages.fresh(changed).message == "2 of 5 snapshots changed, 1 rejected."


def test_a_decision_on_many_is_made_at_once_or_not_at_all(
    pages: Pages, changed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = baselines.add, iter(range(10))

    def fails_at_the_third(*arguments: object) -> Baseline:
        assert next(calls) < 2
        return whole(*arguments)

    monkeypatch.setattr(baselines, "add", fails_at_the_third)
    with pytest.raises(AssertionError):
        review.review_run(changed, "APPROVED", ADA)
    assert set(pages.reviews(changed).values()) == {"UNREVIEWED"}
    assert sources("feature") == []


def test_changes_are_chosen_by_id_and_by_test(pages: Pages, changed: Run) -> None:
    done = review.review_run(changed, "APPROVED", ADA, None, Only([pages.of(changed, "dddd").id]))
    assert (done, pages.reviews(changed)["dddd"]) == (Reviewed(decided=1), "APPROVED")
    assert review.review_run(changed, "REJECTED", ADA, None, Only(tests=["c*", "a"])) == Reviewed(decided=2)
    assert pages.reviews(changed)["bb"] == "UNREVIEWED"
    assert review.review_run(changed, "APPROVED", ADA) == Reviewed(decided=1, otherwise=2)
    assert pages.fresh(changed).status == "FAILED"


def test_what_a_run_does_not_have_is_told(pages: Pages, changed: Run) -> None:
    with pytest.raises(NotFound, match="no snapshot"):
        review.review_run(changed, "APPROVED", ADA, None, Only(["0" * 24]))
    with pytest.raises(NotFound, match="no group"):
        review.review_run(changed, "APPROVED", ADA, None, Only(group="0" * 64))
    with pytest.raises(NotFound, match="No test of this run matches zz"):
        review.review_run(changed, "APPROVED", ADA, None, Only(tests=["zz"]))
    with pytest.raises(Conflict, match=r"\(eeeee\) is UNCHANGED"):
        review.review_run(changed, "APPROVED", ADA, None, Only([pages.of(changed, "eeeee").id]))
    assert set(pages.reviews(changed).values()) == {"UNREVIEWED"}
