"""retestr tests itself: one server captures the dashboard of another, logged in. `make e2e` runs this, and check-all."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Server, Site, suite_of

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.skipif(not os.environ.get("RETESTR_LONG"), reason="takes a minute; `make e2e` runs it"),
]
SUITE = Path(__file__).parent / "dashboard.yml"
PASSWORD = "a long password"
TIMES = {
    "created_at": "10:00:00",
    "started_at": "10:00:02",
    "finished_at": "10:00:12",
    "updated_at": "10:00:00",
    "suite_changed_at": "10:00:00",
    "last_used_at": "10:00:01",
    "reviewed_at": "10:00:30",
}
"""What stands still in the server under test: else each page says "just now" and then "12 s ago"."""
SHOWS_THE_NAME = {
    "Projects", "Projects in the dark", "Runs", "Runs on a phone", "No run matches", "Review",
    "The suite of a run", "Baselines", "A baseline's history", "Health", "Suite", "Project settings", "Search",
}  # fmt: skip


def test_the_dashboard_looks_the_same_until_something_changes_and_then_differs_there(
    make_server: Callable[..., Server], site: Site
) -> None:
    watched = make_server(RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"))
    suite = _set_up(watched, site)
    server = make_server(RETESTR_CAPTURE_ALLOW=watched.url.removeprefix("http://"))
    project = server.set_up(suite)
    server.start()
    secret = {"value": PASSWORD, "origins": [watched.url]}
    assert server.api("PUT", f"/projects/{project}/secrets/PASSWORD", json=secret).status_code == 200

    first = _run(server, project)
    assert (first["status"], first["counts"]["new"]) == ("PASSED", first["counts"]["total"]), _told(
        server, first
    )

    again = _run(server, project)
    assert again["counts"]["unchanged"] == again["counts"]["total"], _told(server, again)
    assert again["counts"]["flaky"] == 0, _told(server, again)

    _write(watched, "UPDATE project SET name = 'Coffee House'")
    changed = _run(server, project)
    assert changed["status"] == "FAILED"
    differ = {s["test"] for s in server.snapshots(changed["id"]) if s["status"] == "CHANGED"}
    assert differ == SHOWS_THE_NAME, _told(server, changed)


def _set_up(watched: Server, site: Site) -> str:
    """Runs in every state and a key in the server under test, its times standing still; returns the suite for it."""
    site.page("home.html", "<h1>Tea</h1>")
    site.page("prices.html", "<h1>Prices</h1>")
    project = watched.set_up(suite_of(site.url, "home.html", "prices.html"))
    watched.start()
    watched.finished(watched.trigger(project, commitSha="1" * 40))
    site.page("prices.html", "<h1>Prices</h1><p>Everything costs more.")
    run = watched.finished(
        watched.trigger(project, branch="feature/prices", commitSha="2" * 40, pullRequest=7)
    )
    assert run["status"] == "FAILED", watched.snapshots(run["id"])
    baseline = watched.api("GET", f"/projects/{project}/baselines").json()["items"][0]["id"]
    with sqlite3.connect(watched.folder / "data" / "retestr.db", timeout=20) as database:
        for table, column in _timed(database):
            database.execute(
                f'UPDATE "{table}" SET "{column}" = ? WHERE "{column}" IS NOT NULL',
                (f"2026-01-05 {TIMES[column]}.000000",),
            )
        database.execute("UPDATE snapshot SET seconds = 1.5")
    suite = SUITE.read_text()
    for name, value in (
        ("/BASELINE", f"/{baseline}"), ("/RUN", f"/{run['id']}"), ("/PROJECT", "/shop"), ("BASE", watched.url),
    ):  # fmt: skip
        suite = suite.replace(name, value)
    return suite


def _timed(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """The columns of times that pages show; the log of who did what refuses changes, and is shown without."""
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [
        (table, row[1])
        for table in tables
        if table not in ("audit_event", "login_session", "limit_window")
        for row in database.execute(f'PRAGMA table_info("{table}")')
        if row[1] in TIMES
    ]


def _write(watched: Server, statement: str) -> None:
    with sqlite3.connect(watched.folder / "data" / "retestr.db", timeout=20) as database:
        database.execute(statement)


def _run(server: Server, project: str) -> dict[str, Any]:
    return server.finished(server.trigger(project), 240)


def _told(server: Server, run: dict[str, Any]) -> str:
    """What is worth knowing of a run that is not as it should be."""
    odd = [s for s in server.snapshots(run["id"]) if s["status"] not in ("UNCHANGED", "NEW") or s["flaky"]]
    told = [
        f"{s['test']} · {s['viewport']}: {s['status']} {s.get('sentence') or s.get('error')}" for s in odd
    ]
    return "\n".join([f"{run['status']} {run['counts']}", *told])
