"""/search: projects, runs and tests by what people know of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.access.audit import CLI
from server.models import Run
from server.runs import trigger
from tests.dashboard.conftest import Site

COMMIT = "deadbeef" * 5


@pytest.mark.parametrize("wanted", ["feature/search", COMMIT, COMMIT[:7], COMMIT[:8].upper(), "#2", "2"])
def test_what_names_one_run_leads_straight_to_it(site: Site, wanted: str) -> None:
    site.trigger()
    run = site.trigger("feature/search", commit_sha=COMMIT)
    answer = site.visit(site.viewer).get("/search", query_string={"q": wanted})
    assert (answer.status_code, answer.location) == (303, f"/runs/{run}")


def test_it_finds_projects_and_tests_by_a_part_of_the_name(site: Site, text_of: Callable[[str], str]) -> None:
    site.run({"Tea list": "white", "Prices": "white"})
    page = site.visit().page("/search?q=tea")
    said = text_of(page)
    assert "Projects Tea Shop" in said
    assert "Tests Tea list" in said
    assert "Prices" not in said
    assert 'value="tea"' in page


def test_the_runs_of_a_branch_are_listed_the_newest_first(site: Site, text_of: Callable[[str], str]) -> None:
    for _ in range(2):
        site.trigger("topic")
    said = text_of(site.visit().page("/search?q=topic"))
    assert said.index("Tea Shop #2") < said.index("Tea Shop #1")


def test_what_others_own_is_not_found(site: Site) -> None:
    with site.app.app_context():
        trigger.trigger(site.theirs, trigger.Trigger("main", COMMIT), CLI, 100)
    visitor = site.visit()
    for wanted in ("Secret plans", COMMIT, "main", "#1"):
        assert "Nothing fits" in visitor.get("/search", query_string={"q": wanted}).text, wanted


@pytest.mark.parametrize("wanted", ["%", "_", "", "   ", "#", "99999999999999", "x" * 3000])
def test_odd_words_find_nothing_and_break_nothing(site: Site, wanted: str) -> None:
    run = site.run({"Home": "white"})
    answer = site.visit().get("/search", query_string={"q": wanted})
    assert answer.status_code == 200
    assert run not in answer.text
    assert site.get(Run, run).number == 1
