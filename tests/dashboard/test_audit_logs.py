"""/settings/audit-logs."""

from __future__ import annotations

import re
from collections.abc import Callable

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
    for odd in ("x", "-1", "9" * 30, ""):
        assert visitor.get(f"{PATH}?cursor={odd}").status_code == 200


def test_events_of_others_are_not_there(site: Site) -> None:
    assert "eve@other.example" not in site.visit().page(PATH)
