"""/settings/audit-logs."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from server.access import audit
from server.access.audit import CLI
from server.dashboard import queries
from server.database import writing
from tests.dashboard.conftest import Site

PATH = "/settings/audit-logs"


def test_it_tells_who_did_what_to_which_thing(site: Site, text_of: Callable[[str], str]) -> None:
    run = site.trigger("feature/x", commit_sha="d" * 40)
    visitor = site.visit()
    visitor.send(f"/runs/{run}/cancel")
    page = visitor.page(PATH)
    text = text_of(page)
    assert "ada@acme.example user · 127.0.0.1 RUN_CANCEL tea-shop #1 run" in text
    assert "command line cli RUN_TRIGGER tea-shop #1 run branch feature/x commitSha dddddddd" in text
    assert text.index("RUN_CANCEL tea-shop") < text.index("RUN_TRIGGER tea-shop")
    assert f'href="/runs/{run}"' in page


def test_it_filters_by_action(site: Site) -> None:
    site.trigger()
    page = site.visit().page(f"{PATH}?action=RUN_TRIGGER")
    assert set(re.findall(r'class="action">(\w+)<', page)) == {"RUN_TRIGGER"}
    assert "No such event" in site.visit().page(f"{PATH}?action=NOTHING")


def test_older_events_are_on_the_next_page_each_once(site: Site) -> None:
    count = queries.EVENTS_PER_PAGE + 5
    with site.app.app_context(), writing():
        for number in range(count):
            audit.record(site.organization.id, CLI, "TEST", ("thing", None, f"thing-{number}-"))
    visitor = site.visit()
    first = visitor.page(f"{PATH}?action=TEST")
    link = re.search(r'rel="next" href="([^"]+)"', first)
    assert link
    second = visitor.page(link[1].replace("&amp;", "&"))
    seen = re.findall(r"thing-(\d+)-", first + second)
    assert [int(n) for n in seen] == list(range(count - 1, -1, -1))
    for odd in ("x", "-1", "9" * 30, "9" * 5000, ""):
        assert visitor.get(f"{PATH}?cursor={odd}").status_code == 200


def test_events_of_others_are_not_there(site: Site) -> None:
    assert "eve@other.example" not in site.visit().page(PATH)


def _days(site: Site) -> None:
    """One event on each of three days."""
    with site.app.app_context(), writing() as session:
        for day in (1, 2, 3):
            audit.record(site.organization.id, CLI, "TEST", ("thing", f"id-{day}", f"thing-{day}"), day=day)
        for event in session.new:  # once written, the database lets nobody change it
            event.at = datetime(2026, 5, event.details["day"], 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "things"),
    [
        ("since=2026-05-02", ["3", "2"]),
        ("until=2026-05-02", ["2", "1"]),
        ("since=2026-05-02&until=2026-05-02", ["2"]),
        ("since=2026-05-02&until=9999-12-31", ["3", "2"]),
        ("target=thing-1", ["1"]),
        ("target=id-3", ["3"]),
        ("actor=command+line", ["3", "2", "1"]),
        ("actor=ada@acme.example", []),
    ],
)
def test_it_filters_by_actor_target_and_whole_days(site: Site, query: str, things: list[str]) -> None:
    _days(site)
    page = site.visit().page(f"{PATH}?action=TEST&{query}")
    assert re.findall(r">thing-(\d)<", page) == things


def test_a_date_that_is_none_is_told(site: Site) -> None:
    answer = site.visit().get(f"{PATH}?since=yesterday")
    assert "is no date; write it as 2026-12-31" in answer.text
    assert site.visit().get(f"{PATH}/export.csv?since=yesterday").status_code == 422


def test_the_next_page_keeps_the_filters(site: Site) -> None:
    with site.app.app_context(), writing():
        for _ in range(queries.EVENTS_PER_PAGE + 1):
            audit.record(site.organization.id, CLI, "TEST", ("thing", None, "thing"))
    page = site.visit().page(f"{PATH}?action=TEST&actor=command+line")
    link = re.search(r'rel="next" href="([^"]+)"', page)
    assert link
    assert "action=TEST" in link[1]
    assert "actor=command+line" in link[1]


def test_the_export_holds_what_the_filters_show_oldest_first(site: Site) -> None:
    _days(site)
    visitor = site.visit()
    page = visitor.page(f"{PATH}?action=TEST&since=2026-05-02")
    links = [html.unescape(link) for link in re.findall(r'href="([^"]+/export\.[^"]+)"', page)]
    assert [link.split("?")[0] for link in links] == [f"{PATH}/export.jsonl", f"{PATH}/export.csv"]
    for link, name in zip(links, ("audit-log.jsonl", "audit-log.csv"), strict=True):
        answer = visitor.get(link)
        if name.endswith("jsonl"):
            told = [json.loads(line)["target"]["name"] for line in answer.text.splitlines()]
        else:
            told = [row["target_name"] for row in csv.DictReader(io.StringIO(answer.text))]
        assert told == ["thing-2", "thing-3"]
        assert answer.headers["Content-Disposition"] == f"attachment; filename={name}"
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_export_keeps_to_the_organisation(site: Site) -> None:
    assert "eve@other.example" not in site.visit().get(f"{PATH}/export.jsonl").text


def test_the_export_knows_the_last_of_all_days(site: Site) -> None:
    _days(site)
    told = site.visit().get(f"{PATH}/export.jsonl?action=TEST&until=9999-12-31").text
    assert len(told.splitlines()) == 3
