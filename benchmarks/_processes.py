"""Processes, their memory and their CPU time, from /proc. Linux only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def descendants(root: int) -> set[int]:
    """The processes below a process."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int(_stat(int(folder.name))[1])
    tree = {root}
    while more := {pid for pid, parent in parents.items() if parent in tree and pid not in tree}:
        tree |= more
    return tree - {root}


def cpu_s(root: int) -> float:
    """User and system time of a process and its descendants, dead ones included."""
    ticks = 0
    for pid in {root} | descendants(root):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, _stat(pid)[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def pss_mib(pid: int) -> float:
    """A process's proportional set size; 0 once it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def of_server(root: int) -> Iterator[tuple[str, int]]:
    """What each process of a server is, and its ID, as far as they are there."""
    for pid in {root} | descendants(root):
        with contextlib.suppress(OSError):
            yield kind_of(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()), pid


def kind_of(command: str) -> str:
    """What a process of the server is, by its command line."""
    for kind, mark in {"web": "gunicorn", "browser": "chrom", "browser's driver": "playwright"}.items():
        if mark in command:
            return kind
    return "worker" if "worker" in command else "supervisor"


def _stat(pid: int) -> list[str]:
    """What /proc/PID/stat tells behind the program's name (proc(5), from the third field on)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
