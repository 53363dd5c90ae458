"""Whether a page that does not change gives one picture, and whether that shows what a person sees.

Every page of `pages.py` is captured ten times each in fresh and in reused contexts, idle and with the other
core busy, four pages at once. A page is

- *hash-stable*: all its pictures are the same bytes;
- *verdict-stable*: `compare()` finds every two of them equal at the default threshold: what counts;
- *faithful*: text, pictures, canvases, films that a plain browser paints while one scrolls down, and paints again
  while one scrolls back up, are painted in the picture too. Painted means: visible by its style, not cut off, and
  the pixels of its box have more than one colour. The plain browser has the real clock and nothing held still; only
  its date and its random numbers start as a capture's do, so that both are shown the same data. What stands fixed
  in the window counts if it is there before scrolling, for that is what the picture shows.

The packages are split in two by a hash of their names: one half the engine was tuned on, the other was held out.
`--seeded` instead changes ten pages in six ways each, and asks that every change is found.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import itertools
import math
import multiprocessing
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import async_playwright

from benchmarks import pages
from benchmarks._goals import told
from benchmarks.pages import Measured
from server.vision import browser as browsers
from server.vision import capture, png, rooms, visit
from server.vision.compare import compare
from server.vision.guard import AddressPolicy
from server.vision.page import CaptureError, Image, Page
from server.vision.rest import Rest
from server.vision.visit import Visit

WIDTH, HEIGHT = 1280, 800
MEGAPIXELS = 250
AT_ONCE = 4
PAGE_S = 180.0  # pictures of 60 megapixels are among them, and the machine is kept busy
SEEN = (Path(__file__).parent / "seen.js").read_text()
CLOCK = """(() => {
  const Real = Date, shift = Real.UTC(2026, 0, 15, 10, 30) - Real.now();
  window.Date = class extends Real { constructor(...a) { a.length ? super(...a) : super(Real.now() + shift); }
    static now() { return Real.now() + shift; } };
  let seed = 0x5eed;
  Math.random = () => { seed = (seed + 0x6d2b79f5) | 0; let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t; return ((t ^ (t >>> 14)) >>> 0) / 4294967296; };
})()"""
MOST_STOPS = 30
STOP_S = 0.3

Thing = list[Any]  # key, left, top, right, bottom (CSS px)


@dataclass
class Outcome:
    """What became of one page over all its captures."""

    page: Measured
    shots: dict[str, bytes] = field(default_factory=dict)  # by SHA-256
    hashes: collections.Counter[str] = field(default_factory=collections.Counter)
    seconds: list[float] = field(default_factory=list)
    retakes: int = 0
    errors: list[str] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)
    moved: int = 0
    shown: list[Thing] = field(default_factory=list)
    first: str = ""
    missing: list[str] = field(default_factory=list)
    differs: str = ""

    @property
    def hash_stable(self) -> bool:
        return len(self.hashes) == 1 and not self.errors

    @property
    def verdict_stable(self) -> bool:
        return bool(self.hashes) and not self.differs and not self.errors


class Looking(Visit):
    """A visit that also notes what the page shows at the moment of its picture."""

    shown: dict[str, list[Thing]] = {}  # noqa: RUF012

    async def picture(self, known: frozenset[str]) -> Image:
        image = await super().picture(known)
        if image.sha256 not in self.shown:
            self.shown[image.sha256] = await self.tab.evaluate(SEEN, False)
        return image


# --- capturing ----------------------------------------------------------------------------------------


async def measure(outcomes: list[Outcome], base: str, rounds: int, conditions: list[str]) -> None:
    """Capture every page `rounds` times in each condition."""
    executable = browsers.find_browser()
    assert executable, "no browser here"
    policy = AddressPolicy(allow=(base.removeprefix("http://"),))
    for condition in conditions:
        began = time.monotonic()
        with busy_core() if "busy" in condition else contextlib.nullcontext():
            asking = capture.Browser(executable, policy=policy, pages_at_once=AT_ONCE)
            async with asking as browser, browser.session() as shared:
                for _ in range(rounds):
                    order = random.sample(outcomes, len(outcomes))
                    reused = shared if "reused" in condition else None
                    await asyncio.gather(*(_once(one, base, browser, reused) for one in order))
        took = time.monotonic() - began
        each = took / max(1, rounds * len(outcomes)) * 1000
        print(f"# {condition}: {took:.0f} s, {each:.0f} ms for each capture", file=sys.stderr, flush=True)


async def _once(
    outcome: Outcome, base: str, browser: capture.Browser, session: capture.Session | None
) -> None:
    page = Page(f"{base}/{outcome.page.path}", WIDTH, HEIGHT, timeout_s=PAGE_S)
    try:
        if session:
            image = await session.capture(page)
        else:
            async with browser.session() as own:
                image = await own.capture(page)
    except CaptureError as error:
        outcome.errors.append(error.message)
        return
    outcome.hashes[image.sha256] += 1
    outcome.shots.setdefault(image.sha256, image.png)
    outcome.first = outcome.first or image.sha256
    outcome.seconds.append(image.seconds)
    outcome.retakes += image.shots - 2
    outcome.moved += bool(image.moved)
    outcome.notes.update([image.note] if image.note else [])


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy."""
    process = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _spin() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        sum(range(10000))


