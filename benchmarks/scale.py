"""What more machines bring: snapshots a second with 1, 2 and 4 workers, claims, and requests with 1 and 2 web processes.

- *Snapshots*: real workers on one PostgreSQL, whose browser is replaced by one that waits: a page costs a second and no
  CPU, eight at a time, and looks as its baseline does. So two cores can show what the database and the bookkeeping
  allow. Efficiency is the rate for each worker against that of one alone. Then pages that cost nothing: as many as the
  database and the workers' own bookkeeping take, judging included.
- *Claims*: processes that claim a chunk and give it back, over and over: what one database can hand out.
- *Requests*: `GET /api/runs/ID` with a key, each counted, from four callers on the same machine, which need CPU, too.

Needs PostgreSQL: `scripts/bench scale`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from PIL import Image as Picture

from benchmarks import _server
from benchmarks._goals import told
from benchmarks._server import Server

PAGE_S, PAGES_AT_ONCE = 1.0, 8
SNAPSHOTS_OF_A_WORKER = 120
SNAPSHOTS_FOR_NOTHING = 2000
LEAST_EFFICIENCY = 0.9
CALLERS = 4


# --- workers whose pages only wait ----------------------------------------------------------------------


class Waiting:
    """A browser whose every page takes as long and looks the same."""

    alive = True

    def __init__(self, page_s: float) -> None:
        from server.vision.capture import Identity

        file = io.BytesIO()
        Picture.new("RGB", (32, 32), "white").save(file, "PNG")
        self.png = file.getvalue()
        self.page_s = page_s
        self.identity = Identity("waiting", "1", "none", "none", "none")
        self.turns = asyncio.Semaphore(PAGES_AT_ONCE)

    async def __aenter__(self) -> Waiting:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    @contextlib.asynccontextmanager
    async def session(self, run: object, secrets: Any) -> AsyncIterator[Waiting]:
        self.secrets = secrets
        yield self

    async def capture(self, page: Any, known: frozenset[str]) -> Any:
        from server.images import name_of
        from server.vision.page import Image

        async with self.turns:
            await asyncio.sleep(self.page_s)
        return Image(self.png, name_of(self.png), 32, 32, (), 1, (), None, 200, self.page_s)


async def work(page_s: float) -> None:
    """A worker process of this benchmark."""
    from server import create_app
    from server.runs.work import Worker

    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await Worker(create_app(), f"bench:{os.getpid()}", lambda: Waiting(page_s)).run(stopping)  # type: ignore[arg-type,return-value]


@contextlib.contextmanager
def workers(server: Server, count: int, page_s: float) -> Iterator[None]:
    """So many of them, beside a server."""
    command = [sys.executable, "-m", "benchmarks.scale", "--work", "--page-s", str(page_s)]
    started = [subprocess.Popen(command, env=server.environment) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(60)


def snapshots(server: Server, project: str, count: int, number: int, page_s: float = PAGE_S) -> float:
    """Snapshots a second of one run with so many workers, from the first page to the verdict."""
    suite = "baseUrl: http://127.0.0.1:9\ntests:\n"
    suite += "".join(f"  - {{name: Page {page}, path: /}}\n" for page in range(number))
    took = 0.0
    with workers(server, count, page_s):
        for _ in range(2):  # the first makes the baselines, and starts the workers
            run_id = server.trigger(project, suite=suite)
            while server.ask("GET", f"/api/runs/{run_id}")[1]["finishedAt"] is None:
                time.sleep(0.2)
            run = server.ask("GET", f"/api/runs/{run_id}")[1]
            assert run["status"] == "PASSED", run
            took = _seconds(server, run_id)
    return number / took


def _seconds(server: Server, run_id: str) -> float:
    times = server.ask("GET", f"/api/runs/{run_id}")[1]
    begun, ended = (_parsed(str(times[name])) for name in ("startedAt", "finishedAt"))
    return ended - begun


def _parsed(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


# --- claims and requests --------------------------------------------------------------------------------


def claims_of(environment: dict[str, str], seconds: float, done: Any) -> None:
    """Claims a chunk and gives it back until the time is over; adds how often to `done`."""
    os.environ.update(environment)
    from server import create_app
    from server.database import db
    from server.runs import claims

    number, owner = 0, f"claims:{os.getpid()}"
    with create_app().app_context():
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            claim = claims.claim(owner)
            if claim is not None:
                claims.finish(owner, claim)
                number += 1
            db.session.remove()
    with done.get_lock():
        done.value += number


def calls_of(port: int, path: str, key: str, seconds: float, done: Any) -> None:
    """Asks for a run on one connection until the time is over; adds how often to `done`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    until, number = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        number += 1
    with done.get_lock():
        done.value += number


