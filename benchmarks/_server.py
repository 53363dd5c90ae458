"""What the benchmarks of a full server share: `retestr serve` on a database of its own, rows by the hundred
thousand, and how long answers take. Measures nothing by itself.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import requests
import sqlalchemy
from sqlalchemy import Engine, Table, create_engine, text
from sqlalchemy.engine import make_url

from benchmarks._processes import cpu_s
from server.config import Settings
from server.database import prepare

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
EMAIL, PASSWORD = "ada@example.com", "a long password"
SUITE = "baseUrl: http://127.0.0.1:9\ntests:\n  - {name: Home, path: /}\n"
MANY = "1000000000"


@dataclass
class Server:
    """`retestr serve`, with an organisation and a key of it that may do everything."""

    name: str  # of the database
    folder: Path
    environment: dict[str, str]
    port: int
    engine: Engine
    process: subprocess.Popen[bytes] | None = None
    key: str = ""

    def command(self, *arguments: str) -> dict[str, str]:
        """A `retestr` command's line of JSON."""
        done = subprocess.run(
            [BIN / "retestr", *arguments, "--json"], env=self.environment, check=True, capture_output=True
        )
        return json.loads(done.stdout)

    def project(self, name: str, suite: str = SUITE, key: str = "") -> str:
        """Makes a project and returns its ID."""
        return str(self.ask("POST", "/api/projects", {"name": name, "suite": suite}, key)[1]["id"])

    def new_key(self, organization: str) -> str:
        """A key that may do everything in an organisation."""
        return self.command(
            "key", "create", "--organization", organization, "--name", "bench", "--scope", "admin:write"
        )["key"]

    def ask(
        self, method: str, path: str, body: object = None, key: str = ""
    ) -> tuple[float, dict[str, object]]:
        """One request with a key on a new connection: seconds until the answer was read, and what it says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}
        start = time.monotonic()
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        said = answer.read().decode()
        took = time.monotonic() - start
        connection.close()
        assert answer.status < 300, f"{method} {path}: {answer.status} {said[:300]}"
        return took, json.loads(said)

    def trigger(self, project_id: str, key: str = "", **members: object) -> str:
        """Triggers a run and returns its ID."""
        _, run = self.ask("POST", "/api/runs", {"projectId": project_id, "branch": "main", **members}, key)
        return str(run["id"])

    def logged_in(self) -> requests.Session:
        """A browser's session of the organisation's Admin."""
        session = requests.Session()
        url = f"http://127.0.0.1:{self.port}/login"
        token = re.search(r'name="csrf_token" value="([^"]+)"', session.get(url, timeout=30).text)
        assert token
        form = {"csrf_token": token[1], "email": EMAIL, "password": PASSWORD}
        answer = session.post(url, form, allow_redirects=False, timeout=30)
        assert answer.status_code == 303, answer.text
        return session

    def value(self, statement: str, **values: object) -> object:
        """The one value that a statement selects."""
        with self.engine.connect() as connection:
            return connection.scalar(text(statement), values)


@contextlib.contextmanager
def served(
    name: str, folder: Path, database_url: str, *, worker: bool = False, **settings: str
) -> Iterator[Server]:
    """A running server on a new database; `settings` are RETESTR_…, by their names in small letters."""
    folder.mkdir()
    settings = {
        "data": str(folder),
        "database_url": database_url,
        "key_requests_per_minute": MANY,
        "max_unfinished_runs": MANY,
        **settings,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETESTR_")}
    environment |= {f"RETESTR_{name.upper()}": value for name, value in settings.items()}
    engine = create_engine(Settings(data=folder, database_url=database_url).database)
    prepare(engine)
    server = Server(name, folder, environment, free_port(), engine)
    server.command("init", "--organization", "Bench", "--email", EMAIL, "--password", PASSWORD)
    server.key = server.new_key("Bench")
    serve = [str(BIN / "retestr"), "serve", "--port", str(server.port), *([] if worker else ["--no-worker"])]
    try:
        with running(serve, environment, folder, server.port) as process:
            server.process = process
            yield server
    finally:
        engine.dispose()


@contextlib.contextmanager
def running(
    command: list[str], environment: dict[str, str], folder: Path, port: int, path: str = "/healthz"
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, once it answers."""
    with (folder / "log").open("ab") as log:
        environment = environment | {"GUNICORN_CMD_ARGS": "--max-requests 0"}  # none is renewed in the middle
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"http://127.0.0.1:{port}{path}", timeout=10).ok:
                    break
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def databases(only: str) -> Iterator[tuple[str, Callable[[], contextlib.AbstractContextManager[str]]]]:
    """SQLite, then PostgreSQL where one runs: the name, and what makes a database and gives its URL."""
    if only in ("", "sqlite"):
        yield "SQLite", lambda: contextlib.nullcontext("")
    if only in ("", "postgres") and (url := os.environ.get("RETESTR_TEST_DATABASE_URL")):
        yield "PostgreSQL", lambda: _postgres(url)


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


