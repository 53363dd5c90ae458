"""What holds for every page: who may come in, forms with a token, and a policy that no page breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from server.access import invitations, passwords
from server.access.audit import CLI
from server.config import Settings
from server.database import db
from tests.dashboard.conftest import Site, Visitor

PAGES = [
    "/",
    "/projects/new",
    "/projects/tea-shop",
    "/projects/tea-shop/suite",
    "/projects/tea-shop/baselines",
    "/projects/tea-shop/health",
    "/projects/tea-shop/settings",
    "/projects/tea-shop/delete",
    "/search?q=tea",
    "/baselines/{baseline}",
    "/baselines/{baseline}/restore",
    "/cancel-all",
    "/runs/{run}",
    "/runs/{run}/approve",
    "/runs/{run}/reject",
    "/settings/api-keys",
    "/settings/api-keys?show=all",
    "/settings/audit-logs",
    "/settings/workers",
    "/settings/members",
    "/settings/members/leave",
    "/settings/organization",
    "/settings/account",
]
OPEN_PAGES = ["/login", "/password/forgot", "/password/reset/{reset}", "/invitations/{invitation}"]


@pytest.fixture
def filled(site: Site) -> Iterator[dict[str, str]]:
    run = site.changed()
    with site.app.app_context():
        _, invitation = invitations.invite(site.organization, "grace@x.example", "Editor", CLI)
        reset = passwords.make_reset(site.viewer)
    yield {
        "run": run,
        "snapshot": site.snapshots(run)[0].id,
        "baseline": site.snapshots(run)[0].baseline_id or "",
        "invitation": invitation,
        "reset": reset,
    }


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


def test_a_viewer_sees_no_button_that_would_be_refused(site: Site, filled: dict[str, str]) -> None:
    site.trigger("waiting")
    viewer = site.visit(site.viewer)
    for path in (
        "/",
        "/projects/tea-shop",
        "/projects/tea-shop/suite",
        "/baselines/{baseline}",
        "/runs/{run}",
    ):
        page = viewer.page(path.format(**filled))
        assert re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', page) == ["/logout"]
        assert not re.search(r'href="[^"]*(/projects/new|/cancel-all|/approve|/reject|/restore)', page)


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


@pytest.mark.parametrize("path", OPEN_PAGES)
def test_a_page_for_everybody_keeps_to_the_policy_too(site: Site, filled: dict[str, str], path: str) -> None:
    answer = site.anonymous().get(path.format(**filled))
    assert answer.status_code == 200
    inline = _Inline()
    inline.feed(answer.text)
    assert inline.found == []
    assert answer.headers["Cache-Control"] == "no-store"
    secret = "{" in path
    assert answer.headers["Referrer-Policy"] == ("no-referrer" if secret else "same-origin")


def test_every_link_in_the_settings_leads_to_a_page(site: Site) -> None:
    for user in (site.admin, site.editor, site.viewer):
        visitor = site.visit(user)
        page = visitor.page("/settings/members")
        links = set(re.findall(r'href="(/settings[^"#]*)"', page))
        assert {"/settings/members", "/settings/account"} <= links
        for link in links:
            visitor.page(link)


def test_a_browser_comes_by_https_only_after_it_came_by_https_once(site: Site) -> None:
    for path in ("/login", "/settings/api-keys", "/no/such/page"):
        assert "Strict-Transport-Security" not in site.visit().get(path).headers
        secure = site.visit().get(path, base_url="https://localhost")
        assert secure.headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize(("public_url", "secure"), [("https://retestr.example", True), ("", False)])
def test_the_cookie_is_secure_where_the_dashboard_is(tmp_path: Path, public_url: str, secure: bool) -> None:
    site = Site(Settings(data=tmp_path, public_url=public_url))
    cookie = site.anonymous().get("/login", base_url="https://retestr.example").headers["Set-Cookie"]
    assert ("Secure" in cookie) is secure
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    with site.app.app_context():
        db.engine.dispose()


def test_what_others_own_is_not_there(site: Site, filled: dict[str, str]) -> None:
    stranger = site.visit(site.stranger)
    for path in (
        "/projects/tea-shop",
        "/projects/tea-shop/suite",
        "/projects/tea-shop/baselines",
        "/baselines/{baseline}",
        "/baselines/{baseline}/image.png",
        "/runs/{run}",
        "/projects/tea-shop/rows",
    ):
        assert stranger.get(path.format(**filled)).status_code == 404
    for path in ("/runs/{run}/cancel", "/runs/{run}/approve", "/snapshots/{snapshot}/approve"):
        assert stranger.send(path.format(**filled)).status_code == 404
    assert "Tea Shop" not in stranger.page("/")


def test_what_no_database_takes_is_a_bad_request_and_no_crash(site: Site) -> None:
    visitor = site.visit()
    for path in ("/settings/audit-logs?actor=%00", "/projects/a%00b", "/runs/x?snapshot=%00"):
        assert visitor.get(path).status_code == 400
    for path in ("/search?q=x&q=%00", "/search?q%00=x"):
        assert visitor.get(path).status_code == 400
    for path in ("/settings/account/name", "/settings/account/name?name=x"):
        assert visitor.send(path, {"name": "a\0b"}).status_code == 400


def test_a_query_of_bytes_that_are_no_text_is_read_as_well_as_it_can_be(site: Site) -> None:
    def asked(query: str, visitor: Visitor) -> TestResponse:
        return visitor.client.get("/projects/tea-shop", environ_overrides={"QUERY_STRING": query})

    assert asked("branch=\xff", site.anonymous()).location.startswith("/login?next=")
    assert asked("branch=\xff", site.visit()).status_code == 200
    assert "tée" in asked("branch=t\xc3\xa9e", site.visit()).text  # as WSGI has UTF-8


def test_errors_are_pages_with_a_way_on(site: Site) -> None:
    for visitor in (site.visit(), site.anonymous()):
        answer = visitor.get("/no/such/page")
        assert answer.status_code == 404
        assert 'href="/"' in answer.text
        assert "Nothing is at this address" in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_page_of_another_of_ones_organisations_says_how_to_get_there(site: Site) -> None:
    run = site.run({"Home": "white"})
    site.join(site.organization, site.stranger, "Viewer")
    answer = site.visit(site.stranger).get(f"/runs/{run}")
    assert answer.status_code == 404
    assert "turn to that one in the bar on top" in answer.text
    assert "turn to that one" not in site.visit(site.viewer).get("/runs/nothing").text


def test_static_files_are_kept_as_long_as_they_do_not_change(site: Site) -> None:
    page = site.anonymous().page("/login")
    found = re.search(r'href="(/static/app\.css\?v=\w+)"', page)
    assert found
    for path, kept in ((found[1], "public, max-age=31536000, immutable"), ("/static/stage.js", "no-cache")):
        with site.anonymous().get(path) as answer:
            assert answer.headers["Cache-Control"] == kept
