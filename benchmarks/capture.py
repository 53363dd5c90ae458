"""Capturing 30 pages in two viewports: retestr beside BackstopJS, Playwright Test and lost-pixel, in one run.

All start cold with the same browser, capture whole pages of the same server on loopback, as many at once, and leave
PNG files behind; the rest is each tool's own default:

- *retestr*: what its worker does with a browser (`server.vision.capture`, one session, the guard on), in a process of
  its own. *through the server*: `retestr serve` starts, a run is triggered and ends, the server stops; its
  organisation and project were there before, baselines are not.
- *BackstopJS*: `reference`, which captures and does not compare. Its Puppeteer engine is its default and what the
  goals are about; its Playwright engine is beside it.
- *Playwright Test*: `toHaveScreenshot` with `--update-snapshots`, and a plain `page.screenshot`; animations are
  disabled by the one and not by the other, as Playwright has it.
- *lost-pixel*: `update` without baselines, which copies and does not compare; it waits seconds for each page.

What is measured, of the command and all its descendants, whoever their parent is by then:

- wall: from its start to its end;
- CPU: user and system time that the kernel reports for each when it is reaped. Who loses its parent is reaped
  by the measuring process (PR_SET_CHILD_SUBREAPER), so that nobody's time is lost;
- memory: the sum of their proportional set sizes (PSS: shared pages count once), the highest of samples;
- flaked: pages of which a picture's bytes differed between rounds, in either viewport. Pages without a picture are
  told apart: the tool gave up on them.

Rounds take turns in changing order, so that whatever else the machine does meets all alike; the table shows medians.
The peers come from the npm registry, once, at the versions named here. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._capture_tools import (
    BACKSTOP,
    CONTESTANTS,
    LEFT_OUT,
    PEERS,
    VERSIONS,
    VIEWPORTS,
    Asked,
    Command,
    Pictures,
    fetch_peers,
    stored_pictures,
)
from benchmarks._goals import told
from benchmarks._processes import descendants, pss_mib

SAMPLE_S = 0.2
LINGER_S = 10.0  # how long after a command's end its descendants may live on
MOST_S = 900.0
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    status: int


# --- measuring ----------------------------------------------------------------------------------------


@dataclass
class Contestant:
    """One tool and what its rounds took."""

    name: str
    command: Callable[[Asked], Command]
    pictures: Callable[[Asked], Pictures] = stored_pictures
    costs: list[Cost] = field(default_factory=list)
    rounds: list[Pictures] = field(default_factory=list)

    def median(self, what: str) -> float:
        return statistics.median(getattr(cost, what) for cost in self.costs)

    @property
    def flaked(self) -> set[str]:
        """Pages of which two rounds have different pictures, in either viewport."""
        names = {name for pictures in self.rounds for name in pictures}
        hashes = {name: {pictures.get(name) for pictures in self.rounds} - {None} for name in names}
        return {name.rpartition("-")[0] for name, different in hashes.items() if len(different) > 1}

    def missing(self, pages: list[str]) -> set[str]:
        """Pages without a picture in some round, in either viewport."""
        every = {f"{Path(page).stem}-{viewport}" for page in pages for viewport in VIEWPORTS}
        return {name.rpartition("-")[0] for pictures in self.rounds for name in every - set(pictures)}


def measured(command: Command, log: Path) -> Cost:
    """Runs a command to its end, and that of all its descendants; call it in a process that has no other child.

    Descendants that outlive the command by `LINGER_S`, and everything after `MOST_S`, are killed.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    peak, cpu_s, deadline = [0.0], 0.0, [time.monotonic() + MOST_S]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_S):
            alive = descendants(os.getpid())
            peak[0] = max(peak[0], sum(map(pss_mib, alive)))
            if time.monotonic() > deadline[0]:
                for pid in alive:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    watching = threading.Thread(target=watch)
    with log.open("wb") as output:
        start = time.monotonic()
        process = subprocess.Popen(
            command.arguments,
            cwd=command.folder,
            env=command.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    watching.start()
    with contextlib.suppress(ChildProcessError):  # none is left
        while True:
            pid, status, used = os.wait4(-1, 0)
            cpu_s += used.ru_utime + used.ru_stime
            if pid == process.pid:
                wall_s = time.monotonic() - start
                process.returncode = os.waitstatus_to_exitcode(status)
                deadline[0] = min(deadline[0], time.monotonic() + LINGER_S)
    over.set()
    watching.join()
    return Cost(wall_s, cpu_s, peak[0], process.returncode)


def rounds_of(contestants: list[Contestant], count: int) -> Iterator[tuple[int, Contestant]]:
    """All contestants in every round, each round beginning with the next of them."""
    for number in range(count):
        first = number % len(contestants)
        for contestant in contestants[first:] + contestants[:first]:
            yield number, contestant


def measure(contestants: list[Contestant], pages: list[str], rounds: int, at_once: int) -> str:
    """Lets every contestant capture the pages, `rounds` times; returns what with, in words.

    Exits where a contestant gives no picture at all.
    """
    import multiprocessing
    import tempfile
    from concurrent.futures import ProcessPoolExecutor

    from benchmarks import pages as site
    from server.vision import browser as browsers

    browser = browsers.find_browser()
    assert browser, "no browser here"
    spawning = multiprocessing.get_context("spawn")
    with (
        site.serving() as base,
        tempfile.TemporaryDirectory(dir=PEERS, prefix="bench.") as scratch,  # where node finds the packages
        ProcessPoolExecutor(1, spawning) as measuring,
    ):
        for number, one in rounds_of(contestants, rounds):
            folder = Path(scratch, "round")
            folder.mkdir()
            asked = Asked(
                base=base,
                pages=pages,
                at_once=at_once,
                browser=str(browser),
                no_sandbox=browsers.needs_no_sandbox(),
                folder=str(folder),
                state=f"{scratch}/server",
            )
            log = folder / "log"
            cost = measuring.submit(measured, one.command(asked), log).result()
            pictures = one.pictures(asked)
            if not pictures:
                sys.exit(f"{one.name} captured nothing:\n{log.read_text(errors='replace')[-3000:]}")
            one.costs.append(cost)
            one.rounds.append(pictures)
            shutil.rmtree(folder)
            print(
                f"# round {number + 1}: {one.name}: {cost.wall_s:.1f} s, CPU {cost.cpu_s:.1f} s, "
                f"{cost.peak_mib:.0f} MiB, {len(pictures)} pictures, exit status {cost.status}",
                file=sys.stderr,
                flush=True,
            )
        return browsers.version(browser)


# --- telling ------------------------------------------------------------------------------------------


def table(contestants: list[Contestant], pages: list[str]) -> str:
    """The medians as Markdown; ratios are to BackstopJS (wall, CPU) and to the leanest (memory)."""
    against = next((one for one in contestants if one.name == BACKSTOP), contestants[0])
    leanest = min(one.median("peak_mib") for one in contestants)
    lines = [
        f"| | wall s | × {against.name} | CPU s | × {against.name} | peak MiB | × leanest | flaked | no picture |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in contestants:
        wall_s, cpu_s, peak_mib = map(one.median, ("wall_s", "cpu_s", "peak_mib"))
        flaked = str(len(one.flaked)) if len(one.rounds) > 1 else ""
        lines.append(
            f"| {one.name} | {wall_s:.1f} | {wall_s / against.median('wall_s'):.2f} "
            f"| {cpu_s:.1f} | {cpu_s / against.median('cpu_s'):.2f} "
            f"| {peak_mib:.0f} | {peak_mib / leanest:.2f} | {flaked} | {len(one.missing(pages))} |"
        )
    for one in contestants:
        for what, names in (("flaked", one.flaked), ("no picture", one.missing(pages))):
            if names:
                lines.append(f"\n{one.name}, {what}: {', '.join(sorted(names))}.")
    return "\n".join(lines)


def goals(contestants: list[Contestant], pages: list[str]) -> str:
    """What retestr shall keep to, and whether it does; needs retestr and BackstopJS among the contestants."""
    by_name = {one.name: one for one in contestants}
    own, backstop = by_name.get("retestr"), by_name.get(BACKSTOP)
    if not own or not backstop:
        return "Goals: not judged without retestr and BackstopJS."
    peers = [one for one in contestants if not one.name.startswith("retestr")]
    wall, cpu = (own.median(what) / backstop.median(what) for what in ("wall_s", "cpu_s"))
    fastest = own.median("wall_s") / min(one.median("wall_s") for one in peers)
    memory = own.median("peak_mib") / min(one.median("peak_mib") for one in peers)
    unwell = len(own.flaked | own.missing(pages))
    judged = [
        (wall <= 0.5, f"wall {wall:.2f} × BackstopJS, at most 0.5"),
        (cpu <= 0.5, f"CPU {cpu:.2f} × BackstopJS, at most 0.5"),
        (fastest < 1, f"wall {fastest:.2f} × the fastest peer, below 1"),
        (memory <= 1.2, f"memory {memory:.2f} × the leanest peer, at most 1.2"),
        (unwell == 0, f"{unwell} pages flaked or without a picture, none"),
    ]
    return "\n".join(told(*one) for one in judged)


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="4 pages, one round: whether it runs, not what it costs"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pages", type=int, default=30, help="how many (default: 30)")
    parser.add_argument("--at-once", type=int, default=2 * (os.cpu_count() or 1), help="pages (2 x cores)")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    options = parser.parse_args()
    if not Path("/proc/self/smaps_rollup").exists():
        sys.exit("capture: memory is read from /proc/PID/smaps_rollup, which this system does not have.")
    if not shutil.which("npm"):
        sys.exit("capture: the peers come from the npm registry, and there is no npm here.")
    rounds, count = (1, 4) if options.quick else (options.rounds, options.pages)

    from benchmarks.pages import generated

    pages = [page for page in generated() if page not in LEFT_OUT][:count]
    contestants = [Contestant(*CONTESTANTS[name]) for name in options.only]
    fetch_peers()
    browser = measure(contestants, pages, rounds, options.at_once)
    print(table(contestants, pages))
    print(f"\n{goals(contestants, pages)}")
    versions = ", ".join(f"{package} {version}" for package, version in VERSIONS.items())
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    print(
        f"\nMedians of {rounds} rounds: {len(pages)} pages, {len(VIEWPORTS)} viewports, {options.at_once} pages at once. "
        f"{browser}; {versions}; {os.cpu_count()} cores, load {load}."
    )


if __name__ == "__main__":
    main()
