"""`/metrics`: who may read it, and that its numbers are right whichever web process answers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest
import requests
from sqlalchemy import select

from server import create_app
from server.access import limits
from server.access.limits import Limit
from server.config import Settings
from server.database import db
from server.models import WorkerRow
from server.runs import workers
from server.runs.workers import Done
from tests.conftest import World
from tests.e2e.conftest import BIN, Server, Site, make_server, process_ids, site, suite_of, wait_until

__all__ = ["make_server", "site"]
TOKEN = "a token of some length"
SENT = {"Authorization": f"Bearer {TOKEN}"}


def value(text: str, name: str) -> float:
    """The sum of a metric's samples whose name and labels begin so."""
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def test_without_the_setting_there_is_no_such_page(world: World) -> None:
    assert world.app.test_client().get("/metrics", headers=SENT).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}])
def test_it_answers_nobody_without_the_token(settings: Settings, world: World, headers: dict) -> None:
    app = create_app(replace(settings, metrics_token=TOKEN))
    answer = app.test_client().get("/metrics", headers=headers)
    assert (answer.status_code, "RETESTR_METRICS_TOKEN" in answer.text) == (401, True)
    assert TOKEN not in answer.text
    with app.app_context():
        db.engine.dispose()


def test_who_guesses_the_token_is_slowed_down_and_who_has_it_is_not(
    settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OPEN", Limit("open-route", 3, 60))
    app = create_app(replace(settings, metrics_token=TOKEN))
    client = app.test_client()
    assert [client.get("/metrics").status_code for _ in range(5)] == [401] * 3 + [429] * 2
    assert client.get("/metrics", headers=SENT).status_code == 200
    with app.app_context():
        db.engine.dispose()


def test_it_tells_of_work_that_waits_and_of_workers(settings: Settings, world: World) -> None:
    world.trigger()
    workers.beat("one", Done(pages_open=2, captures=7, known_at_once=5))
    workers.beat("one", Done(pages_open=1, captures=8, known_at_once=5, comparisons=3))
    workers.beat("gone", Done(captures=100))
    workers.leave("gone")
    app = create_app(replace(settings, metrics_token=TOKEN))
    text = app.test_client().get("/metrics", headers=SENT).text
    assert value(text, "retestr_work_waiting ") == 1
    assert value(text, 'retestr_runs_unfinished{status="PENDING"}') == 1
    assert value(text, "retestr_workers ") == 1
    assert value(text, "retestr_worker_captures_total{") == 8
    assert value(text, "retestr_worker_pages_open{") == 1
    assert value(text, "retestr_worker_comparisons_total{") == 3
    assert set(re.findall(r"^# HELP (retestr_worker_\w+)", text, re.MULTILINE)) >= {
        "retestr_worker_errors_total", "retestr_worker_browser_starts_total"
    }  # fmt: skip
    with app.app_context():
        db.engine.dispose()


def test_methods_that_callers_make_up_are_not_counted_apart(settings: Settings, world: World) -> None:
    app = create_app(replace(settings, metrics_token=TOKEN))
    client = app.test_client()
    for method in ("BREW", "WHEN", "GET"):
        client.open("/nowhere", method=method)
        client.open("/healthz", method=method)
    text = client.get("/metrics", headers=SENT).text
    assert set(re.findall(r'^retestr_requests_total{method="(\w+)"', text, re.MULTILINE)) == {"none", "GET"}
    with app.app_context():
        db.engine.dispose()


def test_a_worker_that_is_silent_is_not_there_and_is_forgotten(world: World) -> None:
    workers.beat("silent", Done())
    db.session.execute(WorkerRow.__table__.update().values(seen_at_s=WorkerRow.seen_at_s - workers.SILENT_S))
    db.session.commit()
    assert workers.present() == []
    db.session.execute(
        WorkerRow.__table__.update().values(seen_at_s=WorkerRow.seen_at_s - workers.FORGOTTEN_S)
    )
    db.session.commit()
    workers.beat("another", Done())
    assert db.session.scalars(select(WorkerRow.owner)).all() == ["another"]


@pytest.mark.e2e
@pytest.mark.browser
def test_counts_are_right_across_web_processes_that_die_and_workers(
    make_server: Callable[..., Server], site: Site
) -> None:
    site.page("a.html", "<h1>a</h1>")
    server = make_server(
        RETESTR_METRICS_TOKEN=TOKEN,
        RETESTR_WEB_PROCESSES="2",
        RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"),
    )
    project = server.set_up(suite_of(site.url, "a.html"))
    server.start()

    def metrics() -> str:
        return requests.get(f"{server.url}/metrics", headers=SENT, timeout=5).text

    def projects_read() -> float:
        return value(metrics(), 'retestr_requests_total{method="GET",route="api.read_project",status="200"}')

    for _ in range(20):
        assert server.api("GET", f"/projects/{project}").ok
    assert projects_read() == 20
    web = process_ids(server, "gunicorn server.wsgi")
    for pid in sorted(web)[1:]:  # the first is their parent
        os.kill(pid, signal.SIGKILL)
    wait_until(server.answers, "the server answers again", 30)
    for _ in range(20):
        assert server.api("GET", f"/projects/{project}").ok
    assert projects_read() == 40

    for _ in range(2):
        assert server.finished(server.trigger(project))["status"] == "PASSED"
    wait_until(lambda: value(metrics(), "retestr_worker_captures_total{") == 2, "a heartbeat", 15)
    text = metrics()
    assert value(text, "retestr_workers ") == 1
    assert value(text, "retestr_worker_known_at_once_total{") == 1
    assert value(text, "retestr_worker_browser_starts_total{") == 1
    assert value(text, "retestr_worker_errors_total{") == 0
    assert server.key not in text
    doctor = subprocess.run(
        [BIN / "retestr", "doctor"], env=server.environment, capture_output=True, text=True
    )
    assert re.search(r"✔ workers: 1 on \S+ \(0 pages open\)", doctor.stdout), doctor.stdout
    server.stop()
    ended = subprocess.run(
        [BIN / "retestr", "doctor"], env=server.environment, capture_output=True, text=True
    )
    assert "✔ workers: none is running" in ended.stdout
