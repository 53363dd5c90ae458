"""How long `POST /api/runs/cancel-all` takes with 100,000 unfinished runs, and how long others wait meanwhile.

On SQLite and, where `RETESTR_TEST_DATABASE_URL` names one, PostgreSQL (`scripts/bench cancel_all` sees to that),
through `retestr serve --no-worker`. Beside the organisation's unfinished runs there are as many finished ones, and
another organisation's unfinished ones, which must stay. Meanwhile one caller reads a run (`GET /api/runs/ID`, which
also counts its key's request) and one triggers runs, each ten times a second; the table compares their waits with
those while nothing else happens.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from pathlib import Path

from benchmarks import _server
from benchmarks._goals import told
from benchmarks._server import Latency, Server, ms, numbered
from server.models import Chunk, Run

GOAL_S = 1.0
EVERY_S = 0.1
QUIET_S = 5.0


def fill(server: Server, count: int, suite: str) -> tuple[str, str]:
    """Rows: `count` unfinished and `count` finished runs, a fifth as many of others; project and run of ours."""
    server.command(
        "init", "--organization", "Others", "--email", "eve@example.com", "--password", _server.PASSWORD
    )
    key = server.new_key("Others")
    project, theirs = server.project("Shop", suite), server.project("Theirs", suite, key)
    run, other = server.trigger(project), server.trigger(theirs, key)
    batches = (
        ("a", run, count, "PENDING"),
        ("b", run, count, "PASSED"),
        ("c", other, max(1, count // 5), "PENDING"),
    )
    for prefix, template, many, status in batches:
        number = f"{ord(prefix)}000000 + n.i"
        _server.copies(
            server.engine, Run.__table__, template, many, id=numbered(prefix), number=number, status=f"'{status}'"
        )  # fmt: skip
        if status == "PENDING":
            chunk = str(server.value("SELECT id FROM chunk WHERE run_id = :run", run=template))
            _server.copies(
                server.engine, Chunk.__table__, chunk, many, id=numbered(f"{prefix}c"), run_id=numbered(prefix)
            )  # fmt: skip
    _server.settle(server.engine)
    return project, run


def measure(server: Server, count: int, suite: str) -> tuple[list[str], float]:
    """A row of the table: the call, who waited how long with and without it, the call once more; its seconds."""
    project, run = fill(server, count, suite)
    unfinished = (
        "SELECT count(*) FROM run JOIN organization o ON o.id = organization_id "
        "WHERE status IN ('PENDING', 'RUNNING') AND o.name = "
    )
    others = server.value(f"{unfinished}'Others'")

    def callers() -> tuple[Latency, Latency]:
        return (
            Latency(lambda: server.ask("GET", f"/api/runs/{run}"), EVERY_S),
            Latency(lambda: server.trigger(project), EVERY_S),
        )

    quiet, busy = callers(), callers()
    with quiet[0], quiet[1]:
        time.sleep(QUIET_S)
    with busy[0], busy[1]:
        took_s, answer = server.ask("POST", "/api/runs/cancel-all")
    assert not any(one.failures for one in (*quiet, *busy)), [one.failures[:3] for one in (*quiet, *busy)]
    assert int(str(answer["cancelled"])) >= count, answer
    assert server.value(f"{unfinished}'Others'") == others, "runs of another organisation were cancelled"
    events = server.value("SELECT count(*) FROM audit_event WHERE action = 'RUN_CANCEL_ALL'")
    assert events == 1, f"{events} audit events"
    again_s, _ = server.ask("POST", "/api/runs/cancel-all")
    waits = [f"{ms(max(a.took_s))} / {ms(max(b.took_s))}" for a, b in zip(quiet, busy, strict=True)]
    return [server.name, f"{answer['cancelled']:,}", ms(took_s), *waits, ms(again_s)], took_s


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="few runs: whether it works, not how long it takes"
    )
    parser.add_argument("--runs", type=int, default=100_000, help="unfinished ones of the organisation")
    parser.add_argument("--suite-bytes", type=int, default=1000, help="length of each run's suite, about")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="", help="only this one")
    options = parser.parse_args()
    count = 1000 if options.quick else options.runs
    suite = _server.suite_of(options.suite_bytes)
    rows, judged, seen = [], [], []
    for name, database in _server.databases(options.database):
        with (
            tempfile.TemporaryDirectory(prefix="retestr-bench.") as folder,
            database() as url,
            _server.served(name, Path(folder) / "data", url) as server,
        ):
            row, took_s = measure(server, count, suite)
            rows.append(row)
            if name == "SQLite":
                judged.append(told(took_s <= GOAL_S, f"{name}: {ms(took_s)}, at most {ms(GOAL_S)}"))
            seen.append(_server.versions(server.engine))
    head = ["database", "cancelled", "cancel-all", "longest read, quiet / meanwhile"]
    print(_server.table([*head, "longest trigger, quiet / meanwhile", "cancel-all again"], rows))
    print("\n" + "\n".join(judged))
    print(f"\nSuites of {len(suite)} bytes. {' '.join(seen)}")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
