"""`make soak`: mixed load on a real server for 30 minutes (RETESTR_SOAK_MINUTES); memory and open files must stay flat.

`retestr serve` on SQLite with its worker and Chromium takes runs of the sample site one after the other; every second
one differs in a page and is approved. Meanwhile callers list, read, look at pages of the dashboard and fetch images.
Every few seconds the memory (PSS) and the open file descriptors of every process are read, and summed for each kind of
process. The first quarter of the time is for warming up. The rule: the median of the last quarter exceeds that of the
second by at most a tenth and what `slack` allows. And no call fails, every run ends as it should, and the log has no error.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import _server
from benchmarks._processes import of_server, pss_mib
from benchmarks._server import ROOT, Latency, Server, quantile
from benchmarks.under_load import shop, suite_of
from server.vision.browser import find_browser

SNAPSHOTS = 28  # of a run: the pages of the shop, on two viewports, twice
SAMPLE_EVERY_S = 3.0
GROWTH = 1.1
SLACK = {"MB": 24.0, "files": 8.0}
SLACK_OF_BROWSER = {"MB": 100.0, "files": 100.0}  # its processes come and go with the pages
RUN_WITHIN_S = 180.0
CHANGED = "pricing.html"


@dataclass
class Samples:
    """What the processes of each kind had in all, each time that somebody looked."""

    taken: list[float] = field(default_factory=list)
    of: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def take(self, root: int) -> None:
        """Looks at a process and all below it."""
        memory: Counter[str] = Counter()
        files: Counter[str] = Counter()
        for kind, pid in of_server(root):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                files[kind] += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
                memory[kind] += pss_mib(pid) * 1.048576
        self.taken.append(time.monotonic())
        for kind in memory:
            self.of["MB"][kind].append(memory[kind])
            self.of["files"][kind].append(files[kind])


class Runs:
    """Triggers runs one after the other, changes a page for every second one, and approves that."""

    def __init__(self, server: Server, site: Path, url: str) -> None:
        self.server, self.page = server, site / CHANGED
        self.project = server.project("Shop", suite_of(SNAPSHOTS, url))
        self.last = self.snapshot = ""
        self.ended: Counter[str] = Counter()
        self.wrong: list[str] = []

    def one(self) -> None:
        """One run, from its trigger to its verdict and the approval."""
        number = self.ended.total()
        if changes := number % 2 == 1:
            self.page.write_text(self.page.read_text().replace("</h1>", f" {number}</h1>", 1))
        run_id = self.server.trigger(self.project)
        deadline = time.monotonic() + RUN_WITHIN_S
        while (run := self.server.ask("GET", f"/api/runs/{run_id}")[1])["finishedAt"] is None:
            assert time.monotonic() < deadline, f"a run is not over after {RUN_WITHIN_S} s"
            time.sleep(0.5)
        self.ended[str(run["status"])] += 1
        if run["status"] != ("FAILED" if changes else "PASSED"):
            self.wrong.append(f"run {number}: {run['status']} {run['counts']}")
        if run["status"] == "FAILED":
            self.server.ask("POST", f"/api/runs/{run_id}/approve")
        snapshots = self.server.ask("GET", f"/api/runs/{run_id}/snapshots?limit=1")[1]["items"]
        self.last, self.snapshot = run_id, snapshots[0]["id"]  # type: ignore[index]


def errors_in(log: Path) -> list[str]:
    """Lines of a JSON log that tell an error, and what is no JSON but a traceback."""
    found = []
    for line in log.read_text().splitlines():
        try:
            entry = json.loads(line)
            is_error = isinstance(entry, dict) and entry.get("level") in ("ERROR", "CRITICAL")
        except ValueError:
            is_error = "Traceback" in line or "rror:" in line
        if is_error:
            found.append(line)
    return found


def slack(kind: str, unit: str) -> float:
    """What a kind of process may have more without growing: a page more or less."""
    return (SLACK_OF_BROWSER if kind == "browser" else SLACK)[unit]


def verdicts(samples: Samples) -> tuple[list[list[str]], bool]:
    """The table's rows, and whether all of them are flat."""
    rows, flat = [], True
    for unit, kinds in samples.of.items():
        for kind, values in sorted(kinds.items()):
            quarter = len(values) // 4
            early, late = (statistics.median(values[part * quarter :][:quarter]) for part in (1, 3))
            fine = late <= early * GROWTH + slack(kind, unit)
            flat = flat and fine
            told = [f"{value:.0f}" for value in (early, late, max(values))]
            rows.append([f"{kind}, {unit}", *told, "flat" if fine else "GROWS"])
    return rows, flat


