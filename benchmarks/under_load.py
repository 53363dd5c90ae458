"""How long 10,000 snapshots take to trigger, and how long reads wait while a worker captures at full load.

First, `POST /api/runs` for a suite of 10,000 snapshots on a quiet `retestr serve --no-worker`: with the suite stored
in the project, and sent with the run. Then `retestr serve` with its worker and the real Chromium, which captures
pages of examples/shop, while three callers read five times a second each (a run, its snapshots, the list of runs)
and a person reloads the run's page in the dashboard every second. Waits count from when a request was due. Memory is
the proportional set size (PSS) of /proc (Linux), which splits what processes share among them: its largest sum over
the processes of each kind, looked at once a second.

On SQLite and, where `RETESTR_TEST_DATABASE_URL` names one, PostgreSQL (`scripts/bench under_load` sees to that).
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks import _server
from benchmarks._goals import told
from benchmarks._processes import of_server, pss_mib
from benchmarks._server import ROOT, Latency, Server, free_port, ms, quantile
from server.vision.browser import find_browser

TRIGGER_GOAL_S, READ_GOAL_S = 1.0, 0.1
EVERY_S = 0.2
PAGE_EVERY_S = 1.0
PAGES = ("index", "teas", "tea", "pricing", "harvest", "journal", "contact")


def suite_of(count: int, url: str) -> str:
    """A suite of as many snapshots: the shop's pages again and again, half of them on a phone."""
    lines = [f"baseUrl: {url}", "viewports:", "  - {name: desktop, width: 1280, height: 800}"]
    lines += ["  - {name: phone, width: 390, height: 844}", "tests:"]
    lines += [
        f"  - {{name: Page {number:05}, path: /{PAGES[number % len(PAGES)]}.html}}"
        for number in range(count // 2)
    ]
    return "\n".join(lines) + "\n"


def triggers(server: Server, count: int, times: int) -> tuple[list[str], float]:
    """A row of the first table, and its longer median: triggering a stored suite, and one that is sent."""
    suite = suite_of(count, "http://127.0.0.1:9")
    project = server.project("Big", suite)

    def median_s(**members: object) -> float:
        asked = {"projectId": project, "branch": "main", **members}
        return _server.median(lambda: server.ask("POST", "/api/runs", asked)[0], times)

    stored_s, sent_s = median_s(), median_s(suite=suite)
    row = [server.name, f"{count:,}", f"{len(suite):,} bytes", ms(stored_s), ms(sent_s)]
    return row, max(stored_s, sent_s)


def reads(server: Server, url: str, seconds: float) -> tuple[list[list[str]], float, dict[str, float]]:
    """The second table's rows, the longest p95 of the API, and the MB of each kind of process, while a worker
    captures for `seconds`.
    """
    run = server.trigger(server.project("Shop", suite_of(10_000, url)))
    page = f"http://127.0.0.1:{server.port}/runs/{run}"
    browser = server.logged_in()

    def visit() -> None:
        answer = browser.get(page, timeout=60)
        assert answer.status_code == 200, answer.status_code

    callers = {
        "run": Latency(lambda: server.ask("GET", f"/api/runs/{run}"), EVERY_S),
        "its snapshots": Latency(lambda: server.ask("GET", f"/api/runs/{run}/snapshots"), EVERY_S),
        "list of runs": Latency(lambda: server.ask("GET", "/api/runs"), EVERY_S),
        "the run's page": Latency(visit, PAGE_EVERY_S),
    }
    deadline = time.monotonic() + 60
    while not done(server, run):
        assert time.monotonic() < deadline, "nothing was captured within a minute"
        time.sleep(0.2)
    before, start = done(server, run), time.monotonic()
    most: dict[str, float] = {}
    with contextlib.ExitStack() as calling:
        for caller in callers.values():
            calling.enter_context(caller)
        while time.monotonic() < start + seconds:
            time.sleep(1)
            assert server.process is not None
            for kind, mb in memory_mb(server.process.pid).items():
                most[kind] = max(most.get(kind, 0.0), mb)
    took_s = time.monotonic() - start
    captured = done(server, run) - before
    server.ask("POST", f"/api/runs/{run}/cancel")
    assert captured, "nothing was captured meanwhile"
    rows = []
    for name, caller in callers.items():
        assert not caller.failures, caller.failures[:3]
        waits = [statistics.median(caller.took_s), quantile(caller.took_s, 0.95), max(caller.took_s)]
        rows.append(
            [server.name, name, str(len(caller.took_s)), *map(ms, waits), f"{captured / took_s:.1f}/s"]
        )
    api = [caller for name, caller in callers.items() if name != "the run's page"]
    return rows, max(quantile(caller.took_s, 0.95) for caller in api), most


def done(server: Server, run: str) -> int:
    """How many snapshots of a run are captured."""
    counts = server.ask("GET", f"/api/runs/{run}")[1]["counts"]
    assert isinstance(counts, dict)
    return int(counts["done"])


def memory_mb(root: int) -> dict[str, float]:
    """PSS in MB of a server's processes, summed for each kind."""
    found: Counter[str] = Counter()
    for kind, pid in of_server(root):
        found[kind] += pss_mib(pid) * 1.048576
    return dict(found)


@contextlib.contextmanager
def shop(folder: Path, site: Path = ROOT / "examples/shop") -> Iterator[str]:
    """A site, served by a process of its own with its log in a new folder; gives its address."""
    folder.mkdir()
    port = free_port()
    serve = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory"]
    command = [*serve, str(site)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="few requests: whether it works, not how long it takes"
    )
    parser.add_argument("--snapshots", type=int, default=10_000, help="of the triggered run")
    parser.add_argument("--seconds", type=float, default=30.0, help="of capturing")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="", help="only this one")
    options = parser.parse_args()
    if not Path("/proc/self/smaps_rollup").exists():
        sys.exit("under_load: memory is read from /proc, which this system does not have.")
    if find_browser() is None:
        sys.exit("under_load: there is no Chromium; `retestr doctor` says how to get one.")
    count, times, seconds = (1000, 1, 5.0) if options.quick else (options.snapshots, 5, options.seconds)
    triggered, waits, used, seen, judged = [], [], [], [], []
    for name, database in _server.databases(options.database):
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="retestr-bench.")))
            url = stack.enter_context(shop(folder / "shop"))
            with (
                database() as database_url,
                _server.served(name, folder / "quiet", database_url) as server,
            ):
                row, longest_s = triggers(server, count, times)
                triggered.append(row)
                judged.append(
                    told(
                        longest_s <= TRIGGER_GOAL_S,
                        f"{name}: triggering {ms(longest_s)}, at most {ms(TRIGGER_GOAL_S)}",
                    )
                )
            with (
                database() as database_url,
                _server.served(
                    name,
                    folder / "busy",
                    database_url,
                    worker=True,
                    capture_allow=url.removeprefix("http://"),
                ) as server,
            ):
                rows, p95_s, most = reads(server, url, seconds)
                judged.append(
                    told(p95_s < READ_GOAL_S, f"{name}: p95 of reads {ms(p95_s)}, below {ms(READ_GOAL_S)}")
                )
                waits += rows
                used.append([name, *(f"{most[kind]:.0f} MB" for kind in sorted(most))])
                kinds = sorted(most)
                seen.append(_server.versions(server.engine))
    print(_server.table(["POST /api/runs", "snapshots", "suite", "stored", "sent"], triggered))
    print()
    print(_server.table(["while capturing", "read", "requests", "p50", "p95", "longest", "captured"], waits))
    print()
    print(_server.table(["memory", *kinds], used))
    print("\n" + "\n".join(judged))
    print(f"\n{' '.join(seen)}")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
