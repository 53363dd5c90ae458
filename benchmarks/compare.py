"""Comparing two screenshots: retestr beside odiff, blazediff, pixelmatch and looks-same, in one run.

The pictures are generated pages, captured as the worker captures and stores them, in three sizes, before and after
a change. Each tool is given the paths of both files and answers with how many pixels differ, anti-aliasing not
counted, at threshold 0.1 (looks-same has a threshold of its own); nobody draws the difference. Each is a process
that is started before (odiff, whose server has to draw, is started for each pair: it needs 1 ms for that).

- *retestr* is `server.vision.compare`, which finds regions, rows moved and a sentence, too;
- *floor*: inflating the pixels of both files at once with libdeflate, and nothing else;
- *local* changes are in a few places; *band*: rows inserted or removed, the rest of the page moved; *other*: all
  over the page, or edges moved by part of a pixel, or the same pixels in other bytes;
- the suite: 100 snapshots of which 5 changed; all are given all pairs, with whatever short-cuts they have. retestr's is
  that files of the same bytes are the same picture (its worker does not even read the baseline: it knows its hash).

Wall time is from question to answer; CPU is the kernel's, of the tool's process. Pairs and tools take turns, each round
beginning with the next tool; the tables show medians, and ratios of medians to the fastest peer of each pair. All
peers know anti-aliasing. They come from the npm and PyPI registries, once, at the versions named here. Linux only.

Pictures of 2560x6000 take 46 MB each, for which NumPy asks the kernel for huge pages. Now and then the kernel takes 80 ms
to find some, which can double a median of five; with NUMPY_MADVISE_HUGEPAGE=0 this never happens, and all else is slower.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import _npm
from benchmarks._compare_pictures import CHANGES, MEGAPIXELS, SIZES, Pair, pictures
from benchmarks._goals import told

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path.home() / ".cache" / "retestr-bench" / "compare-peers"
VERSIONS = {"odiff-bin": "4.5.0", "pixelmatch": "7.2.0", "pngjs": "7.0.0", "looks-same": "10.0.1"}
BLAZEDIFF = "6.0.2"
SUITE, SUITE_CHANGED, SUITE_SIZE = 100, 5, "1280x4000"

Counts = list[int]


# --- the tools ----------------------------------------------------------------------------------------


class Tool:
    """A process that answers a line, a JSON list of pairs of paths, with one, the list of their counts."""

    def __init__(self, name: str, arguments: list[str], environment: dict[str, str] | None = None) -> None:
        self.name = name
        self._process = subprocess.Popen(
            arguments,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == []  # it is ready

    def compare(self, pairs: list[tuple[str, str]]) -> tuple[Counts, float, float]:
        """How many pixels differ in each pair; wall and CPU seconds that took."""
        assert self._process.stdin
        cpu_s, start = self._cpu_s(), time.perf_counter()
        self._process.stdin.write(json.dumps(pairs) + "\n")
        self._process.stdin.flush()
        counts = self._answer()
        return counts, time.perf_counter() - start, self._cpu_s() - cpu_s

    def stop(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def _answer(self) -> Counts:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, f"{self.name} ended with status {self._process.wait(30)}"
        return json.loads(line)

    def _cpu_s(self) -> float:
        """CPU time of the whole process: its clock's number is made of its ID (clock_getcpuclockid(3))."""
        return time.clock_gettime(~self._process.pid << 3 | 2)


class Odiff:
    """odiff's command, once for each pair."""

    name = "odiff"

    def compare(self, pairs: list[tuple[str, str]]) -> tuple[Counts, float, float]:
        used, start, counts = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), []
        for before, after in pairs:
            odiff = str(PEERS / "node_modules/@odiff/linux-x64/odiff")
            command = [odiff, before, after, "--antialiasing", "--threshold=0.1", "--parsable-stdout"]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode in (0, 22), done
            counts.append(int(done.stdout.partition(";")[0] or 0))
        wall_s, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        return counts, wall_s, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime

    def stop(self) -> None:
        pass


def serve(answer: Callable[[str, str], int]) -> None:
    """A tool's process, in Python."""
    print("[]", flush=True)
    for line in sys.stdin:
        print(json.dumps([answer(*pair) for pair in json.loads(line)]), flush=True)


def serve_retestr() -> None:
    """As the worker does it, but that the files are read from disk."""
    from server.vision.compare import Options, compare

    options = Options(max_megapixels=MEGAPIXELS)
    serve(
        lambda before, after: (
            compare(Path(before).read_bytes(), Path(after).read_bytes(), options).changed_pixels
        )
    )


