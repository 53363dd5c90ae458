"""Pages that pass only when they are captured again: flaky, and told apart from what stays wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.conftest import Server, Site, suite_of

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


def test_what_passes_at_the_second_attempt_is_flaky_and_what_does_not_is_not(
    make_server: Callable[..., Server], site: Site
) -> None:
    server = make_server(RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"))
    pages = ("calm.html", "blinking.html", "busy.html", "changed.html", "broken.html", "gone.html")
    for page in pages:
        site.page(page, f"<h1>{page}</h1>")
    project = server.set_up(suite_of(site.url, *pages))
    server.start()
    assert server.finished(server.trigger(project))["counts"]["flaky"] == 0

    site.first["/blinking.html"] = [(200, "<h1>Something else for once</h1>")]
    site.first["/busy.html"] = [(503, "busy")]
    site.first["/broken.html"] = [(500, "broken"), (500, "broken")]
    site.first["/gone.html"] = [(404, "gone"), (404, "gone")]
    site.page("changed.html", "<h1>A real change</h1>")
    run = server.finished(server.trigger(project))
    found = {s["test"]: s for s in server.snapshots(run["id"])}

    told = {name: (s["status"], s["flaky"], s["attempts"]) for name, s in found.items()}
    assert told == {
        "calm.html": ("UNCHANGED", False, 1),
        "blinking.html": ("UNCHANGED", True, 2),
        "busy.html": ("UNCHANGED", True, 2),
        "changed.html": ("CHANGED", False, 2),
        "broken.html": ("ERROR", False, 2),
        "gone.html": ("ERROR", False, 1),
    }
    assert "Passed at attempt 2" in found["blinking.html"]["sentence"]
    assert "HTTP 503" in found["busy.html"]["sentence"]
    assert found["broken.html"]["error"]["kind"] == found["gone.html"]["error"]["kind"] == "http-status"
    assert run["counts"]["flaky"] == 2
    assert site.first == {
        "/blinking.html": [],
        "/busy.html": [],
        "/broken.html": [],
        "/gone.html": [(404, "gone")],
    }


def test_without_retries_the_first_attempt_counts(make_server: Callable[..., Server], site: Site) -> None:
    server = make_server(RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"))
    site.page("a.html", "<h1>a</h1>")
    project = server.set_up("retries: 0\n" + suite_of(site.url, "a.html"))
    server.start()
    server.finished(server.trigger(project))
    site.first["/a.html"] = [(200, "<h1>Something else for once</h1>")]
    assert server.finished(server.trigger(project))["status"] == "FAILED"
