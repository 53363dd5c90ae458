"""What an authenticated, counted request costs: `GET /api/runs/ID` beside a bare Flask route of the same body.

Both run under gunicorn as `retestr serve` starts it (same configuration, processes and threads). Clients keep their
connections and send the next request when the answer is there. CPU is user + system time of the server's processes
from /proc (Linux), divided by the requests; what PostgreSQL itself uses is told apart. Rounds take turns, so that
whatever else the machine does meets all alike; the table shows medians.

PostgreSQL is measured where `RETESTR_TEST_DATABASE_URL` names one; `scripts/bench auth` sees to that.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import requests

from benchmarks import _server
from benchmarks._goals import told
from benchmarks._processes import cpu_s

PROCESSES, THREADS = 2, 8
GOAL = 3.0


@dataclass
class Contestant:
    """One server under load."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    request: bytes
    database_cpu_s: Callable[[], float] = lambda: 0.0
    counted: Callable[[], int] = lambda: 0  # the key's request count, itself one request
    sent: int = 0
    cpu_us: list[float] = field(default_factory=list)  # per request, one entry a round
    database_us: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)

    def round(self, count: int, connections: int) -> None:
        """Loads the server and notes what it took."""
        cpu, database, start = cpu_s(self.process.pid), self.database_cpu_s(), time.monotonic()
        each = count // connections
        clients = [
            multiprocessing.Process(target=client, args=(self.port, self.request, each))
            for _ in range(connections)
        ]
        for one in clients:
            one.start()
        for one in clients:
            one.join(120)
        assert all(one.exitcode == 0 for one in clients), f"{self.name} answered something else than 200"
        took = time.monotonic() - start
        done = each * connections
        self.sent += done
        self.cpu_us.append((cpu_s(self.process.pid) - cpu) / done * 1e6)
        self.database_us.append((self.database_cpu_s() - database) / done * 1e6)
        self.per_s.append(done / took)


def client(port: int, request: bytes, count: int) -> None:
    """Sends a request over one connection, again and again; anything but 200 is an error."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for _ in range(count):
            connection.sendall(request)
            got = b""
            while b"\r\n\r\n" not in got:
                got += _received(connection)
            head, _, body = got.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            left = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0]) - len(body)
            while left:
                left -= len(_received(connection))


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "the server has closed the connection"
    return data


@contextlib.contextmanager
def retestr(name: str, folder: Path, database_url: str) -> Iterator[Contestant]:
    """`retestr serve` with one run in its database, and a key that may read it."""
    settings = {"web_processes": str(PROCESSES), "web_threads": str(THREADS)}
    with _server.served(name, folder, database_url, **settings) as server:
        run = server.trigger(server.project("Shop"))
        server.ask("POST", f"/api/runs/{run}/cancel")

        def counted() -> int:
            keys = server.ask("GET", "/api/keys")[1]["items"]
            assert isinstance(keys, list)
            return int(keys[0]["requestCount"])

        assert server.process is not None
        yield Contestant(
            name, server.port, server.process, get(f"/api/runs/{run}", server.key), counted=counted
        )


@contextlib.contextmanager
def bare_flask(like: Contestant, folder: Path) -> Iterator[Contestant]:
    """The bare route under the same gunicorn; it answers the run that `like` answers."""
    folder.mkdir()
    path, key = like.request.split()[1].decode(), like.request.rpartition(b"Bearer ")[2].split()[0].decode()
    url, headers = f"http://127.0.0.1:{like.port}{path}", {"Authorization": f"Bearer {key}"}
    run = requests.get(url, headers=headers, timeout=10).text
    port = _server.free_port()
    serve = [
        sys.executable, "-m", "gunicorn", "benchmarks._bare:app", "--config", "python:server.gunicorn_config",
        "--bind", f"127.0.0.1:{port}", "--workers", str(PROCESSES), "--threads", str(THREADS),
    ]  # fmt: skip
    with _server.running(serve, {**os.environ, "BENCH_RUN": run}, folder, port, path) as process:
        yield Contestant("bare Flask", port, process, like.request)


def get(path: str, key: str) -> bytes:
    """A GET request as a client that keeps its connection sends it."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nAccept: */*\r\n\r\n".encode()


def table(contestants: list[Contestant]) -> str:
    """The figures as Markdown; the first contestant is what the others are compared with."""
    first = statistics.median(contestants[0].cpu_us)
    lines = ["| server | CPU per request | × bare | PostgreSQL's own CPU | requests per second |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for one in contestants:
        cpu, database = statistics.median(one.cpu_us), statistics.median(one.database_us)
        lines.append(
            f"| {one.name} | {cpu:.0f} µs | {cpu / first:.2f} | {f'{database:.0f} µs' if database else ''} "
            f"| {statistics.median(one.per_s):.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="few requests: whether it runs, not what it costs"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=4000, help="of each server in each round")
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args()
    if not Path("/proc/self/stat").exists():
        sys.exit("auth: CPU time is read from /proc, which this system does not have.")
    rounds, count = (2, 400) if options.quick else (options.rounds, options.requests)
    url = os.environ.get("RETESTR_TEST_DATABASE_URL")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="retestr-bench.")))
        sqlite = stack.enter_context(retestr("retestr, SQLite", folder / "sqlite", ""))
        contestants = [stack.enter_context(bare_flask(sqlite, folder / "bare")), sqlite]
        if url:
            database, backends_cpu_s = stack.enter_context(_server.postgres(url))
            server = stack.enter_context(retestr("retestr, PostgreSQL", folder / "postgres", database))
            server.database_cpu_s = backends_cpu_s
            contestants.append(server)
        before = [one.counted() for one in contestants]
        for number in range(rounds + 1):
            for one in contestants:
                one.round(count if number else min(count, 1000), options.connections)
        for one, counted in zip(contestants[1:], before[1:], strict=True):
            assert one.counted() == counted + 1 + one.sent, f"{one.name} has not counted every request"
        for one in contestants:  # the first round warmed up
            del one.cpu_us[0], one.database_us[0], one.per_s[0]
        print(f"{table(contestants)}\n")
        bare_us = statistics.median(contestants[0].cpu_us)
        for one in contestants[1:]:
            times = statistics.median(one.cpu_us) / bare_us
            print(told(times <= GOAL, f"{one.name}: {times:.2f} × bare, at most {GOAL:.1f}"))
        if not url:
            print("\nPostgreSQL: not measured, RETESTR_TEST_DATABASE_URL names none.")
        print(
            f"\nMedians of {rounds} rounds of {count} requests over {options.connections} connections; "
            f"{PROCESSES} processes, {THREADS} threads. Every request was counted. Goal: at most {GOAL:.1f} × bare."
        )


if __name__ == "__main__":
    main()
