"""What the Action costs beside a plain `curl` loop: to the trigger on the wire, and from the run's end to the exit.

Both talk to one small server on loopback that notes when the trigger arrives and decides when the run ends: after
one to two polls, at a moment drawn anew for each round and equal for all in it. Both ask as often as that server
says. The Action runs as its image starts it (`python -I -u -B entrypoint.py`, with bytecode that was made before), so a
container's own start, which a `run: curl` step does not have, is not in it. Rounds take turns; the table shows medians.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks._goals import told

ROOT = Path(__file__).resolve().parent.parent
KEY = "vts_TheSentinelKeyOfTheBenchmark0000"
POLL_S = 1
MAX_MORE_S = 0.4
MAX_IMPORT_S = 0.25
CHANGED = 30  # snapshots of the run that fails
IMPORT = "import time; t = time.perf_counter(); import action_src.main; print(time.perf_counter() - t)"

# What a workflow author would write: trigger, ask until it is over, fail if it did not pass.
CURL = """
set -eu
auth="Authorization: Bearer $KEY"
run=$(curl -sS -X POST "$URL/api/runs" -H "$auth" -H "Content-Type: application/json" -d '{"projectId": "shop", "branch": "main"}')
id=$(printf %s "$run" | sed -E 's/.*"id": "([^"]+)".*/\\1/')
while :; do
  status=$(curl -sS "$URL/api/runs/$id" -H "$auth" | sed -E 's/.*"status": "([A-Z]+)".*/\\1/')
  case $status in PASSED) exit 0 ;; FAILED|ERROR|CANCELLED) exit 1 ;; esac
  sleep "$POLL"
done
"""


@dataclass
class Plot:
    """How the next run goes, and when its trigger came; times are of `time.monotonic`."""

    ends: str = "PASSED"
    lasts_s: float = 1.0
    triggered: float = 0.0
    url: str = ""

    def run(self) -> dict[str, object]:
        """The run as it is now."""
        over = time.monotonic() >= self.triggered + self.lasts_s
        changed = CHANGED if over and self.ends == "FAILED" else 0
        counts = {"total": CHANGED, "done": CHANGED if over else 0, "changed": changed}
        return {"id": "r1", "number": 1, "status": self.ends if over else "RUNNING", "counts": counts}


@contextmanager
def serving(plot: Plot) -> Iterator[None]:
    """A server of one run, on a free port of loopback."""

    class Player(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            plot.triggered = time.monotonic()
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(201, plot.run())

        def do_GET(self) -> None:
            found = {"items": [snapshot(n) for n in range(CHANGED)], "nextCursor": None}
            self.answer(200, found if "/snapshots" in self.path else plot.run())

        def answer(self, status: int, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Retry-After", str(POLL_S))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Player)
    server.daemon_threads = True
    plot.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def snapshot(number: int) -> dict[str, object]:
    """A changed snapshot."""
    return {"id": f"s{number}", "test": f"T{number}", "status": "CHANGED", "ratio": 0.1, "group": str(number)}


@dataclass
class Contestant:
    """A way to trigger a run and wait for it."""

    name: str
    command: list[str]
    environment: dict[str, str]
    to_trigger_s: list[float] = field(default_factory=list)
    to_exit_s: dict[str, list[float]] = field(default_factory=lambda: {"PASSED": [], "FAILED": []})

    def round(self, plot: Plot) -> None:
        """One run, from the process's start to its exit."""
        begun = time.monotonic()
        done = subprocess.run(self.command, env=self.environment, capture_output=True, timeout=60)
        exited = time.monotonic()
        assert done.returncode == (plot.ends == "FAILED"), done.stdout + done.stderr
        self.to_trigger_s.append(plot.triggered - begun)
        self.to_exit_s[plot.ends].append(exited - plot.triggered - plot.lasts_s)


def python_with_bytecode(folder: Path) -> list[str]:
    """Python as in the image: the bytecode of all that the Action imports is there, wherever this is measured."""
    python = [sys.executable, "-X", f"pycache_prefix={folder / 'bytecode'}"]
    writing = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([*python, "-c", "import action_src.main, yaml"], cwd=ROOT, env=writing, check=True)
    return [*python, "-B"]


def contestants(plot: Plot, folder: Path, python: list[str]) -> list[Contestant]:
    """The loop, and the Action with the files that a runner gives it."""
    plain = {"PATH": os.environ["PATH"], "KEY": KEY, "URL": plot.url, "POLL": str(POLL_S)}
    inputs = {"api-key": KEY, "project-id": "shop", "server-url": plot.url}
    runner = {
        **{f"INPUT_{name.upper()}": value for name, value in inputs.items()},
        "PATH": os.environ["PATH"],
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_REF_NAME": "main",
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "GITHUB_WORKSPACE": str(folder),
    }
    action = [*python, "-I", "-u", str(ROOT / "entrypoint.py")]
    return [Contestant("curl loop", ["bash", "-c", CURL], plain), Contestant("the Action", action, runner)]


def import_s(python: list[str]) -> float:
    """How long the entry point's module takes to load in a new process."""
    done = subprocess.run([*python, "-c", IMPORT], cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout)


@dataclass(frozen=True)
class Row:
    """What is compared: medians of the loop and of the Action, and how much longer that one may take."""

    what: str
    loop_s: float
    action_s: float
    most_s: float

    @property
    def more_s(self) -> float:
        return self.action_s - self.loop_s


def compared(loop: Contestant, action: Contestant) -> list[Row]:
    """The rows of the table."""
    ends = [
        (f"run's end ({end}) → exit", loop.to_exit_s[end], action.to_exit_s[end])
        for end in ("PASSED", "FAILED")
    ]
    return [
        Row(
            "process start → trigger on the wire",
            statistics.median(loop.to_trigger_s),
            statistics.median(action.to_trigger_s),
            MAX_MORE_S,
        ),
        *(
            Row(what, statistics.median(theirs), statistics.median(ours), MAX_MORE_S + POLL_S)
            for what, theirs, ours in ends
        ),
    ]


def table(rows: list[Row]) -> str:
    """The figures as Markdown."""
    lines = ["| | curl loop | the Action | more | goal |", "| --- | ---: | ---: | ---: | ---: |"]
    for row in rows:
        lines.append(
            f"| {row.what} | {row.loop_s:.2f} s | {row.action_s:.2f} s | {row.more_s:+.2f} s | ≤ {row.most_s:.1f} s |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rounds: whether it runs, not what it costs")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    plot, imports = Plot(), []
    with tempfile.TemporaryDirectory(prefix="retestr-bench.") as folder, serving(plot):
        python = python_with_bytecode(Path(folder))
        loop, action = contestants(plot, Path(folder), python)
        for _ in range(rounds):
            imports.append(import_s(python))
            for plot.ends in ("PASSED", "FAILED"):
                plot.lasts_s = POLL_S * (1 + random.random())
                for one in (loop, action):
                    one.round(plot)
    rows = compared(loop, action)
    print(f"{table(rows)}\n")
    for row in rows:
        print(told(row.more_s <= row.most_s, f"{row.what}: {row.more_s:+.2f} s, at most {row.most_s:.1f} s"))
    loading_s = statistics.median(imports)
    print(
        told(loading_s < MAX_IMPORT_S, f"loading the entry point: {loading_s:.3f} s, below {MAX_IMPORT_S} s")
    )
    print()
    print(
        f"Medians of {rounds} rounds; the server asks to be asked every {POLL_S} s. The FAILED run has {CHANGED} "
        "changes, which the Action fetches, summarises and annotates; the loop does none of that."
    )


if __name__ == "__main__":
    main()