def judge(outcome: Outcome) -> None:
    """Compare every two pictures of a page that are not the same bytes."""
    for first, second in itertools.combinations(outcome.shots.values(), 2):
        found = compare(first, second)
        if not found.equal:
            outcome.differs = found.sentence
            return


# --- what a person sees ---------------------------------------------------------------------------------


async def look(outcomes: list[Outcome], base: str) -> None:
    """Fill in `missing`: what plain scrolling shows and the first picture does not."""
    async with async_playwright() as playwright:
        flags = [*browsers.RENDERING_FLAGS]
        browser = await playwright.chromium.launch(
            executable_path=browsers.find_browser(), args=flags, chromium_sandbox=False
        )
        places = asyncio.Semaphore(AT_ONCE)

        async def one(outcome: Outcome) -> None:
            async with places:
                expected = await _scrolled(browser, f"{base}/{outcome.page.path}")
            if outcome.first:
                shown = Looking.shown[outcome.first]
                painted = {thing[0] for thing in _painted(outcome.shots[outcome.first], shown, 0, 0)}
                if missing := expected - painted:
                    async with places:  # what another plain visit does not show is left to chance
                        missing &= await _scrolled(browser, f"{base}/{outcome.page.path}")
                outcome.missing = sorted(missing)

        await asyncio.gather(*map(one, outcomes))
        await browser.close()


