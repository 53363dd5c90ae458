"""What holds for every page: who may come in, forms with a token, and a policy that no page breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from tests.dashboard.conftest import Site

FORMS = [
    "/projects/new",
    "/projects/tea-shop/suite",
    "/cancel-all",
    "/runs/{run}/cancel",
    "/runs/{run}/approve",
    "/runs/{run}/reject",
    "/snapshots/{snapshot}/approve",
    "/snapshots/{snapshot}/reject",
    "/settings/api-keys",
    "/settings/api-keys/{run}/revoke",
]
PAGES = [
    "/",
    "/projects/new",
    "/projects/tea-shop",
    "/projects/tea-shop/suite",
    "/cancel-all",
    "/runs/{run}",
    "/runs/{run}/approve",
    "/runs/{run}/reject",
    "/settings/api-keys",
    "/settings/audit-logs",
]
EDITORS_ONLY = ["/projects/new", "/cancel-all", "/runs/{run}/approve", "/runs/{run}/reject"]
ADMINS_ONLY = ["/settings/api-keys", "/settings/audit-logs", "/settings/api-keys/{run}/revoke"]


@pytest.fixture
def filled(site: Site) -> Iterator[dict[str, str]]:
    run = site.changed()
    yield {"run": run, "snapshot": site.snapshots(run)[0].id}


class _Inline(HTMLParser):
    """Finds what the content security policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._script = tag == "script"
        for name, value in attrs:
            if name == "style" or name.startswith(("on", "hx-on")) or (value or "").startswith("javascript:"):
                self.found.append(f"<{tag} {name}={value!r}>")
            if name in ("src", "action") and (value or "").startswith(("http", "//")):
                self.found.append(f"<{tag} {name}={value!r}>")
        if tag == "style":
            self.found.append("<style>")

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.found.append(f"<script>{data[:20]}")
        self._script = False


def test_every_form_is_in_the_list_above(site: Site) -> None:
    rules = {
        re.sub(r"<[^>]*decision>", "approve", rule.rule)
        for rule in site.app.url_map.iter_rules()
        if rule.endpoint.startswith("dashboard.") and "POST" in (rule.methods or ())
    }
    known = {
        path.replace("{run}/revoke", "<key_id>/revoke")
        .replace("tea-shop", "<slug>")
        .replace("{run}", "<run_id>")
        .replace("{snapshot}", "<snapshot_id>")
        for path in FORMS
        if not path.endswith("/reject")
    }
    assert rules == known | {"/login", "/logout"}


@pytest.mark.parametrize("path", [*FORMS, "/logout", "/login"])
def test_a_form_without_its_token_does_nothing(site: Site, filled: dict[str, str], path: str) -> None:
    answer = site.visit().client.post(path.format(**filled), data={"name": "x"})
    assert answer.status_code == 400
    assert "This form is no longer valid" in answer.text


@pytest.mark.parametrize("path", FORMS)
def test_a_viewer_changes_nothing(site: Site, filled: dict[str, str], path: str) -> None:
    answer = site.visit(site.viewer).send(path.format(**filled), {"suite": "x", "name": "x"})
    assert answer.status_code == 403
    assert "Your role does not allow this" in answer.text


@pytest.mark.parametrize("path", ADMINS_ONLY)
def test_settings_are_for_admins(site: Site, filled: dict[str, str], path: str) -> None:
    assert site.visit(site.editor).get(path.format(**filled)).status_code == 403


@pytest.mark.parametrize("path", EDITORS_ONLY)
def test_questions_are_for_those_who_may_decide(site: Site, filled: dict[str, str], path: str) -> None:
    assert site.visit(site.viewer).get(path.format(**filled)).status_code == 403
    assert site.visit(site.editor).get(path.format(**filled)).status_code == 200


def test_a_viewer_sees_no_button_that_would_be_refused(site: Site, filled: dict[str, str]) -> None:
    site.trigger("waiting")
    viewer = site.visit(site.viewer)
    for path in ("/", "/projects/tea-shop", "/projects/tea-shop/suite", "/runs/{run}"):
        page = viewer.page(path.format(**filled))
        assert re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', page) == ["/logout"]
        assert "/settings" not in page
        assert not re.search(r'href="[^"]*(/projects/new|/cancel-all|/approve|/reject)', page)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_keeps_to_the_policy(site: Site, filled: dict[str, str], path: str) -> None:
    answer = site.visit().get(path.format(**filled))
    assert answer.status_code == 200
    inline = _Inline()
    inline.feed(answer.text)
    assert inline.found == []
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_for_those_who_are_logged_in(site: Site, filled: dict[str, str], path: str) -> None:
    assert site.anonymous().get(path.format(**filled)).location.startswith("/login")


def test_what_others_own_is_not_there(site: Site, filled: dict[str, str]) -> None:
    stranger = site.visit(site.stranger)
    for path in ("/projects/tea-shop", "/projects/tea-shop/suite", "/runs/{run}", "/runs/{run}/row"):
        assert stranger.get(path.format(**filled)).status_code == 404
    for path in ("/runs/{run}/cancel", "/runs/{run}/approve", "/snapshots/{snapshot}/approve"):
        assert stranger.send(path.format(**filled)).status_code == 404
    assert "Tea Shop" not in stranger.page("/")


def test_errors_are_pages_with_a_way_on(site: Site) -> None:
    for visitor in (site.visit(), site.anonymous()):
        answer = visitor.get("/no/such/page")
        assert answer.status_code == 404
        assert 'href="/"' in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_static_files_are_kept_as_long_as_they_do_not_change(site: Site) -> None:
    page = site.anonymous().page("/login")
    found = re.search(r'href="(/static/app\.css\?v=\w+)"', page)
    assert found
    for path, kept in ((found[1], "public, max-age=31536000, immutable"), ("/static/stage.js", "no-cache")):
        with site.anonymous().get(path) as answer:
            assert answer.headers["Cache-Control"] == kept
