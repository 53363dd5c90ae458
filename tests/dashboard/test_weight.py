"""How heavy pages are and how many queries they take, however much there is to show."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest

from server.dashboard import assets, queries
from tests.dashboard.conftest import Site

MOST_BYTES = 150_000
FULL = {
    "commit_sha": "0123456789abcdef" * 2,
    "pull_request": 12345,
    "actor": "a-person-with-a-long-name",
    "workflow_url": "https://github.com/organisation/a-repository-with-a-long-name/actions/runs/12345678901",
    "name": "nightly",
}
"""All that a run may tell of itself, so that a page is as heavy as it gets."""


def _weight(site: Site, path: str) -> int:
    """The bytes of a page with its style sheets and scripts, as they go to a browser."""
    visitor = site.visit()
    page = visitor.page(path)
    files = re.findall(r'<(?:link rel="stylesheet" href|script src)="([^"]+)"', page)
    assert len(files) >= 3
    weight = len(page.encode())
    for file in files:
        with visitor.get(file, headers={"Accept-Encoding": "gzip, br"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            weight += len(answer.data)
    return weight


def _count(site: Site, path: str) -> int:
    visitor = site.visit()
    with site.queries() as seen:
        visitor.page(path)
    return len(seen)


@pytest.fixture
def full(site: Site) -> str:
    """As many runs and pages as are shown at once, and more; returns the ID of a run with all of them changed."""
    run = site.changed(70, "feature/a-branch-with-a-long-name-as-people-give-them")
    for _ in range(queries.RUNS_PER_PAGE):
        site.trigger("feature/a-branch-with-a-long-name-as-people-give-them", **FULL)
    return run


def test_a_full_page_weighs_less_than_150_kb_before_its_images(site: Site, full: str) -> None:
    project = "/projects/tea-shop"
    heavy = {
        path: weight
        for path in (
            "/",
            project,
            f"{project}/baselines",
            f"{project}/health",
            f"/runs/{full}",
            "/settings/audit-logs",
        )
        if (weight := _weight(site, path)) >= MOST_BYTES
    }
    assert heavy == {}


def test_a_packed_file_is_the_same_file(site: Site) -> None:
    visitor = site.visit()
    with (
        visitor.get("/static/app.css") as plain,
        visitor.get("/static/app.css", headers={"Accept-Encoding": "gzip"}) as packed,
    ):
        assert gzip.decompress(packed.data) == plain.data
        assert len(packed.data) < len(plain.data) / 2
        assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
        assert "Content-Encoding" not in plain.headers


def test_a_file_is_packed_once_however_its_address_is_written(site: Site) -> None:
    visitor, seen = site.visit(), set()
    assets._packed.cache_clear()
    for path in ("app.js", "x/../app.js", "././app.js", "vendor/.././app.js"):
        with visitor.get(f"/static/{path}", headers={"Accept-Encoding": "gzip"}) as answer:
            assert (answer.status_code, answer.headers["Content-Encoding"]) == (200, "gzip")
            seen.add(answer.data)
    assert (len(seen), assets._packed.cache_info().currsize) == (1, 1)


def test_the_number_of_queries_is_bounded_whatever_there_is_to_show(site: Site) -> None:
    def pages(run: str, baseline: str | None) -> dict[str, Any]:
        project = "/projects/tea-shop"
        return {
            "projects": "/",
            "runs": project,
            "baselines": f"{project}/baselines",
            "history": f"/baselines/{baseline}",
            "health": f"{project}/health",
            "suite": f"{project}/suite",
            "review": f"/runs/{run}",
            "search": "/search?q=Page",
            "audit logs": "/settings/audit-logs",
            "members": "/settings/members",
            "keys": "/settings/api-keys",
        }

    def counts() -> dict[str, int]:
        run = site.changed(size, "feature/x")
        found = pages(run, site.snapshots(run)[0].baseline_id)
        return {name: _count(site, path) for name, path in found.items()}

    size = 2
    few = counts()
    size = 40
    for _ in range(15):
        site.trigger("busy", **FULL)
    many = counts()
    assert {name: (few[name], many[name]) for name in few if many[name] > few[name]} == {}
    assert max(many.values()) <= 12