def soak(server: Server, site: Path, url: str, seconds: float) -> bool:
    """Loads a server for so long; prints what was seen, and returns whether all of it was right."""
    runs, samples, browser = Runs(server, site, url), Samples(), server.logged_in()
    runs.one()

    def look(path: str) -> None:
        answer = browser.get(f"http://127.0.0.1:{server.port}{path}", timeout=60)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"

    def image() -> None:
        look(f"/runs/{runs.last}?snapshot={runs.snapshot}")
        look(f"/snapshots/{runs.snapshot}/actual.png")

    callers = {
        "runs": Latency(runs.one, 1.0),
        "GET a run": Latency(lambda: server.ask("GET", f"/api/runs/{runs.last}"), 0.1),
        "list of runs": Latency(lambda: server.ask("GET", "/api/runs?limit=50"), 0.5),
        "baselines": Latency(lambda: server.ask("GET", f"/api/projects/{runs.project}/baselines"), 1.0),
        "dashboard: project": Latency(lambda: look("/projects/shop"), 1.0),
        "dashboard: review, image": Latency(image, 2.0),
    }
    assert server.process is not None
    start = time.monotonic()
    with contextlib.ExitStack() as calling:
        for caller in callers.values():
            calling.enter_context(caller)
        while time.monotonic() < start + seconds:
            time.sleep(SAMPLE_EVERY_S)
            samples.take(server.process.pid)
    rows, flat = verdicts(samples)
    print(_server.table(["", "second quarter", "last quarter", "most", ""], rows))
    calls = [
        [name, str(len(one.took_s)), _server.ms(statistics.median(one.took_s)), _server.ms(quantile(one.took_s, 0.95))]
        for name, one in callers.items()
    ]  # fmt: skip
    print("\n" + _server.table(["calls", "times", "median", "95 %"], calls))
    wrong = [*runs.wrong, *(f"{name}: {text}" for name, one in callers.items() for text in one.failures)]
    wrong += errors_in(server.folder / "log")
    print(
        f"\n{sum(runs.ended.values())} runs of {SNAPSHOTS} snapshots: {dict(runs.ended)}; {len(wrong)} errors"
    )
    print("\n".join(f"- {line[:300]}" for line in wrong[:10]))
    return flat and not wrong


def main() -> None:
    """Runs it and exits with 1 where something grew or went wrong."""
    minutes = float(os.environ.get("RETESTR_SOAK_MINUTES", "30"))
    if not Path("/proc/self/smaps_rollup").exists():
        sys.exit("soak: memory is read from /proc, which this system does not have.")
    if find_browser() is None:
        sys.exit("soak: there is no Chromium; `retestr doctor` says how to get one.")
    with tempfile.TemporaryDirectory(prefix="retestr-soak.") as scratch, contextlib.ExitStack() as stack:
        folder = Path(scratch)
        site = Path(shutil.copytree(ROOT / "examples" / "shop", folder / "site"))
        url = stack.enter_context(shop(folder / "serving", site))
        settings = {"capture_allow": url.removeprefix("http://"), "log_format": "json"}
        server = stack.enter_context(_server.served("SQLite", folder / "server", "", worker=True, **settings))
        print(f"{minutes:g} minutes of load; {_server.versions(server.engine)}\n", flush=True)
        fine = soak(server, site, url, minutes * 60)
    print("\nheld" if fine else "\nFAILED")
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
