"""How long a page of runs takes among 1,000,000: `GET /api/runs` and the dashboard's list, first and deep pages.

On SQLite and, where `RETESTR_TEST_DATABASE_URL` names one, PostgreSQL (`scripts/bench list_runs` sees to that),
through `retestr serve --no-worker`. Ten projects share the runs; six in ten are on main, the others on branches of
ten runs each. Statuses are as a team has them: a tenth FAILED, a hundredth ERROR, about every 10,000th CANCELLED. A
second, small organisation has a thousandth as many runs in between. A deep page starts where a cursor points into the middle of all
runs. Each figure is the median of repeated requests, 50 runs a page. Making the rows takes a minute or two.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import text

from benchmarks import _server
from benchmarks._goals import told
from benchmarks._server import Server, ms, numbered
from server.models import Run

PROJECTS = 10
SMALL = 1000  # how many times fewer runs the small organisation has
GOAL_S = 0.1
STATUS = "CASE WHEN n.i % 10007 = 5 THEN 'CANCELLED' WHEN n.i % 100 = 7 THEN 'ERROR' WHEN n.i % 10 = 3 THEN 'FAILED' ELSE 'PASSED' END"
BRANCH = (
    "CASE WHEN n.i % 10 < 6 THEN 'main' ELSE 'feature/' || (n.i / 25) END"  # ten of 25 runs are not on main
)


def fill(server: Server, count: int, suite: str) -> tuple[list[str], str]:
    """Makes the rows; returns the projects' IDs, and a key of the small organisation."""
    server.command(
        "init", "--organization", "Others", "--email", "eve@example.com", "--password", _server.PASSWORD
    )
    projects = [server.project(f"Shop {number}", suite) for number in range(PROJECTS)]
    key = server.new_key("Others")
    theirs = server.project("Theirs", suite, key)
    run, other = server.trigger(projects[0]), server.trigger(theirs, key)
    project = " ".join(f"WHEN {number} THEN '{name}'" for number, name in enumerate(projects))
    _server.copies(
        server.engine, Run.__table__, run, count, id=numbered("a"), status=STATUS, branch=BRANCH,
        number="n.i / 25 / 10 * 25 + n.i % 25 + 10", project_id=f"CASE n.i / 25 % {PROJECTS} {project} END",
    )  # fmt: skip
    _server.copies(
        server.engine, Run.__table__, other, max(1, count // SMALL),
        id=numbered("a", f"n.i * {SMALL}", "1"), number="n.i + 10", status=STATUS, branch=BRANCH,
    )  # fmt: skip
    with server.engine.begin() as connection:
        newest = "(SELECT max(number) FROM run WHERE project_id = project.id)"
        connection.execute(text(f"UPDATE project SET run_count = coalesce({newest}, 0)"))
    return projects, key


def measure(server: Server, count: int, suite: str, times: int) -> dict[str, tuple[float, ...]]:
    """What each list takes, by its name."""
    start = time.monotonic()
    projects, others_key = fill(server, count, suite)
    _server.settle(server.engine)
    print(f"# {server.name}: the rows took {ms(time.monotonic() - start)}", file=sys.stderr)
    found: dict[str, tuple[float, ...]] = {}
    middle = str(server.value(f"SELECT {numbered('a', str(count // 2))}"))
    feature = f"feature/{count // 50}"
    lists: list[tuple[str, dict[str, str]]] = [
        ("all", {}),
        ("projectId", {"projectId": projects[3]}),
        ("branch=main", {"branch": "main"}),
        ("branch of ten runs", {"branch": feature}),
        ("branch of no run", {"branch": "nowhere"}),
        ("status=PASSED", {"status": "PASSED"}),
        ("status=FAILED", {"status": "FAILED"}),
        ("status=CANCELLED", {"status": "CANCELLED"}),
        ("status=RUNNING (none)", {"status": "RUNNING"}),
        ("projectId, branch of no run", {"projectId": projects[3], "branch": "nowhere"}),
        ("projectId, status=CANCELLED", {"projectId": projects[3], "status": "CANCELLED"}),
        ("branch=main, status=CANCELLED", {"branch": "main", "status": "CANCELLED"}),
        ("projectId, branch=main, status=ERROR", {"projectId": projects[3], "branch": "main", "status": "ERROR"}),
    ]  # fmt: skip
    for name, wanted in lists:
        path = f"/api/runs?{urlencode({**wanted, 'limit': 50})}"
        found[f"API, {name}"] = both(lambda path: server.ask("GET", path)[0], path, middle, times)
    for name, wanted in (
        ("all", {}),
        ("status=PASSED", {"status": "PASSED"}),
        ("branch=main", {"branch": "main"}),
    ):
        path = f"/api/runs?{urlencode({**wanted, 'limit': 50})}"
        found[f"API, small organisation, {name}"] = both(
            lambda path: server.ask("GET", path, key=others_key)[0], path, middle, times
        )
    browser = server.logged_in()

    def visit(path: str) -> float:
        answer = browser.get(f"http://127.0.0.1:{server.port}{path}", timeout=120)
        assert answer.status_code == 200, answer.text
        return answer.elapsed.total_seconds()

    found["dashboard, all projects"] = (_server.median(lambda: visit("/"), times),)
    for name, wanted in (
        ("a project's runs", {}),
        ("branch of no run", {"branch": "nowhere"}),
        ("status=CANCELLED", {"status": "CANCELLED"}),
    ):
        path = f"/projects/{projects[3]}?{urlencode(wanted)}"
        found[f"dashboard, {name}"] = both(visit, path, middle, times)
    return found


def both(ask: Callable[[str], float], path: str, cursor: str, times: int) -> tuple[float, ...]:
    """The medians of a list's first page and of one in the middle, in seconds."""
    pages = (path, f"{path}&cursor={cursor}")
    return tuple(_server.median(lambda page=page: ask(page), times) for page in pages)


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="few runs: whether it works, not how long it takes"
    )
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--suite-bytes", type=int, default=1000, help="length of each run's suite, about")
    parser.add_argument("--times", type=int, default=7, help="requests for each figure")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="", help="only this one")
    options = parser.parse_args()
    count, times = (10_000, 2) if options.quick else (options.runs, options.times)
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    seen = []
    for name, database in _server.databases(options.database):
        with (
            tempfile.TemporaryDirectory(prefix="retestr-bench.") as folder,
            database() as url,
            _server.served(name, Path(folder) / "data", url) as server,
        ):
            found[name] = measure(server, count, _server.suite_of(options.suite_bytes), times)
            seen.append(_server.versions(server.engine))
    rows = [
        [what, *(" / ".join(map(ms, one[what])) for one in found.values())]
        for what in next(iter(found.values()))
    ]
    print(_server.table([f"{count:,} runs: first page / deep page", *found], rows))
    print()
    for name, one in found.items():
        slowest_s = max(itertools.chain(*one.values()))
        print(told(slowest_s <= GOAL_S, f"{name}: slowest page {ms(slowest_s)}, at most {ms(GOAL_S)}"))
    print(f"\n{' '.join(seen)}")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
