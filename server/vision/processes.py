"""The browser's processes: their memory, their priority, and the end of a page that has too much. Linux only, by /proc.

Chromium bounds a page's JavaScript objects (at 4 GB) but neither its buffers nor its elements, and a few such pages at
once would take the whole machine.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("retestr.browser")

MOST_PAGE_BYTES = 2 * 1024**3
WATCH_S = 0.5
NICENESS = 5
"""A third of what another gets who wants as much. At 10 it is a tenth, and where others keep the machine busy, pages
took ten times as long and came to their deadlines."""


@dataclass(frozen=True, slots=True)
class Process:
    """One of the browser's processes; `own_bytes` leaves out what it shares with others, as its program."""

    pid: int
    is_page: bool
    own_bytes: int


def processes(parent: int | None = None) -> Iterator[Process]:
    """The descendants of a process, of this one unless told; none where there is no /proc."""
    for thread in Path(f"/proc/{parent or os.getpid()}/task").glob("*"):
        try:
            children = (thread / "children").read_text().split()
        except OSError:
            continue  # it has just ended
        for child in map(int, children):
            is_page = False
            with contextlib.suppress(OSError, ValueError):
                is_page = b"--type=renderer" in Path(f"/proc/{child}/cmdline").read_bytes()
                _, resident, shared, *_ = map(int, Path(f"/proc/{child}/statm").read_text().split())
                yield Process(child, is_page, (resident - shared) * os.sysconf("SC_PAGE_SIZE"))
            if not is_page:  # a page's has many threads, and no children
                yield from processes(child)


def groups() -> set[int]:
    """The process groups that descendants of this process lead, or belong to; its own left out."""
    found = set()
    for process in processes():
        with contextlib.suppress(OSError):
            found.add(os.getpgid(process.pid))
    return found - {os.getpgrp()}


def make_way(browser: set[int]) -> None:
    """Lower a browser's priority, so that people who read the dashboard of the same machine do not wait for it.

    Not the worker's own: what it writes to the database, others wait for. The browser leads a group of processes;
    on Linux only a group's priority is that of all its threads. It also leads a session: where the kernel shares the
    processor among sessions (autogroup, see sched(7)), a priority counts within one only, and the session has its own.
    """
    for group in browser:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PGRP, group, NICENESS)
            if os.getsid(group) != os.getsid(0):
                Path(f"/proc/{group}/autogroup").write_text(str(NICENESS))


def kept_bytes() -> int:
    """The memory of what outlives pages: the browser and its driver, without the processes of pages."""
    return sum(process.own_bytes for process in processes() if not process.is_page)


async def look_after(browser: set[int]) -> None:
    """For ever: a page that has more than `MOST_PAGE_BYTES` crashes, and a browser's groups make way for others."""
    while True:
        make_way(browser)  # again and again: some of its processes raise their own priority, where they may
        for process in processes():
            if process.is_page and process.own_bytes > MOST_PAGE_BYTES:
                log.warning("a page was ended: it had %d MiB of memory", process.own_bytes // 2**20)
                with contextlib.suppress(OSError):
                    os.kill(process.pid, signal.SIGKILL)
        await asyncio.sleep(WATCH_S)