def serve_floor() -> None:
    """Inflates the pixels of both files, side by side, into memory that is there already."""
    import imagecodecs
    import numpy as np

    memory = [np.zeros(1, np.uint8)] * 2

    def inflate(side: int, path: str) -> None:
        png = Path(path).read_bytes()
        width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
        if memory[side].size < height * (1 + 4 * width):
            memory[side] = np.zeros(height * (1 + 4 * width), np.uint8)
        data, at = bytearray(), 8
        while at < len(png):
            length = int.from_bytes(png[at : at + 4], "big")
            if png[at + 4 : at + 8] == b"IDAT":
                data += png[at + 8 : at + 8 + length]
            at += 12 + length
        imagecodecs.deflate_decode(bytes(data), out=memory[side])

    threads = ThreadPoolExecutor(2)

    def answer(before: str, after: str) -> int:
        list(threads.map(inflate, (0, 1), (before, after)))
        return 0

    serve(answer)


def serve_blazediff() -> None:
    """blazediff's Python module."""
    sys.path.insert(0, str(PEERS / "python"))
    import blazediff  # type: ignore[import-not-found]

    def answer(before: str, after: str) -> int:
        found = blazediff.compare(before, after, threshold=0.1, antialiasing=True)
        assert found.match_result or found.reason == "pixel-diff", found
        return found.diff_count or 0

    serve(answer)


def _python(function: str) -> list[str]:
    return [sys.executable, "-c", f"from benchmarks import compare; compare.{function}()"]


def _node(peer: str) -> list[str]:
    return ["node", str(ROOT / "benchmarks/compare_peers.js"), peer, str(PEERS)]


TOOLS: dict[str, Callable[[], Tool | Odiff]] = {
    "floor": lambda: Tool("floor", _python("serve_floor")),
    "retestr": lambda: Tool("retestr", _python("serve_retestr")),
    "blazediff, own codec": lambda: Tool(
        "blazediff, own codec", _python("serve_blazediff"), {"BLAZEDIFF_PNG_ENABLED": "1"}
    ),
    "blazediff": lambda: Tool("blazediff", _python("serve_blazediff")),
    "odiff": Odiff,
    "pixelmatch": lambda: Tool("pixelmatch", _node("pixelmatch")),
    "looks-same": lambda: Tool("looks-same", _node("looks-same")),
}
OURS = ("floor", "retestr")


