"""Processes of a real server are killed with -9 at random moments while it is used. Nothing accepted is lost.

One round in `make test`; thirty, with leases that truly run out, in `make faults` and `make check-all`. The seed is
printed; RETESTR_FAULT_SEED plays its kills again.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.exceptions import ChunkedEncodingError  # an answer that ends in its middle

from tests.e2e.conftest import TERMINAL, Server, Site, process_ids, processes_of, suite_of, wait_until

LONG = bool(os.environ.get("RETESTR_LONG"))
ROUNDS = 30 if LONG else 1
SEED = int(os.environ.get("RETESTR_FAULT_SEED") or random.SystemRandom().randrange(2**32))
ENDS_WITHIN_S = 60
PAGES = [f"p{i}.html" for i in range(6)]
PARTS = {"web": "gunicorn", "worker": "server.worker", "browser": "headless", "serve": "", "all": ""}
JUDGED = ("UNCHANGED", "CHANGED", "NEW", "ERROR")


class Clients:
    """Threads that trigger, repeat, poll and cancel, and note whatever they see that may not be."""

    def __init__(self, server: Server, project: str) -> None:
        self.server, self.project = server, project
        self.accepted: dict[str, str] = {}  # idempotency key: the run it made
        self.statuses: dict[str, str] = {}  # run: as last seen
        self.wrong: list[str] = []

    @contextlib.contextmanager
    def busy(self, seed: int) -> Iterator[None]:
        """Meanwhile the server is used; afterwards every request has its answer."""
        self.stopping = threading.Event()
        work = [self.trigger, self.trigger, self.poll, self.cancel]
        threads = [
            threading.Thread(target=self.guarded, args=(each, random.Random(f"{seed} {number}")), daemon=True)
            for number, each in enumerate(work)
        ]
        for thread in threads:
            thread.start()
        yield
        self.stopping.set()
        for thread in threads:
            thread.join(ENDS_WITHIN_S)
            assert not thread.is_alive(), "a request is still not answered"

    def guarded(self, work: Callable[[random.Random], None], rng: random.Random) -> None:
        try:
            while not self.stopping.wait(rng.uniform(0.1, 0.6)):
                work(rng)
        except Exception as error:
            self.wrong.append(f"{work.__name__}: {error!r}")

    def ask(self, method: str, path: str, json: object = None, **extra: str) -> requests.Response:
        """An answer; asked again while there is nobody to give one."""
        while True:
            with contextlib.suppress(requests.ConnectionError, requests.Timeout, ChunkedEncodingError):
                url, headers = f"{self.server.url}/api{path}", {"Authorization": f"Bearer {self.server.key}"}
                answer = requests.request(method, url, headers={**headers, **extra}, json=json, timeout=30)
                if answer.status_code != 503:
                    assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
                    return answer
            time.sleep(0.2)

    def trigger(self, rng: random.Random) -> None:
        """A new run, or one that was triggered before."""
        again = bool(self.accepted) and rng.random() < 0.2
        key = rng.choice(list(self.accepted)) if again else secrets.token_hex(8)
        count = int(key[0], 16) % len(PAGES) + 1  # a key always comes with the same request
        body = {"projectId": self.project, "branch": "main", "tests": PAGES[:count]}
        answer = self.ask("POST", "/runs", body, **{"Idempotency-Key": key})
        run_id = self.accepted.setdefault(key, answer.json()["id"])
        if run_id != answer.json()["id"]:
            self.wrong.append(f"the key {key} made two runs")

    def poll(self, rng: random.Random) -> None:
        for run_id in list(self.accepted.values())[-5:]:
            self.see(run_id, self.ask("GET", f"/runs/{run_id}").json()["status"])

    def cancel(self, rng: random.Random) -> None:
        if self.accepted and rng.random() < 0.5:
            run_id = rng.choice(list(self.accepted.values())[-5:])
            self.see(run_id, self.ask("POST", f"/runs/{run_id}/cancel").json()["status"])
        elif rng.random() < 0.1:
            self.ask("POST", "/runs/cancel-all")

    def see(self, run_id: str, status: str) -> None:
        """Two threads may see a run in either order: only what is over must stay so."""
        before = self.statuses.get(run_id, "PENDING")
        if before in TERMINAL and status != before and status in TERMINAL:
            self.wrong.append(f"run {run_id} was {before} and is {status}")
        if before not in TERMINAL:
            self.statuses[run_id] = status


class Books:
    """What the tables say, read beside the server, and that nothing in them was judged twice."""

    def __init__(self, server: Server) -> None:
        self.file = Path(server.environment["RETESTR_DATA"]) / "retestr.db"
        self.judged: dict[str, tuple[str, str]] = {}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.file, timeout=30)) as database, database:
            return database.execute(sql).fetchall()

    def check(self, clients: Clients) -> None:
        """After a round: every run is over, its counts are its snapshots', and nothing old has changed."""
        assert self.rows("PRAGMA integrity_check") == [("ok",)]
        assert self.rows("PRAGMA foreign_key_check") == []
        now = {
            id: (status, at)
            for id, status, at in self.rows(
                "SELECT id, status, finished_at FROM snapshot WHERE finished_at IS NOT NULL"
            )
        }
        assert {id: now.get(id) for id in self.judged} == self.judged, "a snapshot was judged twice"
        self.judged = now
        assert (
            self.rows("SELECT run_id FROM baseline GROUP BY run_id, test, viewport HAVING count(*) > 1") == []
        )
        assert self.rows("SELECT run_id FROM idempotency GROUP BY run_id HAVING count(*) > 1") == []
        counted = {
            run: counts
            for run, *counts in self.rows(
                "SELECT run_id, count(*), "
                + ", ".join(f"sum(status = '{status}')" for status in JUDGED)
                + " FROM snapshot GROUP BY run_id"
            )
        }
        statuses = {}
        for run, status, done, *told in self.rows(
            "SELECT id, status, done, total, unchanged, changed, new, error FROM run"
        ):
            assert told == counted[run]
            assert done == sum(told[1:])
            assert status == "CANCELLED" or done == told[0]
            statuses[run] = status
        assert set(clients.accepted.values()) <= set(statuses), "an accepted run is gone"
        for run, status in clients.statuses.items():
            assert status not in TERMINAL or statuses[run] == status, (
                f"{run} was {status}, is {statuses[run]}"
            )
        clients.statuses.update(statuses)

    def end_leases_of_the_dead(self) -> None:
        """As if 20 s had passed for the workers that are no more; their process IDs are in the owners' names."""
        for (owner,) in self.rows("SELECT DISTINCT owner FROM chunk WHERE owner IS NOT NULL"):
            if not Path(f"/proc/{owner.split(':')[1]}").exists():
                self.rows(f"UPDATE chunk SET lease_until_s = 1 WHERE owner = '{owner}'")

    def left(self, clients: Clients) -> list[str]:
        """Accepted runs that are not over."""
        if not LONG:
            self.end_leases_of_the_dead()
        over = {run for (run,) in self.rows("SELECT id FROM run WHERE finished_at IS NOT NULL")}
        return sorted(set(clients.accepted.values()) - over)


