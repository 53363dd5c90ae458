"""Decisions of the review, sent as plain forms: one change, a group, a whole run; undone; with two reviewers."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from server.dashboard import deciding
from server.models import Run, Snapshot
from tests.dashboard.conftest import Site, Visitor


def _form(page: str, id: str) -> tuple[str, dict[str, str]]:
    """A form's address and what its hidden fields send."""
    found = re.search(rf'<form[^>]*action="([^"]+)"[^>]*id="{id}">(.*?)</form>', page, re.S) or re.search(
        rf'<form[^>]*id="{id}"[^>]*action="([^"]+)">(.*?)</form>', page, re.S
    )
    assert found, f"there is no form {id}"
    return found[1], dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', found[2]))


def _press(visitor: Visitor, page: str, id: str, **typed: str) -> str:
    """Sends a form of a page as it stands there; returns the page that follows."""
    address, fields = _form(page, id)
    answer = visitor.client.post(address, data={**fields, **typed})
    assert answer.status_code == 303, answer.text
    return visitor.page(answer.location)


def _reviews(site: Site, run: str) -> list[str]:
    return [snapshot.review for snapshot in site.snapshots(run)]


def test_a_group_is_approved_by_one_press_and_the_next_change_follows(
    site: Site, text_of: Callable[[str], str]
) -> None:
    run = site.changed(4)
    site.group(run, 3)
    visitor = site.visit(site.editor)
    page = _press(visitor, visitor.page(f"/runs/{run}"), "approve")
    assert _reviews(site, run) == ["APPROVED"] * 3 + ["UNREVIEWED"] * 2
    assert "Approved 3 changes. Undo" in text_of(page)
    assert '<h2 id="subject" tabindex="-1">Page003' in page
    page = _press(visitor, page, "approve")
    assert site.get(Run, run).status == "PASSED"
    assert "Nothing is left to review." in text_of(page)


def test_a_group_is_rejected_with_one_reason(site: Site, text_of: Callable[[str], str]) -> None:
    run = site.changed(3)
    site.group(run, 3)
    visitor = site.visit()
    page = _press(visitor, visitor.page(f"/runs/{run}"), "reject", reason="The old logo")
    assert {s.review_reason for s in site.snapshots(run)[:3]} == {"The old logo"}
    assert "Rejected by ada@acme.example just now The old logo" in text_of(page)


def test_members_of_an_opened_group_are_decided_one_by_one(site: Site) -> None:
    run = site.changed(4)
    site.group(run, 3)
    first, second, third, alone, _ = site.snapshots(run)
    visitor = site.visit()
    page = _press(visitor, visitor.page(f"/runs/{run}?snapshot={second.id}&open=1"), "approve")
    assert _reviews(site, run) == ["UNREVIEWED", "APPROVED", "UNREVIEWED", "UNREVIEWED", "UNREVIEWED"]
    assert f'data-snapshot="{third.id}"' in page
    page = _press(visitor, page, "reject")
    assert f'data-snapshot="{first.id}"' in page
    page = _press(visitor, page, "approve")
    assert f'data-snapshot="{alone.id}"' in page


def test_one_decision_is_undone_and_shown_again(site: Site, text_of: Callable[[str], str]) -> None:
    run = site.changed(2)
    first = site.snapshots(run)[0]
    visitor = site.visit()
    page = _press(visitor, visitor.page(f"/runs/{run}"), "approve")
    assert "Approved Page000 · desktop. Undo" in text_of(page)
    page = _press(visitor, page, "undo")
    assert site.get(Snapshot, first.id).review == "UNREVIEWED"
    assert f'data-snapshot="{first.id}"' in page
    assert "Undone. Page000 · desktop is to be reviewed again." in page
    assert 'id="undo"' not in page


