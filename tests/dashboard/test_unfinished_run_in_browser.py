"""The review of a run that is going on, in a real Chromium: what a person does there is not undone by what is new."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from server.access.audit import CLI
from server.database import db
from server.models import Run
from server.runs import lifecycle
from server.runs.lifecycle import Outcome
from tests.dashboard.browsing import Served
from tests.dashboard.conftest import Site

pytestmark = pytest.mark.browser
PAGES = 90


@pytest.fixture
def run(site: Site) -> str:
    """A run with one page captured and the others to come."""
    return site.run({f"Page{n:03}": "white" for n in range(PAGES)}, judged=1)


def _capture_next(site: Site, run: str, page: Page) -> None:
    """Has one more page be captured, and waits until the head of the run says so."""
    waiting = [snapshot.id for snapshot in site.snapshots(run) if snapshot.status == "PENDING"]
    with site.app.app_context():
        lifecycle.record("w", waiting[0], Outcome("ERROR", error_kind="timeout", error_message="Too slow."))
    expect(page.locator("#run-head progress")).to_have_attribute("value", str(PAGES - len(waiting) + 1))


def _end(site: Site, run: str, page: Page) -> None:
    with site.app.app_context():
        lifecycle.cancel(db.session.get_one(Run, run), CLI)
    expect(page.locator("#run-head progress")).to_have_count(0)


def test_what_is_typed_stays_while_the_run_goes_on_and_when_it_ends(
    site: Site, served: Served, run: str
) -> None:
    page = served.page()
    page.goto(f"/runs/{run}")
    name, errors = page.get_by_label("Find a page"), page.locator("#show-error")
    _capture_next(site, run, page)
    expect(errors).to_have_text("Errors 1")
    name.focus()
    name.evaluate("field => { field.value = 'page08'; }")  # as typed, and not sent yet
    _capture_next(site, run, page)
    assert name.input_value() == "page08"
    expect(errors).to_have_text("Errors 1")
    _end(site, run, page)
    expect(errors).to_have_text("Errors 2")
    assert name.input_value() == "page08"
    expect(name).to_be_focused()
    page.keyboard.type("7")
    expect(page.locator(".row")).to_have_count(1)


def test_rows_that_were_scrolled_to_stay_while_the_run_goes_on(site: Site, served: Served, run: str) -> None:
    page = served.page()
    page.goto(f"/runs/{run}")
    rows = page.locator(".row")
    for count in (80, PAGES):
        page.locator("#snapshots").evaluate("list => list.scrollTo(0, list.scrollHeight)")
        expect(rows).to_have_count(count)
    _capture_next(site, run, page)
    expect(rows).to_have_count(PAGES)
    assert page.locator("#list-body[data-unfinished]").count() == 1
    _end(site, run, page)
    expect(page.locator("#list-body[data-unfinished]")).to_have_count(0)  # the last list is shown in any case
