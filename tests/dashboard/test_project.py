"""/projects/<slug>: the runs of a project, and cancelling all."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from server.access.audit import CLI, Actor
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
    assert "failed 2 of 3 changed #2 feature/x aaaaaaaa PR #17 grace-h with command line" in page
    assert "error 1 of 2 not judged, 1 new #3 broken" in page
    assert "passed 3 new #1 main" in page


def test_it_filters_by_branch_and_status_and_says_when_nothing_matches(site: Site) -> None:
    site.changed()
    visitor = site.visit()
    assert _numbers(visitor.page("/projects/tea-shop?branch=main")) == [1]
    assert _numbers(visitor.page("/projects/tea-shop?status=FAILED")) == [2]
    assert "No run matches" in visitor.page("/projects/tea-shop?branch=nowhere&status=ERROR")


def test_it_filters_by_the_key_that_triggered(site: Site) -> None:
    for name in ("Nightly", "GitHub Actions CI", "Nightly"):
        site.trigger(by=Actor("key", None, name))
    page = site.visit().page("/projects/tea-shop?key=Nightly")
    assert _numbers(page) == [3, 1]
    assert [
        f"<option{s}>{name}</option>" in page
        for s, name in (("", "GitHub Actions CI"), (" selected", "Nightly"))
    ] == [True, True]


def test_it_links_to_the_workflow_and_from_it_to_the_pull_request(site: Site) -> None:
    site.trigger(pull_request=17, workflow_url="https://github.com/acme/shop/actions/runs/99")
    site.trigger(pull_request=18, workflow_url="javascript:alert(1)")
    page = site.visit().page("/projects/tea-shop")
    assert 'href="https://github.com/acme/shop/actions/runs/99"' in page
    assert 'href="https://github.com/acme/shop/pull/17"' in page
    assert "PR #18" in page
    assert "javascript:" not in page


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
    assert len([s for s in seen if s.startswith("SELECT")]) <= 7


def test_a_page_with_unfinished_runs_asks_once_for_all_of_them_and_is_told_what_moved(site: Site) -> None:
    waiting, other, done = site.trigger("a"), site.trigger("b"), site.run({"Home": "white"})
    visitor = site.visit(site.viewer)
    page = visitor.page("/projects/tea-shop")
    (asks,) = re.findall(r'hx-get="(/projects/tea-shop/rows[^"]*)"', page)
    ask = html.unescape(asks)
    assert (waiting in ask, other in ask, done in ask) == (True, True, False)
    assert visitor.get(ask).status_code == 204
    site.visit(site.editor).send(f"/runs/{other}/cancel")
    told = visitor.page(ask)
    assert re.findall(r'<tr id="run-(\w+)" hx-swap-oob="true"', told) == [other]
    (asks,) = re.findall(r'hx-get="(/projects/tea-shop/rows[^"]*)"', told)
    assert (waiting in asks, other in asks) == (True, False)


def test_the_first_page_asks_what_is_new_within_its_filters(site: Site) -> None:
    site.trigger()
    visitor = site.visit(site.viewer)
    page = visitor.page("/projects/tea-shop?branch=main")
    asked = html.unescape(re.search(r'id="news"[^>]*hx-get="([^"]+)"', page)[1])
    assert visitor.get(asked).status_code == 204
    site.trigger("other")
    assert visitor.get(asked).status_code == 204
    site.trigger("main")
    told = visitor.page(asked)
    assert ">1 new run: show</a>" in told
    again = html.unescape(re.search(r'hx-get="([^"]+)"', told)[1])
    assert visitor.get(again).status_code == 204  # told already
    for _ in range(queries.RUNS_PER_PAGE):
        site.trigger("main")
    assert f">{queries.RUNS_PER_PAGE} or more new runs: show</a>" in visitor.page(again)
    older = visitor.page(f"/projects/tea-shop?cursor={'v' * 24}")
    assert 'id="news"' not in older
    assert site.visit(site.stranger).get(asked).status_code == 404


def test_rows_of_others_are_not_told(site: Site) -> None:
    run = site.trigger()
    with site.app.app_context():
        theirs = trigger.trigger(site.theirs, trigger.Trigger("main"), CLI, 100)[0].id
    told = site.visit().page(f"/projects/tea-shop/rows?run={run}.RUNNING.9&run={theirs}.RUNNING.9&run=x")
    assert (f"run-{run}" in told, theirs in told) == (True, False)


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