def test_undo_is_offered_in_its_own_run_and_for_a_while(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    run, other = site.changed(2), site.changed(1, "feature/y")
    visitor = site.visit()
    assert 'id="undo"' in _press(visitor, visitor.page(f"/runs/{run}"), "approve")
    assert 'id="undo"' in visitor.page(f"/runs/{run}")
    assert 'id="undo"' not in visitor.page(f"/runs/{other}")
    monkeypatch.setattr(deciding, "UNDO_OFFERED", deciding.UNDO_OFFERED * 0)
    assert 'id="undo"' not in visitor.page(f"/runs/{run}")


def test_what_was_decided_at_once_is_undone_at_once_and_nothing_else(site: Site) -> None:
    run = site.changed(4)
    site.group(run, 3)
    alone = site.snapshots(run)[3]
    visitor = site.visit()
    visitor.send(f"/snapshots/{alone.id}/approve", {"seen": "UNREVIEWED"})
    page = _press(visitor, visitor.page(f"/runs/{run}"), "approve")
    assert site.get(Run, run).status == "PASSED"
    _press(visitor, page, "undo")
    assert _reviews(site, run) == ["UNREVIEWED"] * 3 + ["APPROVED", "UNREVIEWED"]
    assert site.get(Run, run).status == "FAILED"


def test_a_whole_run_is_undone_but_for_what_was_decided_before(
    site: Site, text_of: Callable[[str], str]
) -> None:
    run = site.changed(4)
    visitor = site.visit()
    visitor.send(f"/snapshots/{site.snapshots(run)[0].id}/approve", {"seen": "UNREVIEWED"})
    visitor.send(f"/runs/{run}/approve")
    page = _press(visitor, visitor.page(f"/runs/{run}"), "undo")
    assert _reviews(site, run) == ["APPROVED"] + ["UNREVIEWED"] * 4
    assert "Undone. 3 changes to be reviewed again." in text_of(page)


def test_undoing_many_leaves_alone_what_somebody_else_has_decided(site: Site) -> None:
    run = site.changed(2)
    first = site.snapshots(run)[0]
    visitor, other = site.visit(), site.visit(site.editor)
    visitor.send(f"/runs/{run}/approve")
    other.send(f"/snapshots/{first.id}/reject", {"seen": "APPROVED"})
    other.send(f"/snapshots/{first.id}/approve", {"seen": "REJECTED"})
    _press(visitor, visitor.page(f"/runs/{run}"), "undo")
    assert _reviews(site, run) == ["APPROVED", "UNREVIEWED", "UNREVIEWED"]
    assert site.get(Snapshot, first.id).reviewed_by == "ed@acme.example"


def test_approving_all_that_a_filter_shows_says_so_and_leaves_the_rest(
    site: Site, text_of: Callable[[str], str]
) -> None:
    run = site.changed(3)
    visitor = site.visit()
    page = text_of(visitor.page(f"/runs/{run}/approve?name=Page00&viewport=desktop"))
    assert "Approve all 3 changes? Only those that the filter shows: “Page00” in the name, desktop." in page
    visitor.send(f"/runs/{run}/approve", {"name": "Page001"})
    assert _reviews(site, run) == ["UNREVIEWED", "APPROVED", "UNREVIEWED", "UNREVIEWED"]


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_the_second_reviewer_is_told_who_when_and_why(
    site: Site, decision: str, text_of: Callable[[str], str]
) -> None:
    run = site.changed(2)
    snapshot = site.snapshots(run)[0]
    visitor = site.visit()
    seen = visitor.page(f"/runs/{run}")
    other = {"approve": "reject", "reject": "approve"}[decision]
    form = {"reason": "Wrong font", "seen": "UNREVIEWED"}
    site.visit(site.editor).send(f"/snapshots/{snapshot.id}/{other}", form)
    decided = site.get(Snapshot, snapshot.id)
    page = _press(visitor, seen, decision)
    word = {"approve": "approved", "reject": "rejected"}[other]
    told = (
        f"ed@acme.example has {word} this snapshot ({decided.reviewed_at:%Y-%m-%d %H:%M:%S} UTC): Wrong font."
    )
    assert told in text_of(page)
    assert f'data-snapshot="{snapshot.id}"' in page
    assert site.get(Snapshot, snapshot.id).review == decided.review
    page = _press(visitor, page, decision)  # having seen it, one may overrule it
    assert site.get(Snapshot, snapshot.id).reviewed_by == "ada@acme.example"


def test_who_decides_the_same_is_told_and_takes_no_credit(site: Site, text_of: Callable[[str], str]) -> None:
    run = site.changed(2)
    snapshot = site.snapshots(run)[0]
    visitor = site.visit()
    seen = visitor.page(f"/runs/{run}")
    site.visit(site.editor).send(f"/snapshots/{snapshot.id}/approve", {"seen": "UNREVIEWED"})
    page = _press(visitor, seen, "approve")
    assert "Page000 · desktop was decided already: approved by ed@acme.example just now." in text_of(page)
    assert 'id="undo"' not in page
    assert site.get(Snapshot, snapshot.id).reviewed_by == "ed@acme.example"


def test_of_a_group_only_the_undecided_are_decided_and_the_others_told(
    site: Site, text_of: Callable[[str], str]
) -> None:
    run = site.changed(3)
    site.group(run, 3)
    visitor = site.visit()
    seen = visitor.page(f"/runs/{run}")
    form = {"reason": "Too dark", "seen": "UNREVIEWED"}
    site.visit(site.editor).send(f"/snapshots/{site.snapshots(run)[1].id}/reject", form)
    page = _press(visitor, seen, "approve")
    assert _reviews(site, run) == ["APPROVED", "REJECTED", "APPROVED", "UNREVIEWED"]
    text = text_of(page)
    assert "Approved 2 changes." in text
    assert (
        "Decided by somebody else meanwhile, and left as it is: "
        "Page001 · desktop rejected by ed@acme.example just now: Too dark." in text
    )


def test_a_rejected_image_says_so_for_good_and_may_be_approved_after_all(
    site: Site, text_of: Callable[[str], str]
) -> None:
    run = site.changed(1)
    visitor = site.visit()
    page = _press(visitor, visitor.page(f"/runs/{run}"), "reject", reason="The button must stay red")
    for _ in range(2):
        text = text_of(visitor.page(f"/runs/{run}?show=rejected"))
        assert "Rejected by ada@acme.example just now The button must stay red" in text
    _press(visitor, page, "approve")
    assert site.get(Run, run).status == "PASSED"


def test_a_viewer_is_told_who_decides(site: Site, text_of: Callable[[str], str]) -> None:
    page = site.visit(site.viewer).page(f"/runs/{site.changed(1)}")
    assert "An Editor or Admin approves or rejects this change; you are a Viewer." in text_of(page)
    assert not re.search(r'id="(approve|reject|undo|approve-all)"', page)


def test_damaged_forms_are_refused_and_change_nothing(site: Site) -> None:
    run = site.changed(2)
    visitor = site.visit()
    for path, form in (
        ("undo", {"since": "yesterday", "decision": "approve"}),
        ("undo", {"since": "0001-01-01T00:00:00+14:00", "decision": "approve"}),
        ("approve", {"at": "yesterday"}),
    ):
        assert visitor.send(f"/runs/{run}/{path}", form).status_code == 422
    assert "Nothing is left to undo" in visitor.page(
        visitor.send(f"/runs/{run}/undo", {"since": "2020-01-01T00:00:00+00:00"}).location
    )
    assert set(_reviews(site, run)) == {"UNREVIEWED"}
