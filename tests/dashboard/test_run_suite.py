"""/runs/<run_id>/suite: what a run was made from; and the notice of it beside the project's own suite."""

from __future__ import annotations

from collections.abc import Callable

from server.dashboard import suites
from server.database import writing
from server.models import Run
from tests.dashboard.conftest import Site, suite_of
from tests.dashboard.test_weight import MOST_BYTES, _weight

SHA = "abc1234" + "0" * 33
WORKFLOW = "https://github.com/acme/tea/actions/runs/1"


def test_a_suite_that_came_with_a_run_is_shown_with_its_commit(
    site: Site, text_of: Callable[[str], str]
) -> None:
    run = site.trigger(names=["Home", "Journal"], commit_sha=SHA, workflow_url=WORKFLOW)
    visitor = site.visit(site.viewer)
    facts = text_of(visitor.page(f"/runs/{run}"))
    assert "Suite sent with this run , of commit abc12340" in facts
    page = visitor.page(f"/runs/{run}/suite?test=Journal")
    assert "Sent with this run, of commit abc12340 on main" in text_of(page)
    assert f'href="https://github.com/acme/tea/commit/{SHA}"' in page
    assert '<li id="L4" class="at">  - {name: Journal, path: /journal}' in page
    assert "<textarea" not in page


def test_the_projects_own_suite_is_shown_as_it_was_then(site: Site, text_of: Callable[[str], str]) -> None:
    run = site.trigger()
    page = text_of(site.visit().page(f"/runs/{run}/suite"))
    assert "The project’s own suite, as of just now . It has not changed since ." in page
    visitor = site.visit()
    visitor.send("/projects/tea-shop/suite", {"suite": suite_of(["Else"])})
    page = text_of(visitor.page(f"/runs/{run}/suite"))
    assert "It has changed since ." in page
    assert "name: Prices" in page
    assert "Suite the project’s own , as of just now" in text_of(visitor.page(f"/runs/{run}"))


def test_it_is_downloaded_as_it_was_sent(site: Site) -> None:
    run = site.trigger(names=["Home"])
    answer = site.visit(site.viewer).get(f"/runs/{run}/suite.yml")
    assert answer.data.decode() == suite_of(["Home"])
    assert answer.headers["Content-Disposition"] == "attachment; filename=tea-shop-1.yml"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert site.visit(site.stranger).get(f"/runs/{run}/suite.yml").status_code == 404


def test_a_mistake_in_the_suite_leads_to_its_line(site: Site) -> None:
    run = site.run({"Home": "error"})
    with site.app.app_context(), writing():
        site._snapshots(run)[0].error_kind = "suite"
    page = site.visit(site.viewer).page(f"/runs/{run}")
    assert f'<a href="/runs/{run}/suite?test=Home">Show its line in the suite</a>' in page


def test_a_long_suite_comes_in_parts_and_opens_at_the_test(site: Site) -> None:
    last = suites.LINES_PER_PAGE + 5
    run = site.trigger(names=[f"Page{number:04}" for number in range(1, last - 1)])  # behind two lines
    visitor = site.visit()
    first = visitor.page(f"/runs/{run}/suite")
    assert first.count("<li id=") == suites.LINES_PER_PAGE
    assert f'href="/runs/{run}/suite?part=2">Lines after' in first
    path = f"/runs/{run}/suite?test=Page{last - 2}"
    second = visitor.page(path)
    assert f'<ol start="{suites.LINES_PER_PAGE + 1}">' in second
    assert f'<li id="L{last}" class="at">' in second
    assert _weight(site, f"/runs/{run}/suite") < MOST_BYTES


def test_a_run_without_a_kept_suite_offers_none(site: Site, text_of: Callable[[str], str]) -> None:
    run = site.trigger()
    with site.app.app_context(), writing() as session:
        session.get_one(Run, run).suite_sha256 = None
    visitor = site.visit()
    assert f"/runs/{run}/suite" not in visitor.page(f"/runs/{run}")
    answer = visitor.get(f"/runs/{run}/suite")
    assert answer.status_code == 404
    assert "before suites were kept" in text_of(answer.text)


def test_the_editor_says_when_runs_bring_their_own(site: Site, text_of: Callable[[str], str]) -> None:
    path = "/projects/tea-shop/suite"
    visitor = site.visit(site.editor)
    assert 'id="brought"' not in visitor.page(path)
    run = site.trigger(names=["Journal"], commit_sha=SHA)
    page = visitor.page(path)
    assert (
        "Runs on main bring their own suite: the latest is run #1 of commit abc12340 and used the one sent with it"
        in (text_of(page))
    )
    assert f'href="/runs/{run}/suite"' in page
    site.trigger()
    assert 'id="brought"' not in visitor.page(path)