@contextlib.contextmanager
def _postgres(url: str) -> Iterator[str]:
    with postgres(url) as (database_url, _):
        yield database_url


def copies(engine: Engine, table: Table, template: str, count: int, **expressions: str) -> None:
    """Inserts `count` copies of the row whose ID is `template`, `n.i` counting them from 1.

    `expressions` are SQL for the columns that are not copied. IDs are by `numbered()`: older than all real ones.
    """
    columns = [column.name for column in table.columns]
    values = [expressions.get(name, f'"{table.name}"."{name}"') for name in columns]
    names = ", ".join(f'"{name}"' for name in columns)
    statement = f"""
        INSERT INTO "{table.name}" ({names})
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
        SELECT {", ".join(values)} FROM "{table.name}", n WHERE "{table.name}".id = :template"""
    with engine.begin() as connection:
        connection.execute(text(statement), {"template": template})


def numbered(prefix: str, number: str = "n.i", suffix: str = "") -> str:
    """SQL of an ID: 24 characters that sort by prefix, number and suffix."""
    rest = suffix.rjust(10 - len(prefix), "0")
    return f"'00{prefix}' || substr(CAST(1000000000000 + {number} AS VARCHAR(13)), 2) || '{rest}'"


def suite_of(size_bytes: int) -> str:
    """A suite of one test, about that long."""
    return SUITE + "# what else a suite says\n" * max(0, (size_bytes - len(SUITE)) // 25)


def settle(engine: Engine) -> None:
    """What databases do by themselves soon after so many rows: PostgreSQL's statistics, SQLite's checkpoint."""
    sqlite = engine.dialect.name == "sqlite"
    with contextlib.closing(engine.raw_connection()) as connection:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)" if sqlite else "VACUUM ANALYZE")


@dataclass
class Latency:
    """A caller that does the same every `every_s` seconds, in a thread, and notes how long it takes.

    Counted from when a call was due, so that one that had to wait for the call before it is slow as well.
    """

    call: Callable[[], object]
    every_s: float
    took_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Latency:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self._thread.join(120)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            try:
                self.call()
            except (AssertionError, OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            self.took_s.append(time.monotonic() - due)
            due = max(due + self.every_s, time.monotonic() - 1.0)


def ms(seconds: float) -> str:
    """Seconds as a table shows them."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def quantile(values: list[float], part: float) -> float:
    """The value that `part` of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def median(call: Callable[[], float], times: int) -> float:
    """The median of what a call returns, the first one left out: it warms up."""
    call()
    return statistics.median(call() for _ in range(times))


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, all but the first column right-aligned."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def versions(engine: Engine) -> str:
    """What was measured on: versions, cores, and how busy the machine is."""
    with engine.connect():
        version = ".".join(map(str, engine.dialect.server_version_info or ()))
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"Python {platform.python_version()}, SQLAlchemy {sqlalchemy.__version__}, {engine.dialect.name} {version}; "
        f"{os.cpu_count()} cores, load {load}."
    )
