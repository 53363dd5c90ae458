"""Every page as axe-core sees it: in both themes, on a wide screen and on a phone; nothing leaves the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from server.access import invitations, keys, passwords
from server.access.audit import CLI
from server.config import Settings
from server.database import db
from server.runs import projects
from tests.dashboard import browsing
from tests.dashboard.browsing import Served
from tests.dashboard.conftest import Site
from tests.dashboard.test_protection import OPEN_PAGES, PAGES

pytestmark = pytest.mark.browser
MORE_PAGES = [
    "/runs/{run}?snapshot={snapshot}",
    "/runs/{waiting}",
    "/runs/{run}/suite?test=Page001",
    "/projects/tea-shop?branch=nowhere",
    "/projects/tea-shop/baselines?branch=nowhere",
    "/projects/empty",
    "/projects/empty/baselines",
    "/projects/empty/health",
    "/projects/empty/suite",
    "/search",
    "/search?q=nothing+of+the+kind",
    "/settings/api-keys/{key}/rotate",
    "/settings/api-keys/{key}/revoke",
    "/settings/members/{member}/remove",
    "/settings/members/{member}/reset-link",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all pages, which only look."""
    site = Site(Settings(data=tmp_path_factory.mktemp("site")))
    yield site
    with site.app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="module")
def server(site: Site, browser: Browser) -> Iterator[Served]:
    with browsing.served(site, browser) as made:
        yield made


@pytest.fixture
def served(server: Served) -> Iterator[Served]:
    """The server with a browser that complains of nothing during one test."""
    yield server
    for context in server.browser.contexts:
        context.close()
    complaints, left = server.complaints[:], server.left[:]
    server.complaints.clear()
    server.left.clear()
    assert (complaints, left) == ([], [])


@pytest.fixture(scope="module")
def names(site: Site) -> Iterator[dict[str, str]]:
    """What the addresses name: things of every kind and state."""
    run = site.changed(
        3, commit_sha="c" * 40, pull_request=17, actor="grace-h", workflow_url="https://ci.example/1"
    )
    site.run({"Page000": "error", "Same": "white"}, "broken")
    waiting = site.trigger("waiting")
    first = site.snapshots(run)[0]
    with site.app.app_context():
        projects.create(site.organization.id, "Empty", CLI)
        _, invitation = invitations.invite(site.organization, "grace@x.example", "Editor", CLI)
        key, _ = keys.create(site.organization.id, "CI", ["run:read", "run:write"], CLI)
        reset = passwords.make_reset(site.viewer)
    yield {
        "run": run, "waiting": waiting, "snapshot": first.id, "baseline": first.baseline_id or "", "key": key.id,
        "invitation": invitation, "reset": reset, "member": site.viewer.id,
    }  # fmt: skip


def _looked_at(page: Page, axe: Callable[[Page], list[str]]) -> list[str]:
    """Findings on a wide screen in both themes, and on a phone, which also must not scroll sideways."""
    found = []
    for theme, width in (("light", 1280), ("dark", 1280), ("dark", 390)):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # else colours are on their way
        page.set_viewport_size({"width": width, "height": 900})
        found += [f"{theme}, {width} px: {one}" for one in axe(page)]
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"{width} px: the page is {wide} px wide")
    return found


@pytest.mark.parametrize("path", [*PAGES, *MORE_PAGES])
def test_axe_finds_nothing(
    served: Served, names: dict[str, str], axe: Callable[[Page], list[str]], path: str
) -> None:
    page = served.page()
    answer = page.goto(path.format(**names))
    assert answer is not None
    assert answer.status == 200
    assert _looked_at(page, axe) == []


@pytest.mark.parametrize("path", OPEN_PAGES)
def test_axe_finds_nothing_where_nobody_is_logged_in(
    served: Served, names: dict[str, str], axe: Callable[[Page], list[str]], path: str
) -> None:
    page = served.page(anonymous=True)
    page.goto(path.format(**names))
    assert _looked_at(page, axe) == []


def test_axe_finds_nothing_on_an_error_page(served: Served, axe: Callable[[Page], list[str]]) -> None:
    page = served.page()
    page.goto("/no/such/page")
    assert _looked_at(page, axe) == []


def test_axe_finds_what_is_wrong(served: Served, axe: Callable[[Page], list[str]]) -> None:
    page = served.page()
    page.goto("/")
    page.evaluate("document.querySelector('h1').insertAdjacentHTML('afterend', '<img src=/static/icon.svg>')")
    assert any(one.startswith("image-alt") for one in axe(page))
