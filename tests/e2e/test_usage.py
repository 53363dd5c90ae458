"""The request count of a key stays right while the server's processes are killed under load.

One kill in `make test`; more of both with RETESTR_LONG=1 (`make check-all`).
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Server, process_ids, suite_of, wait_until

LONG = bool(os.environ.get("RETESTR_LONG"))
THREADS, REQUESTS, KILLS = (8, 2000, 4) if LONG else (8, 600, 1)
WITHIN_S = 60
WEB_PROCESSES = 2


class Load:
    """Threads that ask for the same thing until together they have asked often enough."""

    def __init__(self, server: Server, key: str) -> None:
        self.server, self.key = server, key
        self.asked = iter(range(REQUESTS))
        self.seen: Counter[str] = Counter()  # answered, or broken: the connection was lost before an answer
        self.threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(THREADS)]

    def _ask(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        deadline = time.monotonic() + WITHIN_S
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        while time.monotonic() < deadline and next(self.asked, None) is not None:
            try:
                connection.request("GET", "/api/projects", headers=headers)
                answer = connection.getresponse()
                answer.read()
                self.seen["answered" if answer.status == 200 else f"status {answer.status}"] += 1
            except (OSError, http.client.HTTPException):
                connection.close()
                self.seen["broken"] += 1
                time.sleep(0.05)
        connection.close()

    @property
    def done(self) -> int:
        return sum(self.seen.values())


@pytest.mark.e2e
def test_usage_counts_all_that_was_answered_and_no_more_than_was_asked_while_web_processes_are_killed(
    make_server: Callable[..., Server],
) -> None:
    server = make_server(RETESTR_WEB_PROCESSES=str(WEB_PROCESSES), RETESTR_KEY_REQUESTS_PER_MINUTE="1000000")
    server.set_up(suite_of("http://127.0.0.1:9", "home.html"))
    made = server.command(
        "key", "create", "--organization", "Acme", "--name", "load", "--scope", "project:read"
    )
    server.start("--no-worker")
    load = Load(server, made["key"])
    for thread in load.threads:
        thread.start()
    for kill in range(1, KILLS + 1):
        wait_until(lambda: len(web_processes(server)) == WEB_PROCESSES, "all web processes run", WITHIN_S)
        targets = web_processes(server)
        wait_until(lambda at=kill: load.done >= at * REQUESTS // (KILLS + 1), "the load gets on", WITHIN_S)
        for target in targets:  # all: one alone may have no connection just then
            os.kill(target, signal.SIGKILL)
    for thread in load.threads:
        thread.join(WITHIN_S)
    answered, broken = load.seen.pop("answered"), load.seen.pop("broken", 0)
    assert not load.seen, "something else than 200 was answered"
    assert answered + broken == REQUESTS
    assert broken > 0, "no kill hit a request; the load was over before"
    key = server.api("GET", f"/keys/{made['keyId']}").json()
    assert answered <= key["requestCount"] <= answered + broken


def web_processes(server: Server) -> list[int]:
    """gunicorn's children, which answer requests; the oldest of its processes is their parent."""
    ids = process_ids(server, "gunicorn")
    parents = {}
    for pid in ids:
        with contextlib.suppress(OSError):
            parents[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return sorted(pid for pid, parent in parents.items() if parent in ids)
