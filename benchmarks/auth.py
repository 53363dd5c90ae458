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
import http.client
import json
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

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PROCESSES, THREADS = 2, 8
TICKS = os.sysconf("SC_CLK_TCK")
GOAL = 3.0
SUITE = "baseUrl: http://127.0.0.1:9\ntests:\n  - {name: Home, path: /}\n"


def bare() -> Flask:
    """The peer: one route that answers a run as JSON, and nothing else (gunicorn calls this)."""
    app = Flask("bare")
    run = json.loads(os.environ["BENCH_RUN"])

    @app.get("/api/runs/<run_id>")
    def read_run(run_id: str) -> ResponseReturnValue:
        return jsonify(run)

    return app


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

    def round(self, requests: int, connections: int) -> None:
        """Loads the server and notes what it took."""
        cpu, database, start = cpu_s(self.process.pid), self.database_cpu_s(), time.monotonic()
        each = requests // connections
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


def cpu_s(root: int) -> float:
    """User and system time of a process and its descendants, dead ones included."""
    stats = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stats[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
    tree = {root}
    while more := {pid for pid, stat in stats.items() if int(stat[1]) in tree and pid not in tree}:
        tree |= more
    return sum(sum(map(int, stats[pid][11:15])) for pid in tree if pid in stats) / TICKS


@contextlib.contextmanager
def retestr(name: str, folder: Path, database_url: str) -> Iterator[Contestant]:
    """`retestr serve` with one run in its database, and a key that may read it."""
    folder.mkdir()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("RETESTR_")},
        "RETESTR_DATA": str(folder),
        "RETESTR_DATABASE_URL": database_url,
        "RETESTR_WEB_PROCESSES": str(PROCESSES),
        "RETESTR_WEB_THREADS": str(THREADS),
        "RETESTR_KEY_REQUESTS_PER_MINUTE": "1000000000",
    }

    def command(*arguments: str) -> dict[str, str]:
        done = subprocess.run(
            [BIN / "retestr", *arguments, "--json"], env=environment, check=True, capture_output=True
        )
        return json.loads(done.stdout)

    (folder / "suite.yml").write_text(SUITE)
    command("init", "--organization", "Bench", "--email", "ada@example.com", "--password", "a long password")
    project = command(
        "project", "create", "--organization", "Bench", "--name", "Shop", "--suite", f"{folder}/suite.yml"
    )["projectId"]
    made = command("key", "create", "--organization", "Bench", "--name", "bench", "--scope", "admin:write")
    key = made["key"]
    port = free_port()
    serve = [str(BIN / "retestr"), "serve", "--port", str(port), "--no-worker"]
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with running(serve, environment, folder, port) as process:
        run = ask(port, "POST", "/api/runs", headers, json.dumps({"projectId": project, "branch": "main"}))[
            "id"
        ]
        ask(port, "POST", f"/api/runs/{run}/cancel", headers)

        def counted() -> int:
            return int(ask(port, "GET", f"/api/keys/{made['keyId']}", headers)["requestCount"])

        yield Contestant(name, port, process, get(f"/api/runs/{run}", key), counted=counted)


@contextlib.contextmanager
def bare_flask(like: Contestant, folder: Path) -> Iterator[Contestant]:
    """The bare route under the same gunicorn; it answers the run that `like` answers."""
    folder.mkdir()
    path, key = like.request.split()[1].decode(), like.request.rpartition(b"Bearer ")[2].split()[0].decode()
    run = ask(like.port, "GET", path, {"Authorization": f"Bearer {key}"})
    port = free_port()
    serve = [
        sys.executable, "-m", "gunicorn", "benchmarks.auth:bare()", "--config", "python:server.gunicorn_config",
        "--bind", f"127.0.0.1:{port}", "--workers", str(PROCESSES), "--threads", str(THREADS),
    ]  # fmt: skip
    with running(serve, {**os.environ, "BENCH_RUN": json.dumps(run)}, folder, port, path) as process:
        yield Contestant("bare Flask", port, process, like.request)


@contextlib.contextmanager
def running(
    command: list[str], environment: dict[str, str], folder: Path, port: int, path: str = "/healthz"
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, once it answers."""
    with (folder / "log").open("ab") as log:
        environment = {
            **environment,
            "GUNICORN_CMD_ARGS": "--max-requests 0",
        }  # none is renewed in the middle
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(ConnectionError):
                ask(port, "GET", path, {})
                break
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def postgres(url: str) -> Iterator[tuple[str, Callable[[], float]]]:
    """A database of our own in a running PostgreSQL, and how much CPU its backends have used."""
    name = f"bench_{os.getpid()}"
    admin = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    ).connect()
    admin.execute(text(f"CREATE DATABASE {name}"))

    def backends_cpu_s() -> float:
        pids = admin.scalars(text("SELECT pid FROM pg_stat_activity WHERE datname = :name"), {"name": name})
        return sum(cpu_s(pid) for pid in pids)

    try:
        yield (
            make_url(url).set(database=name).render_as_string(hide_password=False),
            backends_cpu_s,
        )
    finally:
        admin.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.close()


def ask(
    port: int, method: str, path: str, headers: dict[str, str], body: str | None = None
) -> dict[str, str]:
    """One request, answered with JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    said = answer.read().decode()
    connection.close()
    assert answer.status < 300, said
    return json.loads(said)


def get(path: str, key: str) -> bytes:
    """A GET request as a client that keeps its connection sends it."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nAccept: */*\r\n\r\n".encode()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
    rounds, requests = (2, 400) if options.quick else (options.rounds, options.requests)
    url = os.environ.get("RETESTR_TEST_DATABASE_URL")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="retestr-bench.")))
        sqlite = stack.enter_context(retestr("retestr, SQLite", folder / "sqlite", ""))
        contestants = [stack.enter_context(bare_flask(sqlite, folder / "bare")), sqlite]
        if url:
            database, backends_cpu_s = stack.enter_context(postgres(url))
            server = stack.enter_context(retestr("retestr, PostgreSQL", folder / "postgres", database))
            server.database_cpu_s = backends_cpu_s
            contestants.append(server)
        before = [one.counted() for one in contestants]
        for number in range(rounds + 1):
            for one in contestants:
                one.round(requests if number else min(requests, 1000), options.connections)
        for one, count in zip(contestants[1:], before[1:], strict=True):
            assert one.counted() == count + 1 + one.sent, f"{one.name} has not counted every request"
        for one in contestants:  # the first round warmed up
            del one.cpu_us[0], one.database_us[0], one.per_s[0]
        print(table(contestants))
        if not url:
            print("\nPostgreSQL: not measured, RETESTR_TEST_DATABASE_URL names none.")
        print(
            f"\nMedians of {rounds} rounds of {requests} requests over {options.connections} connections; "
            f"{PROCESSES} processes, {THREADS} threads. Every request was counted. Goal: at most {GOAL:.1f} × bare."
        )


if __name__ == "__main__":
    main()
