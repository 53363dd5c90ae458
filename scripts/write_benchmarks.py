"""Writes what a benchmark printed into docs/benchmarks.md: `python scripts/write_benchmarks.py NAME FILE [OPTION…]`.

`make bench` and `scripts/bench` call it. Each benchmark has a part of its own there, with the date, the machine and
the command; the table on top is made from the lines of all parts that begin with `- met:` or `- MISSED:`.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from datetime import date
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs/benchmarks.md"

QUESTIONS = {
    "auth": "What an authenticated, counted request costs beside a bare Flask route",
    "list_runs": "How long a page of runs takes among 1,000,000",
    "cancel_all": "How long cancelling 100,000 runs takes, and others wait meanwhile",
    "under_load": "How long triggering 10,000 snapshots takes, and reads while a worker captures",
    "capture": "Capturing 30 pages in two viewports, beside BackstopJS, Playwright Test and lost-pixel",
    "determinism": "Whether a page that does not change gives one picture, and a faithful one",
    "determinism --seeded": "Whether seeded changes are found",
    "compare": "Comparing two screenshots, beside odiff, blazediff, pixelmatch and looks-same",
    "action": "What the Action costs beside a plain curl loop",
    "dashboard": "How quick and how heavy the dashboard's pages are",
    "scale": "What more workers and web processes bring",
}
GOALS = {
    "auth": ("3", "at most 3.0 times the CPU of a bare Flask route, exact counting included"),
    "list_runs": ("4", "pages of 1,000,000 runs, first and deep: figures"),
    "cancel_all": ("4", "100,000 runs cancelled: figures"),
    "under_load": ("4", "10,000 snapshots triggered within 1 s; p95 of reads below 100 ms at full load"),
    "capture": ("5", "at most half of BackstopJS's wall and CPU, the fastest, no flake, at most 1.2 of the leanest's memory"),
    "determinism": ("5", "verdict-stable 100 %, hash-stable 90 % or more, faithful 100 %"),
    "determinism --seeded": ("5", "every seeded change found at the default threshold"),
    "compare": ("6", "a suite of 100 five times, bands three times ahead of the fastest peer; local changes at most 1.0 (1.3 below 1280x4000), the rest at most 1.4"),
    "action": ("7", "at most 0.4 s more than a curl loop, and one polling interval at the end; loaded within 0.25 s"),
    "dashboard": ("8", "first byte and weight with 1,000,000 runs and 3,000 snapshots: figures"),
    "scale": ("9", "at least 0.9 efficiency with 2 and 4 workers; claims and requests a second: figures"),
}  # fmt: skip
"""The issue that names the goal, and the goal."""

PART = re.compile(r"<!-- bench (.+?) -->\n(.*?)<!-- /bench -->\n", re.DOTALL)
BEGIN, END = "<!-- benchmarks -->\n", "<!-- /benchmarks -->\n"


def written(page: str, name: str, printed: str, options: list[str], today: date, machine: str) -> str:
    """The page with one benchmark's part anew, in the order of `QUESTIONS`, and the table on top."""
    parts = dict(PART.findall(page))
    parts[name] = _part(name, printed, options, today, machine)
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    told = [f"<!-- bench {one} -->\n{parts[one]}<!-- /bench -->\n" for one in QUESTIONS if one in parts]
    return head + BEGIN + "\n".join([_summary(parts), *told]) + END + tail


def _part(name: str, printed: str, options: list[str], today: date, machine: str) -> str:
    text = printed.strip()
    if not re.search(r"^\|", text, re.MULTILINE):
        text = f"```text\n{text}\n```"
    command = " ".join(["scripts/bench", name, *(option for option in options if option not in name.split())])
    return f"## {name}\n\n{QUESTIONS[name]}. `{command}`, {today:%-d %B %Y}, {machine}.\n\n{text}\n\n"


def _summary(parts: dict[str, str]) -> str:
    rows = []
    for name, (issue, goal) in GOALS.items():
        judged = re.findall(r"^- (met|MISSED): (.+)$", parts.get(name, ""), re.MULTILINE)
        figures = "<br>".join(
            f"{'reached' if word == 'met' else '**missed**'}: {said}" for word, said in judged
        )
        nothing = "see below" if name in parts else "not measured yet"
        rows.append(f"| {name} | {issue} | {goal} | {figures or nothing} |")
    return "\n".join(["| benchmark | issue | goal | figure |", "| --- | --- | --- | --- |", *rows]) + "\n"


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else []
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = names[0] if names else platform.machine()
    return (
        f"{os.cpu_count()} cores of {processor}, {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()} ({_loop_s():.2f} s for a loop of 10,000,000 additions)"
    )


def _loop_s() -> float:
    """How fast the machine is just now: virtual machines share theirs, and are at half their speed for hours."""
    start, total = time.process_time(), 0
    for number in range(10_000_000):
        total += number
    return time.process_time() - start


if __name__ == "__main__":
    name, file, *options = sys.argv[1:]
    PAGE.write_text(
        written(PAGE.read_text(), name, Path(file).read_text(), options, date.today(), _machine())
    )