def fetch_peers() -> None:
    """Installs the peers in their cache folder, unless they are there; raises CalledProcessError where that fails."""
    _npm.fetch(PEERS, VERSIONS)
    if not (PEERS / "python" / f"blazediff-{BLAZEDIFF}.dist-info").exists():
        shutil.rmtree(PEERS / "python", ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", "python"]
        subprocess.run([*command, f"blazediff=={BLAZEDIFF}"], cwd=PEERS, check=True, stdout=sys.stderr)


# --- measuring ----------------------------------------------------------------------------------------


@dataclass
class Taken:
    """What one tool took for one question, over the rounds; seconds."""

    counts: Counts = field(default_factory=list)
    walls_s: list[float] = field(default_factory=list)
    cpus_s: list[float] = field(default_factory=list)

    @property
    def wall_s(self) -> float:
        return statistics.median(self.walls_s)

    @property
    def cpu_s(self) -> float:
        return statistics.median(self.cpus_s)


def rotated(names: list[str], by: int) -> list[str]:
    """The names in the same order, beginning with another."""
    return names[by % len(names) :] + names[: by % len(names)]


def measure(
    tools: list[str], questions: dict[str, list[tuple[str, str]]], rounds: int
) -> dict[str, dict[str, Taken]]:
    """Ask every tool every question, `rounds` times after one that does not count: by question and tool."""
    taken = {question: {name: Taken() for name in tools} for question in questions}
    running = {name: TOOLS[name]() for name in tools}
    try:
        for number in range(rounds + 1):
            for at, (question, pairs) in enumerate(questions.items()):
                for name in rotated(tools, number + at):
                    counts, wall_s, cpu_s = running[name].compare(pairs)
                    if number:
                        one = taken[question][name]
                        one.counts = counts
                        one.walls_s.append(wall_s)
                        one.cpus_s.append(cpu_s)
            print(f"# round {number} of {rounds}", file=sys.stderr, flush=True)
    finally:
        for tool in running.values():
            tool.stop()
    return taken


def suite_of(pairs: list[Pair]) -> list[tuple[str, str]]:
    """100 snapshots, 5 of them changed; an unchanged one is the same bytes in another file."""
    here = [pair for pair in pairs if pair.size == SUITE_SIZE and not pair.name.endswith("same")]
    questions = []
    for n in range(SUITE):
        pair = here[n % len(here)]
        after = pair.after if n % (SUITE // SUITE_CHANGED) == 0 else pair.before.with_suffix(".again.png")
        if not after.exists():
            shutil.copyfile(pair.before, after)
        questions.append((str(pair.before), str(after)))
    return questions


# --- telling ------------------------------------------------------------------------------------------


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}" if seconds >= 0.01 else f"{seconds * 1000:.1f}"


def peers_of(row: dict[str, Taken]) -> dict[str, Taken]:
    return {name: taken for name, taken in row.items() if name not in OURS}


def ratios(row: dict[str, Taken]) -> tuple[float, float]:
    """Wall and CPU of retestr to the fastest and to the thriftiest peer."""
    peers, own = peers_of(row).values(), row["retestr"]
    return own.wall_s / min(p.wall_s for p in peers), own.cpu_s / min(p.cpu_s for p in peers)


def table(taken: dict[str, dict[str, Taken]], tools: list[str]) -> str:
    """Wall / CPU in ms, retestr's ratios, and the counts where retestr and pixelmatch disagree, as Markdown."""
    lines = [
        f"| wall / CPU, ms | {' | '.join(tools)} | ratio wall | ratio CPU |",
        f"| --- |{' ---: |' * (len(tools) + 2)}",
    ]
    for question, row in taken.items():
        cells = " | ".join(f"{ms(row[name].wall_s)} / {ms(row[name].cpu_s)}" for name in tools)
        wall, cpu = ratios(row)
        lines.append(f"| {question} | {cells} | {wall:.2f} | {cpu:.2f} |")
    return "\n".join(lines)


def counts(taken: dict[str, dict[str, Taken]], tools: list[str]) -> Iterator[str]:
    """How many pixels each tool finds in each pair, where they are not one mind."""
    told = [name for name in tools if name != "floor"]
    yield f"| pixels | {' | '.join(told)} |\n| --- |{' ---: |' * len(told)}"
    for question, row in taken.items():
        yield f"| {question} | {' | '.join(str(sum(row[name].counts)) for name in told)} |"


def goals(pairs: list[Pair], taken: dict[str, dict[str, Taken]], suite: dict[str, Taken]) -> Iterator[str]:
    """What retestr shall keep to, by the median of the wall ratios of each kind, and whether it does."""
    most = {"local": dict.fromkeys(SIZES, 1.0) | {"1280x800": 1.3}, "band": 1 / 3, "other": 1.4}
    for kind in ("local", "band", "other"):
        for size in dict.fromkeys(pair.size for pair in pairs):
            found = [ratios(taken[f"{p.name} {size}"]) for p in pairs if p.kind == kind and p.size == size]
            if not found:
                continue
            limit: Any = most[kind]
            limit = limit[size] if isinstance(limit, dict) else limit
            wall, cpu = (statistics.median(column) for column in zip(*found, strict=True))
            worst = max(one[0] for one in found)
            yield told(
                wall <= limit,
                f"{kind} changes, {size}: wall {wall:.2f} (worst {worst:.2f}), "
                f"CPU {cpu:.2f} × the best peer; at most {limit:.2f}",
            )
    if suite:
        wall, cpu = ratios(suite)
        yield told(
            wall <= 0.2,
            f"suite of {SUITE}, {SUITE_CHANGED} changed: "
            f"wall {wall:.2f}, CPU {cpu:.2f} × the best peer; at most 0.20",
        )


def main() -> None:
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="three rounds, the quick peers: for noisy machines"
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--pairs", nargs="+", choices=CHANGES, default=list(CHANGES))
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--no-suite", action="store_true")
    parser.add_argument("--keep", type=Path, help="a folder for the pictures")
    options = parser.parse_args()
    if sys.platform != "linux" or not shutil.which("npm"):
        sys.exit("compare: measures with Linux's clocks, and fetches peers with npm.")
    tools = [t for t in options.tools if not (options.quick and t in ("pixelmatch", "looks-same"))]
    rounds = 3 if options.quick else options.rounds

    fetch_peers()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        pairs = pictures(folder, options.sizes, options.pairs)
        questions = {f"{p.name} {p.size}": [(str(p.before), str(p.after))] for p in pairs}
        taken = measure(tools, questions, rounds)
        print(table(taken, tools))
        print("\n" + "\n".join(counts(taken, tools)))
        suite: dict[str, Taken] = {}
        if not options.no_suite and SUITE_SIZE in options.sizes:
            found = measure(tools, {"suite": suite_of(pairs)}, 1 if options.quick else 3)
            suite = found["suite"]
            print("\n" + table(found, tools))
        print("\n" + "\n".join(goals(pairs, taken, suite)))
    versions = ", ".join(f"{package} {version}" for package, version in VERSIONS.items())
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    print(
        f"\nMedians of {rounds} rounds. {versions}, blazediff {BLAZEDIFF}; {os.cpu_count()} cores, load {load}."
    )


if __name__ == "__main__":
    main()
