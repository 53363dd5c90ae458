"""The main job with real processes: server, worker, Chromium, the Action's entry point. No mocks."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.e2e.conftest import ROOT, Server, Site, process_ids, run_action, suite_of, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.browser]
Make = Callable[..., Server]


@pytest.fixture
def server(make_server: Make, site: Site) -> Server:
    return make_server(RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"))


def test_the_demo_ends_as_it_tells() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/demo.py", "--detach"], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exactly pricing.html changed" in done.stdout
    assert "/runs/" in done.stdout


def test_the_action_makes_baselines_finds_the_changed_page_and_passes_once_it_is_approved(
    server: Server, site: Site, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        site.page(f"{name}.html", f"<h1>Page {name}</h1>")
    project = server.set_up(suite_of(site.url, "a.html", "b.html", "c.html"))
    server.start()

    code, log, summary = run_action(server, project, tmp_path / "first")
    assert code == 0, log
    assert "3 new" in summary

    site.page("b.html", "<h1>Page b, changed</h1>")
    code, log, summary = run_action(server, project, tmp_path / "second")
    assert code == 1, log
    assert "b.html" in summary
    assert "a.html" not in summary
    assert server.key not in log.replace(f"::add-mask::{server.key}", "")

    run = server.api("GET", "/runs?limit=1").json()["items"][0]
    (changed,) = [s for s in server.snapshots(run["id"]) if s["status"] == "CHANGED"]
    images = {kind: server.api("GET", path.removeprefix("/api")) for kind, path in changed["images"].items()}
    assert {kind: image.content[:8] for kind, image in images.items()} == dict.fromkeys(
        ("actual", "baseline", "difference"), b"\x89PNG\r\n\x1a\n"
    )
    assert len({hashlib.sha256(image.content).digest() for image in images.values()}) == 3

    assert server.api("POST", f"/snapshots/{changed['id']}/approve").json()["review"] == "APPROVED"
    assert server.run(run["id"])["status"] == "PASSED"
    code, log, _ = run_action(server, project, tmp_path / "third")
    assert code == 0, log


def test_the_curl_lines_of_the_contract_work_as_they_stand(server: Server, site: Site) -> None:
    site.page("a.html", "a")
    project = server.set_up(suite_of(site.url, "a.html"))
    server.start("--no-worker")
    trigger = f"""curl -sS -X POST {server.url}/api/runs \\
      -H "Authorization: Bearer {server.key}" \\
      -H "Content-Type: application/json" \\
      -d '{{"projectId": "{project}", "branch": "main", "commitSha": "OPTIONAL_COMMIT_SHA"}}'"""
    cancel = f'curl -sS -X POST {server.url}/api/runs/cancel-all -H "Authorization: Bearer {server.key}"'
    triggered = subprocess.run(["bash", "-c", trigger], capture_output=True, text=True)
    assert '"status":"PENDING"' in triggered.stdout.replace(": ", ":"), triggered
    cancelled = subprocess.run(["bash", "-c", cancel], capture_output=True, text=True)
    assert cancelled.stdout.strip().replace(" ", "") == '{"cancelled":1}'


def test_a_site_that_is_down_ends_the_run_in_error_with_page_address_and_reason(
    server: Server, site: Site, tmp_path: Path
) -> None:
    site.page("a.html", "a")
    project = server.set_up(suite_of(site.url, "a.html", "missing.html"))
    site.server.shutdown()
    site.server.server_close()
    server.start()
    code, log, summary = run_action(server, project, tmp_path / "action")
    assert code == 3, log
    assert "a.html" in summary
    (first, second) = server.snapshots(server.api("GET", "/runs").json()["items"][0]["id"])
    assert first["error"]["kind"] == second["error"]["kind"] == "unreachable"
    assert f"{site.url}/a.html" in first["error"]["message"]
    assert "refused" in first["error"]["message"].lower()


def test_a_page_that_answers_404_is_an_error_and_never_a_baseline(server: Server, site: Site) -> None:
    site.page("a.html", "a")
    project = server.set_up(suite_of(site.url, "a.html", "missing.html"))
    server.start()
    run = server.finished(server.trigger(project))
    assert (run["status"], run["counts"]["new"], run["counts"]["error"]) == ("ERROR", 1, 1)
    (error,) = [s["error"] for s in server.snapshots(run["id"]) if s["status"] == "ERROR"]
    assert error["kind"] == "http-status"
    assert "404" in error["message"]
    assert len(server.api("GET", f"/projects/{project}/baselines").json()["items"]) == 1


def test_a_page_that_takes_too_long_is_an_error_and_the_others_are_unharmed(
    make_server: Make, site: Site
) -> None:
    site.page("a.html", "a")
    slow = socket.create_server(("127.0.0.1", 0))  # accepts and never answers
    allow = f"{site.url.removeprefix('http://')},127.0.0.1:{slow.getsockname()[1]}"
    server = make_server(RETESTR_CAPTURE_ALLOW=allow, RETESTR_PAGE_TIMEOUT_S="3")
    suite = (
        suite_of(site.url, "a.html")
        + f"  - {{name: slow, path: 'http://127.0.0.1:{slow.getsockname()[1]}/'}}\n"
    )
    project = server.set_up(suite)
    server.start()
    run = server.finished(server.trigger(project), 30)
    slow.close()
    assert (run["status"], run["counts"]["new"], run["counts"]["error"]) == ("ERROR", 1, 1)
    (error,) = [s["error"] for s in server.snapshots(run["id"]) if s["status"] == "ERROR"]
    assert error["kind"] == "timeout"


def test_a_private_address_is_refused_and_the_setting_named(make_server: Make, site: Site) -> None:
    site.page("a.html", "a")
    server = make_server()
    project = server.set_up(suite_of(site.url, "a.html"))
    server.start()
    run = server.finished(server.trigger(project))
    (snapshot,) = server.snapshots(run["id"])
    assert (run["status"], snapshot["error"]["kind"]) == ("ERROR", "refused")
    assert "RETESTR_CAPTURE_ALLOW" in snapshot["error"]["message"]


def test_without_a_browser_serve_the_run_and_the_doctor_say_what_to_install(
    make_server: Make, site: Site
) -> None:
    server = make_server(RETESTR_BROWSER="/nowhere/chromium")
    project = server.set_up(suite_of(site.url, "a.html"))
    server.start()
    run = server.finished(server.trigger(project))
    (snapshot,) = server.snapshots(run["id"])
    doctor = subprocess.run(
        [ROOT / ".venv/bin/retestr", "doctor"], env=server.environment, capture_output=True, text=True
    )
    assert (run["status"], doctor.returncode) == ("ERROR", 1)
    for told in (snapshot["error"]["message"], server.log(), doctor.stdout):
        assert "install" in told, told


def test_the_doctor_finds_everything_well(server: Server) -> None:
    done = subprocess.run(
        [ROOT / ".venv/bin/retestr", "doctor"], env=server.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert [line.split()[1] for line in done.stdout.splitlines()] == [
        "browser:", "database:", "store:", "queue:", "workers:", "clock:",
    ]  # fmt: skip


def test_fifty_triggers_at_once_with_one_idempotency_key_make_one_run(server: Server, site: Site) -> None:
    project = server.set_up(suite_of(site.url, "a.html"))
    server.start("--no-worker")

    def trigger(_: int) -> tuple[int, str, bool]:
        headers = {"Authorization": f"Bearer {server.key}", "Idempotency-Key": "the same"}
        body = {"projectId": project, "branch": "main"}
        answer = requests.post(f"{server.url}/api/runs", json=body, headers=headers, timeout=60)
        return answer.status_code, answer.json()["id"], "Idempotent-Replayed" in answer.headers

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(trigger, range(50)))
    assert len({(status, run_id) for status, run_id, _ in answers}) == 1
    assert sorted(replayed for *_, replayed in answers) == [False] + [True] * 49
    assert len(server.api("GET", "/runs").json()["items"]) == 1


def test_a_cancelled_run_stops_within_two_seconds_and_leaves_no_page_open(server: Server, site: Site) -> None:
    pages = [f"p{i}.html" for i in range(16)]
    for name in pages:
        site.page(name, name)
    site.slow = 20.0
    project = server.set_up(suite_of(site.url, *pages))
    server.start()
    run_id = server.trigger(project)
    wait_until(lambda: process_ids(server, "--type=renderer"), "pages are open", 20)
    assert server.api("POST", f"/runs/{run_id}/cancel").json()["status"] == "CANCELLED"
    wait_until(lambda: not process_ids(server, "--type=renderer"), "all pages are closed", 2)
    site.slow = 0.0
    again = server.finished(server.trigger(project, tests=["p0.html"]))
    assert again["status"] == "PASSED"
    assert server.run(run_id)["status"] == "CANCELLED"


def test_a_worker_killed_in_the_middle_is_started_again_and_the_run_ends(server: Server, site: Site) -> None:
    pages = [f"p{i}.html" for i in range(6)]
    for name in pages:
        site.page(name, name)
    site.slow = 1.0
    project = server.set_up(suite_of(site.url, *pages))
    server.start()
    run_id = server.trigger(project)
    wait_until(lambda: server.run(run_id)["status"] == "RUNNING", "the run has begun", 20)
    time.sleep(1)
    (worker,) = process_ids(server, "server.worker")
    os.kill(worker, signal.SIGKILL)
    run = server.finished(run_id, 90)
    assert (run["status"], run["counts"]["new"]) == ("PASSED", 6)
    assert "worker ended with code -9" in server.log()


def test_a_port_that_is_taken_is_told_in_one_line(server: Server, site: Site) -> None:
    taken = site.url.rpartition(":")[2]
    done = subprocess.run(
        [ROOT / ".venv/bin/retestr", "serve", "--port", taken],
        env=server.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{taken}" in done.stderr
    assert "Traceback" not in done.stderr