def rate(target: Any, arguments: tuple[Any, ...], processes: int, seconds: float) -> float:
    """How often a second so many processes together do something."""
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    running = [context.Process(target=target, args=(*arguments, seconds, done)) for _ in range(processes)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    return float(done.value) / seconds


# --- telling --------------------------------------------------------------------------------------------


def main() -> None:
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="shorter: for noisy machines")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--page-s", type=float, default=PAGE_S, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        asyncio.run(work(options.page_s))
        return
    found = dict(_server.databases("postgres"))
    if not found:
        sys.exit("scale: measures PostgreSQL; run it as `scripts/bench scale`.")
    seconds = 3.0 if options.quick else 10.0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with found["PostgreSQL"]() as url, _server.served("PostgreSQL", folder / "a", url) as server:
            _tell_workers(server)
            _tell_bookkeeping(server, SNAPSHOTS_FOR_NOTHING // (4 if options.quick else 1))
            _tell_claims(server, seconds)
            about = _server.versions(server.engine)
        rows = []
        for processes in (1, 2):
            settings = {"web_processes": str(processes)}
            with (
                found["PostgreSQL"]() as url,
                _server.served("PostgreSQL", folder / f"w{processes}", url, **settings) as server,
            ):
                run_id = server.trigger(server.project("Asked"))
                asked = (server.port, f"/api/runs/{run_id}", server.key)
                rows.append([str(processes), f"{rate(calls_of, asked, CALLERS, seconds):.0f}"])
        print("\n" + _server.table(["web processes", "requests a second"], rows))
    print(f"\n{about}")


def _tell_workers(server: Server) -> None:
    project = server.project("Waiting")
    rows, one = [], 0.0
    for count in (1, 2, 4):
        found = snapshots(server, project, count, SNAPSHOTS_OF_A_WORKER * count)
        one = one or found
        rows.append([str(count), f"{found:.2f}", f"{found / count / one:.2f}"])
    print(_server.table(["workers", "snapshots a second", "efficiency"], rows))
    worst = min(float(row[2]) for row in rows)
    print("\n" + told(worst >= LEAST_EFFICIENCY, f"efficiency {worst:.2f}, at least {LEAST_EFFICIENCY}"))


def _tell_bookkeeping(server: Server, number: int) -> None:
    project = server.project("Costs nothing")
    rows = [[str(count), f"{snapshots(server, project, count, number, page_s=0):.0f}"] for count in (1, 2, 4)]
    print("\n" + _server.table(["workers, pages that cost nothing", "snapshots a second"], rows))


def _tell_claims(server: Server, seconds: float) -> None:
    project = server.project("Claimed", _server.SUITE)
    suite = "baseUrl: http://127.0.0.1:9\ntests:\n"
    suite += "".join(f"  - {{name: Page {page}, path: /}}\n" for page in range(1000))
    for _ in range(5):
        server.trigger(project, suite=suite)
    rows = [
        [str(processes), f"{rate(claims_of, (server.environment,), processes, seconds):.0f}"]
        for processes in (1, 4)
    ]
    print("\n" + _server.table(["claiming processes", "claims a second"], rows))


if __name__ == "__main__":
    main()