async def _scrolled(browser: Any, url: str) -> set[str]:
    """What scrolling down shows and scrolling up shows again."""
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT},
        reduced_motion="reduce",
        locale="en-US",
        timezone_id="UTC",
        service_workers="block",
    )
    await context.add_init_script(CLOCK)
    tab = await context.new_page()
    with contextlib.suppress(Exception):
        await tab.goto(url, wait_until="load", timeout=15000)
    await asyncio.sleep(1.5)

    async def pass_over(tops: list[int]) -> tuple[set[str], set[str]]:
        seen: set[str] = set()
        top_of_page: set[str] = set()
        for top in tops:
            await tab.evaluate("top => scrollTo({top, behavior: 'instant'})", top)
            await asyncio.sleep(STOP_S)
            things = await tab.evaluate(SEEN, True)
            x, y = await tab.evaluate("[scrollX, scrollY]")
            keys = {thing[0] for thing in _painted(await tab.screenshot(), things, x, y)}
            seen |= keys
            if top == 0:
                top_of_page = keys
        return seen, top_of_page

    height = await tab.evaluate("Math.max(0, document.documentElement.scrollHeight - innerHeight)")
    tops = [*range(0, height, HEIGHT // 2), height][:MOST_STOPS]
    down, first = await pass_over(tops)
    up, last = await pass_over(tops[::-1])
    await context.close()
    return {key for key in down & up if not key.startswith("!") or key in first & last}


def _painted(shot: bytes, things: list[Thing], x: float, y: float) -> list[Thing]:
    """Those whose pixels have more than one colour; `x` and `y` are where the shot's corner is."""
    pixels = png.decode(shot, MEGAPIXELS)
    found = []
    for thing in things:
        left, top, right, bottom = (
            round(max(0, value - offset)) for value, offset in zip(thing[1:], (x, y, x, y), strict=True)
        )
        part = pixels[top:bottom, left:right]
        if part.size and np.ptp(part.reshape(-1, 3), axis=0).max() > 24:
            found.append(thing)
    return found


# --- reporting -------------------------------------------------------------------------------------------


def report(outcomes: list[Outcome], *, looked: bool) -> None:
    """Print a line for each page and a sum for each part, beside its goals."""
    print(f"{'page':58} hash    verdict faithful    ms  shots")
    for one in outcomes:
        most = max(one.hashes.values(), default=0)
        hashes = "one" if one.hash_stable else f"{most}/{one.hashes.total()}"
        ms = statistics.median(one.seconds) * 1000 if one.seconds else 0
        faithful = ("yes" if not one.missing else f"-{len(one.missing)}") if looked else "?"
        verdict = "stable" if one.verdict_stable else "DIFFERS"
        retakes = 2 + one.retakes / max(1, one.hashes.total())
        print(f"{one.page.name[:58]:58} {hashes:7} {verdict:7} {faithful:8} {ms:6.0f} {retakes:5.2f}")
        for line in (one.differs, *one.errors[:1], *sorted(one.notes), *one.missing[:6]):
            if line:
                print(f"      {line[:150]}")
    print()
    for half in ("generated", "tuned on", "held out"):
        part = [one for one in outcomes if one.page.half == half]
        if not part:
            continue
        stable, verdict = sum(one.hash_stable for one in part), sum(one.verdict_stable for one in part)
        faithful = sum(not one.missing and bool(one.first) for one in part)
        ms = statistics.median(seconds for one in part for seconds in one.seconds or [0]) * 1000
        every = len(part)
        goals = [("verdict-stable", verdict, every), ("hash-stable", stable, math.ceil(0.9 * every))]
        goals += [("faithful", faithful, every)] if looked else []
        for what, count, least in goals:
            print(told(count >= least, f"{half}, {what}: {count} of {every}, at least {least}"))
        print(f"{half}: median {ms:.0f} ms a capture")


# --- seeded changes ---------------------------------------------------------------------------------------

CHANGES = ("word", "border", "colour", "icon", "moved", "banner")
SEED = (Path(__file__).parent / "seed.js").read_text()
SEEDED = (
    "admin-lte index.html", "admin-lte index2.html", "admin-lte pages/widgets.html",
    "admin-lte pages/UI/timeline.html", "admin-lte pages/tables/data.html", "startbootstrap-sb-admin-2 index.html",
    "startbootstrap-sb-admin-2 charts.html", "startbootstrap-sb-admin-2 tables.html",
    "startbootstrap-creative dist/index.html", "startbootstrap-agency dist/index.html",
)  # fmt: skip


class Changing(Rest):
    """A rest that makes one small change to the page before it is held still."""

    kind: str | None = None
    made: str | None = None

    async def freeze(self) -> None:
        if Changing.kind:
            Changing.made = await self._tab.evaluate(SEED, Changing.kind)
        await super().freeze()


async def seeded(base: str) -> None:
    """Make every change on each of ten pages and print which were found."""
    policy = AddressPolicy(allow=(base.removeprefix("http://"),))
    paths = {page.name: page.path for page in pages.measured_pages()}
    executable = browsers.find_browser()
    assert executable, "no browser here"
    missed = 0
    asking = capture.Browser(executable, policy=policy)
    async with asking as browser, browser.session() as session:
        for name in SEEDED:
            page = Page(f"{base}/{paths[name]}", WIDTH, HEIGHT)
            Changing.kind = None
            before = await session.capture(page)
            words = []
            for Changing.kind in CHANGES:
                after = await session.capture(page)
                found = not compare(before.png, after.png).equal
                missed += not found or Changing.made is None
                words.append(f"{Changing.kind} {'found' if found else 'MISSED'} ({Changing.made})")
            print(f"{name[:45]:45} {', '.join(words)}", flush=True)
    made = len(SEEDED) * len(CHANGES)
    print("\n" + told(missed == 0, f"{made - missed} of {made} changes found"))


CONDITIONS = ["fresh, idle", "reused, idle", "fresh, busy", "reused, busy"]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two rounds of the generated pages, idle only")
    parser.add_argument("--rounds", type=int, default=10, help="captures of a page in each condition (10)")
    parser.add_argument("--part", action="append", help="only generated, tuned or held")
    parser.add_argument("--only", default="", help="only pages whose name holds this")
    parser.add_argument("--conditions", type=int, default=4, help="only the first so many conditions")
    parser.add_argument("--plain", action="store_true", help="do not look at what plain scrolling shows")
    parser.add_argument("--keep", type=Path, help="a folder to keep the pictures in")
    parser.add_argument("--seeded", action="store_true", help="seeded changes instead: is each found?")
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds, asked.part, asked.conditions = 2, ["generated"], 2

    if not asked.quick:
        pages.fetch()
    if asked.seeded:
        visit.Rest = Changing  # type: ignore[misc]
        with pages.serving() as base:
            asyncio.run(seeded(base))
        return
    wanted = [
        page
        for page in pages.measured_pages()
        if asked.only in page.name and (not asked.part or any(page.half.startswith(p) for p in asked.part))
    ]
    outcomes = [Outcome(page) for page in wanted]
    rooms.Visit = Looking  # type: ignore[misc]
    with pages.serving() as base:
        asyncio.run(measure(outcomes, base, asked.rounds, CONDITIONS[: asked.conditions]))
        for outcome in outcomes:
            judge(outcome)
        if not asked.plain:
            asyncio.run(look(outcomes, base))
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
        for outcome in outcomes:
            for number, shot in enumerate(outcome.shots.values()):
                name = "".join(c if c.isalnum() else "-" for c in outcome.page.name)
                (asked.keep / f"{name}.{number}.png").write_bytes(shot)
    report(outcomes, looked=not asked.plain)


if __name__ == "__main__":
    main()
