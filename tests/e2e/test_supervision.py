"""What `retestr serve` promises about its processes: they come back, they end in order, and none is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Server, Site, process_ids, processes_of, suite_of, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.browser]
PAGES = [f"p{i}.html" for i in range(24)]  # three chunks, of which two are worked at once
LONG = bool(os.environ.get("RETESTR_LONG"))


@pytest.fixture
def server(make_server: Callable[..., Server], site: Site) -> Server:
    for name in PAGES:
        site.page(name, name)
    return make_server(RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"))


def rows(server: Server, sql: str) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(f"{server.environment['RETESTR_DATA']}/retestr.db", timeout=30)
    with contextlib.closing(database):
        return database.execute(sql).fetchall()


def begin(server: Server, site: Site, slow: float) -> str:
    """A run whose pages are open, each taking `slow` seconds."""
    site.slow = slow
    project = server.set_up(suite_of(site.url, *PAGES))
    server.start()
    run_id = server.trigger(project)
    wait_until(lambda: process_ids(server, "--type=renderer"), "pages are open", 20)
    return run_id


def test_when_serve_is_killed_its_children_give_back_their_work_and_end_within_5_s(
    server: Server, site: Site
) -> None:
    run_id = begin(server, site, slow=30.0)
    born = processes_of(server)
    assert len(born) > 5
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    wait_until(lambda: not processes_of(server), "all children have ended", 5)
    assert not [line for line in born if alive(int(line.split()[0]), line)], "a browser was left behind"
    assert rows(server, "SELECT owner FROM chunk WHERE owner IS NOT NULL OR deaths > 0") == []
    site.slow = 0.0
    server.start()
    assert server.finished(run_id)["status"] == "PASSED"


def alive(pid: int, line: str) -> bool:
    """Whether a process still runs the same command, whoever its parent is by now."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") == line.partition(" ")[2]
    return False


def test_on_sigterm_what_runs_is_finished_and_after_a_restart_the_rest(server: Server, site: Site) -> None:
    run_id = begin(server, site, slow=2.0)
    claimed = rows(server, "SELECT id FROM chunk WHERE owner IS NOT NULL")
    assert server.stop() == 0
    assert processes_of(server) == []
    assert rows(server, "SELECT id FROM chunk WHERE done") == claimed
    judged = rows(server, "SELECT DISTINCT chunk_id FROM snapshot WHERE finished_at IS NOT NULL")
    assert sorted(judged) == sorted(claimed)
    assert rows(server, "SELECT DISTINCT status FROM snapshot") == [("NEW",), ("PENDING",)]
    site.slow = 0.0
    server.start()
    assert server.finished(run_id)["status"] == "PASSED"


@pytest.mark.skipif(not LONG, reason="takes half a minute; RETESTR_LONG=1 (make check-all)")
def test_on_sigterm_what_20_s_do_not_finish_is_given_back(server: Server, site: Site) -> None:
    begin(server, site, slow=50.0)
    since = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - since < 27
    assert processes_of(server) == []
    assert rows(server, "SELECT DISTINCT owner, deaths, done FROM chunk") == [(None, 0, 0)]
    assert rows(server, "SELECT DISTINCT status FROM snapshot") == [("PENDING",)]


def test_a_web_server_that_died_is_started_again(server: Server) -> None:
    server.start()
    (oldest, *_) = sorted(process_ids(server, "gunicorn"))
    os.kill(oldest, signal.SIGKILL)
    wait_until(lambda: "web ended with code -9" in server.log(), "its death is seen", 5)
    wait_until(server.answers, "the server answers again", 20)
