"""The data folder's disk fills up under a real server, and is emptied again. No mocks: a small tmpfs.

What is answered meanwhile in detail is in tests/server/test_outages.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.e2e.conftest import TERMINAL, Server, Site, suite_of, wait_until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.skipif(
        not os.environ.get("RETESTR_LONG"), reason="takes a minute; RETESTR_LONG=1 (make check-all)"
    ),
]
PAGES = [f"p{i}.html" for i in range(12)]
ANSWERS = {503, 507}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here (it takes root): {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leaves not one byte on a disk; returns the file to remove for room."""
    file = disk / "filler"
    with contextlib.suppress(OSError), file.open("ab", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
    assert os.statvfs(disk).f_bavail == 0
    return file


def test_a_full_disk_is_told_and_runs_go_on_when_there_is_room_again(
    disk: Path, make_server: Callable[..., Server], site: Site
) -> None:
    for name in PAGES:
        site.page(name, name)
    server = make_server(
        RETESTR_DATA=str(disk / "data"), RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://")
    )
    project = server.set_up(suite_of(site.url, *PAGES))
    server.start()
    assert server.finished(server.trigger(project))["status"] == "PASSED"

    for name in PAGES:
        site.page(name, f"<h1>{name}</h1>" * 20)
    site.slow = 1.0
    under_way = server.trigger(project)
    wait_until(lambda: server.run(under_way)["status"] == "RUNNING", "the run has begun", 20)
    filler = fill(disk)
    accepted = trigger_until_refused(server, project, site)
    assert_clear(server, "POST", "/api/runs", json={"projectId": project, "branch": "feature"})
    wait_until(lambda: "No space left" in server.log() or "disk is full" in server.log(), "it is logged", 20)
    time.sleep(3)  # the worker goes on trying
    for path in (f"/api/runs/{under_way}", "/api/runs", "/login", "/healthz"):
        assert_clear(server, "GET", path)

    filler.unlink()
    site.slow = 0.0
    run = server.finished(under_way, 60)
    assert (run["status"], run["counts"]["changed"]) == ("FAILED", len(PAGES)), "no page paid for the disk"
    with ThreadPoolExecutor(16) as pool:  # more than the server has threads and connections
        asked = [pool.submit(server.api, "GET", "/runs") for _ in range(64)]
    assert {answer.result().status_code for answer in asked} == {200}
    assert server.api("POST", "/runs/cancel-all").status_code == 200
    for run_id in accepted:
        assert server.run(run_id)["status"] in TERMINAL
    assert server.finished(server.trigger(project, branch="feature"))["status"] == "FAILED"

    assert server.stop() == 0
    assert_nothing_is_corrupt(disk / "data")


def trigger_until_refused(server: Server, project: str, site: Site) -> list[str]:
    """Triggers large runs until the disk takes no more; returns those that were accepted."""
    suite = suite_of(site.url, *(f"{i}{'x' * 150}" for i in range(400)))
    accepted = []
    for _ in range(40):
        answer = server.api("POST", "/runs", json={"projectId": project, "branch": "big", "suite": suite})
        if answer.status_code != 201:
            assert answer.status_code in ANSWERS, answer.text
            return accepted
        accepted.append(answer.json()["id"])
    pytest.fail("a full disk refused nothing")


def assert_clear(server: Server, method: str, path: str, **kwargs: object) -> None:
    """It works, or says in its own shape that it does not, and when to ask again."""
    headers = {"Authorization": f"Bearer {server.key}"}
    answer = requests.request(method, server.url + path, headers=headers, timeout=70, **kwargs)
    assert "Traceback" not in answer.text
    if answer.status_code >= 400:
        assert answer.status_code in ANSWERS, answer.text
        assert int(answer.headers["Retry-After"]) > 0
        if path.startswith("/api"):
            error = answer.json()["error"]
            assert error["code"] in ("disk-full", "database-away")
            assert "disk" in error["message"] or "doctor" in error["message"]


def assert_nothing_is_corrupt(data: Path) -> None:
    """The database is whole, and every image that it knows is there with the bytes that it is named by."""
    with contextlib.closing(sqlite3.connect(data / "retestr.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        known = {name for (name,) in database.execute("SELECT sha256 FROM image")}
    files = {file.stem: file for file in (data / "images").rglob("*") if file.is_file()}
    assert {file.suffix for file in files.values()} == {".png"}, "something half written was left behind"
    assert known <= set(files)
    for name, file in files.items():
        assert hashlib.sha256(file.read_bytes()).hexdigest() == name