@pytest.mark.e2e
@pytest.mark.browser
def test_every_accepted_run_ends_once_whatever_is_killed(
    make_server: Callable[..., Server], site: Site
) -> None:
    print(f"RETESTR_FAULT_SEED={SEED}")  # noqa: T201 - whoever watches shall know it
    rng = random.Random(SEED)
    for name in PAGES:
        site.page(name, name)
    site.slow = 0.2
    server = make_server(
        RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"),
        RETESTR_KEY_REQUESTS_PER_MINUTE="1000000",
        RETESTR_PAGE_TIMEOUT_S="20",  # a browser without the process that makes its pages is found out by that
    )
    project = server.set_up(suite_of(site.url, *PAGES))
    server.start()
    clients, books = Clients(server, project), Books(server)
    seen: set[tuple[int, str]] = set()  # every process that this server ever had
    targets = [part for _ in range(ROUNDS) for part in rng.sample(list(PARTS), len(PARTS))][:ROUNDS]
    if not LONG:
        targets[-1] = "all"
    for number, target in enumerate(targets):
        with clients.busy(rng.randrange(2**32)):
            time.sleep(rng.uniform(0.5, 4.0 if LONG else 2.0))
            seen |= living(server)
            kill(server, target, rng)
            time.sleep(rng.uniform(0.0, 1.0))
            if target in ("serve", "all"):
                wait_until(lambda: not processes_of(server), "what was left has ended by itself", 12)
                server.start()
        since = time.monotonic()
        wait_until(
            lambda: not books.left(clients), f"every run is over, {told(number, target)}", ENDS_WITHIN_S
        )
        books.check(clients)
        assert not clients.wrong, f"{clients.wrong}, {told(number, target)}"
        print(f"{number + 1}: {target} killed, all over after {time.monotonic() - since:.1f} s")  # noqa: T201
    assert len(clients.accepted) >= ROUNDS
    seen |= living(server)
    assert server.stop() == 0
    assert processes_of(server) == []
    assert not {(pid, born) for pid, born in seen if started(pid) == born}, "a process outlived its server"


def told(number: int, target: str) -> str:
    return f"round {number + 1} of {ROUNDS}, {target} killed, RETESTR_FAULT_SEED={SEED}"


def kill(server: Server, target: str, rng: random.Random) -> None:
    """Kills one process of a part of the server, or all there are, with -9."""
    assert server.process is not None
    if target == "serve":
        chosen = [server.process.pid]
    elif target == "all":
        chosen = process_ids(server, "")
    else:
        found: list[int] = []
        wait_until(
            lambda: found.extend(process_ids(server, PARTS[target])) or found, f"a {target} process", 40
        )
        chosen = [rng.choice(found)]
    for pid in chosen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if target in ("serve", "all"):
        server.process.wait(10)


def living(server: Server) -> set[tuple[int, str]]:
    """The server's processes with the moments of their birth, for process IDs are used again."""
    return {(pid, born) for pid in process_ids(server, "") if (born := started(pid))}


def started(pid: int) -> str:
    """When a living process was started, in the kernel's ticks; empty for one that is gone."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    return ""
