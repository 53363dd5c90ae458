"""Settings > Workers: which there are, what they are at, and which went silent."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import update

from server.database import clock_s, writing
from server.models import Chunk, WorkerRow
from server.runs import workers
from server.runs.workers import Done
from tests.dashboard.conftest import Site

PAGE = "/settings/workers"


def heard_of(site: Site, owner: str, *, silent_s: float = 0, **done: int) -> None:
    """A worker that was last heard of so long ago, and has done so much."""
    with site.app.app_context():
        workers.beat(owner, Done(**done))
        with writing() as session:
            row = WorkerRow.owner == owner
            session.execute(update(WorkerRow).where(row).values(host=owner, seen_at_s=clock_s() - silent_s))


def rows_of(site: Site, text_of: Callable[[str], str]) -> list[str]:
    page = site.visit().page(PAGE)
    return [text_of(row).strip() for row in re.findall(r"(?s)<tr>(.*?)</tr>", page)[1:]]


def works_on(site: Site, owner: str, run_id: str, lease_s: float = 20) -> None:
    with site.app.app_context(), writing() as session:
        session.execute(
            update(Chunk)
            .where(Chunk.run_id == run_id)
            .values(owner=owner, lease_until_s=clock_s() + lease_s, done=False)
        )


def test_without_any_the_page_says_how_to_start_one(site: Site, text_of: Callable[[str], str]) -> None:
    text = text_of(site.visit().page(PAGE))
    assert "No worker is running" in text
    assert "Runs wait for one" not in text
    site.trigger()
    assert "Runs wait for one" in text_of(site.visit().page(PAGE))


def test_each_is_listed_with_what_it_is_at(site: Site, text_of: Callable[[str], str]) -> None:
    heard_of(site, "one", pages_open=3, captures=1234, errors=2)
    heard_of(site, "two")
    run = site.trigger()
    works_on(site, "one", run)
    busy, idle = rows_of(site, text_of)
    assert re.search(r"one .*3 pages open .*Tea Shop #1 .*1.234 .*2 ", busy.replace("\u202f", " "))
    assert "ready" in idle
    assert "Tea Shop" not in idle
    assert f'href="/runs/{run}"' in site.visit().page(PAGE)


def test_one_that_went_silent_is_shown_as_such_and_works_on_nothing(
    site: Site, text_of: Callable[[str], str]
) -> None:
    heard_of(site, "gone", silent_s=workers.SILENT_S + 40, pages_open=3)
    heard_of(site, "here", silent_s=workers.SILENT_S - 5)
    works_on(site, "gone", site.trigger(), lease_s=-40)
    gone, here = rows_of(site, text_of)
    assert "silent for 1 min" in gone
    assert "Tea Shop" not in gone
    assert "pages open" not in gone
    assert "ready" in here
    text = text_of(site.visit().page(PAGE))
    assert "1 worker of this server at work or ready, 1 silent" in text


def test_one_that_ended_in_order_or_long_ago_is_not_listed(site: Site) -> None:
    heard_of(site, "ended")
    heard_of(site, "old", silent_s=workers.FORGOTTEN_S + 1)
    with site.app.app_context():
        workers.leave("ended")
    assert "No worker is running" in site.visit().page(PAGE)


def test_another_organisation_s_runs_are_not_told(site: Site) -> None:
    heard_of(site, "one", pages_open=1)
    works_on(site, "one", site.trigger())
    page = site.visit(site.stranger).page(PAGE)
    assert "1 page open" in page
    assert "Tea Shop" not in page


def test_it_is_for_admins(site: Site) -> None:
    assert PAGE in site.visit().page("/settings/members")
    for user in (site.editor, site.viewer):
        assert site.visit(user).get(PAGE).status_code == 403
        assert PAGE not in site.visit(user).page("/settings/members")
