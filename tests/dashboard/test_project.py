"""/projects/<slug>: the runs of a project, and cancelling all."""

from __future__ import annotations

import re
from collections.abc import Callable

from server.access.audit import CLI
from server.dashboard import queries
from server.models import Run
from server.runs import trigger
from tests.dashboard.conftest import Site


def _numbers(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'class="run-number"><a[^>]*>#(\d+)', page)]


def test_each_run_tells_its_verdict_in_words(site: Site, text_of: Callable[[str], str]) -> None:
    site.changed(2, commit_sha="a" * 40, pull_request=17, actor="grace-h")
    site.run({"Home": "error", "Prices": "white"}, "broken")
    page = text_of(site.visit().page("/projects/tea-shop"))
    assert "failed 2 of 3 changed #2 feature/x aaaaaaaa PR 17 grace-h" in page
    assert "error 1 of 2 not judged, 1 new #3 broken" in page
    assert "passed 3 new #1 main" in page


def test_it_filters_by_branch_and_status_and_says_when_nothing_matches(site: Site) -> None:
    site.changed()
    visitor = site.visit()
    assert _numbers(visitor.page("/projects/tea-shop?branch=main")) == [1]
    assert _numbers(visitor.page("/projects/tea-shop?status=FAILED")) == [2]
    assert "No run matches" in visitor.page("/projects/tea-shop?branch=nowhere&status=ERROR")


def test_older_runs_are_on_the_next_page_each_once(site: Site) -> None:
    for _ in range(queries.RUNS_PER_PAGE + 3):
        site.trigger("busy")
    visitor = site.visit()
    first = visitor.page("/projects/tea-shop?branch=busy")
    link = re.search(r'rel="next" href="([^"]+)"', first)
    assert link
    second = visitor.page(link[1].replace("&amp;", "&"))
    assert _numbers(first) + _numbers(second) == list(range(queries.RUNS_PER_PAGE + 3, 0, -1))
    assert 'rel="next"' not in second


def test_the_number_of_queries_does_not_grow_with_the_runs(site: Site) -> None:
    for _ in range(12):
        site.trigger()
    visitor = site.visit()
    with site.queries() as seen:
        visitor.page("/projects/tea-shop")
    assert len([s for s in seen if s.startswith("SELECT")]) <= 6


def test_an_unfinished_row_asks_again_and_a_finished_one_does_not(site: Site) -> None:
    waiting, done = site.trigger("waiting"), site.run({"Home": "white"})
    visitor = site.visit()
    row = visitor.page(f"/runs/{waiting}/row")
    assert 'hx-trigger="every 2s"' in row
    assert row.strip().startswith("<tr")
    assert "hx-" not in visitor.page(f"/runs/{done}/row")


def test_without_runs_it_shows_how_to_trigger_one(site: Site, text_of: Callable[[str], str]) -> None:
    page = text_of(site.visit().page("/projects/tea-shop"))
    assert "uses: retestr/action@v1" in page
    assert "curl -X POST http://localhost/api/runs" in page
    assert '"projectId": "tea-shop"' in page


def test_cancelling_all_asks_with_the_number_and_then_cancels_ours_only(
    site: Site, text_of: Callable[[str], str]
) -> None:
    mine = [site.trigger("a"), site.trigger("b")]
    with site.app.app_context():
        theirs = trigger.trigger(site.theirs, trigger.Trigger("main"), CLI, 100)[0].id
    visitor = site.visit(site.editor)
    assert "Cancel all runs" in visitor.page("/projects/tea-shop")
    assert "Cancel all 2 unfinished runs?" in text_of(visitor.page("/cancel-all?project=tea-shop"))
    answer = visitor.send("/cancel-all", {"project": "tea-shop"})
    assert answer.location == "/projects/tea-shop"
    assert [site.get(Run, run).status for run in [*mine, theirs]] == ["CANCELLED", "CANCELLED", "PENDING"]
    page = visitor.page("/projects/tea-shop")
    assert "2 runs are cancelled." in page
    assert "Cancel all runs" not in page
