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

# Only what costs little is imported here: retestr's measured process imports this module, too.
from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path.home() / ".cache" / "retestr-bench" / "peers"
VERSIONS = {"backstopjs": "6.3.25", "@playwright/test": "1.65.1", "lost-pixel": "3.22.0"}
VIEWPORTS = {"desktop": (1280, 800), "phone": (390, 800)}  # of one height: lost-pixel takes no more
# How much of an endless page is captured is each tool's choice, the tall one is more than the peers can capture, and
# nobody answers a dialog for Puppeteer.
LEFT_OUT = {"endless.html", "tall.html", "dialog.html"}
SAMPLE_S = 0.2
LINGER_S = 10.0  # how long after a command's end its descendants may live on
MOST_S = 900.0
PR_SET_CHILD_SUBREAPER = 36
BACKSTOP = "BackstopJS"

Pictures = dict[str, str]  # "page-viewport" -> SHA-256


@dataclass(frozen=True)
class Asked:
    """What every tool is asked for; `folder` is the tool's own, empty, and gone after the round."""

    base: str
    pages: list[str]  # paths on the server, as "article.html"
    at_once: int
    browser: str
    no_sandbox: bool
    folder: str
    state: str  # a folder of the server's, kept between rounds

    @property
    def pictures(self) -> Path:
        return Path(self.folder) / "pictures"

    def url(self, page: str) -> str:
        return f"{self.base}/generated/{page}"


@dataclass(frozen=True)
class Command:
    """A process to measure."""

    arguments: list[str]
    folder: str
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    status: int


def stored_pictures(asked: Asked) -> Pictures:
    """The PNG files that a tool has left; BackstopJS leaves a picture that says "error" where it failed."""
    failed = {_sha256(file) for file in (PEERS / "node_modules/backstopjs/capture/resources").glob("*.png")}
    found = {str(file.relative_to(asked.pictures)): _sha256(file) for file in asked.pictures.rglob("*.png")}
    return {_key(name): sha256 for name, sha256 in found.items() if sha256 not in failed}


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _key(name: str) -> str:
    """lost-pixel calls a picture "article__[w390px].png", the others "article-phone.png"."""
    for viewport, (width, _) in VIEWPORTS.items():
        name = name.replace(f"__[w{width}px]", f"-{viewport}")
    return name.removesuffix(".png")


# --- retestr ------------------------------------------------------------------------------------------


def retestr(asked: Asked) -> Command:
    """This module's `capture_directly()` in a process of its own."""
    return _own_process("capture_directly", asked)


def through_server(asked: Asked) -> Command:
    """This module's `capture_by_server()`; makes the server's organisation and project first, once."""
    state = Path(asked.state)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETESTR_")}
    environment |= {
        "RETESTR_DATA": str(state),
        "RETESTR_BROWSER": asked.browser,
        "RETESTR_PAGES_AT_ONCE": str(asked.at_once),
        "RETESTR_CAPTURE_ALLOW": asked.base.removeprefix("http://"),
    }

    def said(*arguments: str) -> dict[str, str]:
        command = [_retestr(), *arguments, "--json"]
        done = subprocess.run(command, env=environment, check=True, capture_output=True)
        return json.loads(done.stdout)

    if not state.exists():
        state.mkdir()
        windows = [{"name": name, "width": w, "height": h} for name, (w, h) in VIEWPORTS.items()]
        tests = [{"name": Path(page).stem, "path": f"/generated/{page}"} for page in asked.pages]
        suite = {"baseUrl": asked.base, "viewports": windows, "tests": tests}
        (state / "suite.yml").write_text(json.dumps(suite))  # JSON is YAML
        said("init", "--organization", "Bench", "--email", "ada@example.com", "--password", "a long password")
        of = ("--organization", "Bench", "--name", "bench")
        project = said("project", "create", *of, "--suite", f"{state}/suite.yml")["projectId"]
        key = said("key", "create", *of, "--scope", "admin:write")["key"]
        (state / "asked.json").write_text(json.dumps([project, key]))
    return _own_process("capture_by_server", asked, environment)


def server_pictures(asked: Asked) -> Pictures:
    """What the last run has stored; images are named by the hash of their bytes."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(Path(asked.state) / "retestr.db")) as database:
        newest = "(SELECT id FROM run ORDER BY number DESC LIMIT 1)"
        rows = database.execute(
            f"SELECT test, viewport, image FROM snapshot WHERE run_id = {newest} AND image IS NOT NULL"
        )
        return {f"{test}-{viewport}": image for test, viewport, image in rows}


def _retestr() -> str:
    return str(Path(sys.executable).parent / "retestr")


def _own_process(function: str, asked: Asked, environment: dict[str, str] | None = None) -> Command:
    code = f"from benchmarks import capture; capture.{function}()"
    return Command(
        [sys.executable, "-c", code, json.dumps(asdict(asked))], str(ROOT), environment or dict(os.environ)
    )


def capture_directly() -> None:
    """Captures what the first argument asks for; a page that cannot be captured is told and left out."""
    asyncio.run(_capture(Asked(**json.loads(sys.argv[1]))))


async def _capture(asked: Asked) -> None:
    from server.vision.addresses import AddressPolicy
    from server.vision.capture import Browser
    from server.vision.page import CaptureError, Page

    asked.pictures.mkdir()
    policy = AddressPolicy(allow=(asked.base.removeprefix("http://"),))
    asking = Browser(asked.browser, policy=policy, pages_at_once=asked.at_once)
    async with asking as browser, browser.session() as session:

        async def capture(page: str, viewport: str) -> None:
            try:
                image = await session.capture(Page(asked.url(page), *VIEWPORTS[viewport]))
            except CaptureError as error:
                print(error.message)
                return
            (asked.pictures / f"{Path(page).stem}-{viewport}.png").write_bytes(image.png)

        await asyncio.gather(*(capture(page, viewport) for page in asked.pages for viewport in VIEWPORTS))


def capture_by_server() -> None:
    """Starts the server, triggers a run, waits for its end, stops the server."""
    import http.client
    import socket

    asked = Asked(**json.loads(sys.argv[1]))
    project, key = json.loads((Path(asked.state) / "asked.json").read_text())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def ask(method: str, path: str, body: object = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        assert answer.status < 300, said
        return json.loads(said)

    server = subprocess.Popen([_retestr(), "serve", "--port", str(port)])
    try:
        while True:
            assert server.poll() is None, "the server does not start"
            with contextlib.suppress(ConnectionError):
                run = ask("POST", "/api/runs", {"projectId": project, "branch": "main"})["id"]
                break
            time.sleep(0.05)
        while ask("GET", f"/api/runs/{run}")["status"] in ("PENDING", "RUNNING"):
            time.sleep(0.2)
    finally:
        server.terminate()
        server.wait(60)


# --- the peers ----------------------------------------------------------------------------------------


def fetch_peers() -> None:
    """Installs the peers in their cache folder, unless they are there; raises CalledProcessError where npm fails."""
    PEERS.mkdir(parents=True, exist_ok=True)

    def version(package: str) -> str | None:
        about = PEERS / "node_modules" / package / "package.json"
        return json.loads(about.read_text())["version"] if about.exists() else None

    if any(version(package) != pinned for package, pinned in VERSIONS.items()):
        (PEERS / "package.json").write_text('{"private": true}')
        packages = [f"{package}@{pinned}" for package, pinned in VERSIONS.items()]
        # Without their scripts, which would download browsers: all use the one that is here.
        options = ["--save-exact", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(["npm", "install", *options, *packages], cwd=PEERS, check=True, stdout=sys.stderr)


def _peer(asked: Asked, name: str, *arguments: str) -> Command:
    program = str(PEERS / "node_modules" / ".bin" / name)
    return Command([program, *arguments], asked.folder, {**os.environ, "LOST_PIXEL_DISABLE_TELEMETRY": "1"})


def _browser_arguments(asked: Asked) -> list[str]:
    return ["--no-sandbox"] if asked.no_sandbox else []


def _backstop(asked: Asked, engine: str) -> Command:
    paths = ("bitmaps_reference", "bitmaps_test", "engine_scripts", "html_report", "ci_report")
    options = {"executablePath": asked.browser, "args": _browser_arguments(asked)}
    config = {
        "id": "bench",
        "viewports": [{"label": name, "width": w, "height": h} for name, (w, h) in VIEWPORTS.items()],
        "scenarios": [{"label": Path(page).stem, "url": asked.url(page)} for page in asked.pages],
        "paths": {path: f"{asked.folder}/{path}" for path in paths}
        | {"bitmaps_reference": str(asked.pictures)},
        "fileNameTemplate": "{scenarioLabel}-{viewportLabel}",
        "report": [],
        "engine": engine,
        "engineOptions": options | ({"browser": "chromium"} if engine == "playwright" else {}),
        "asyncCaptureLimit": asked.at_once,
    }
    Path(asked.folder, "backstop.json").write_text(json.dumps(config))
    return _peer(asked, "backstop", "reference", "--config=backstop.json")


def backstop_puppeteer(asked: Asked) -> Command:
    """A browser for each picture."""
    return _backstop(asked, "puppeteer")


def backstop_playwright(asked: Asked) -> Command:
    """One browser, a context for each picture."""
    return _backstop(asked, "playwright")


def _playwright(asked: Asked, shot: str) -> Command:
    options = {"executablePath": asked.browser, "args": _browser_arguments(asked)}
    config = {
        "workers": asked.at_once,
        "fullyParallel": True,
        "reporter": "line",
        "outputDir": f"{asked.folder}/results",
        "snapshotPathTemplate": f"{asked.pictures}/{{arg}}-{{projectName}}{{ext}}",
        "use": {"launchOptions": options},
        "projects": [
            {"name": name, "use": {"viewport": {"width": w, "height": h}}}
            for name, (w, h) in VIEWPORTS.items()
        ],
    }
    Path(asked.folder, "playwright.config.js").write_text(f"module.exports = {json.dumps(config)};\n")
    pages = {Path(page).stem: asked.url(page) for page in asked.pages}
    Path(asked.folder, "bench.spec.js").write_text(f"""
        const {{ test, expect }} = require("@playwright/test");
        for (const [name, url] of Object.entries({json.dumps(pages)}))
          test(name, async ({{ page }}, {{ project }}) => {{
            await page.goto(url);
            await {shot};
          }});
    """)
    return _peer(asked, "playwright", "test", "--update-snapshots")


def playwright_expect(asked: Asked) -> Command:
    """Takes pictures until two in a row agree."""
    return _playwright(asked, "expect(page).toHaveScreenshot(`${name}.png`, { fullPage: true })")


def playwright_shot(asked: Asked) -> Command:
    """Takes one picture."""
    path = f"{asked.pictures}/${{name}}-${{project.name}}.png"
    return _playwright(asked, f"page.screenshot({{ path: `{path}`, fullPage: true }})")


def lost_pixel(asked: Asked) -> Command:
    """One browser, a context for each picture."""
    options = {"executablePath": asked.browser, "args": _browser_arguments(asked)}
    config = {
        "pageShots": {
            "baseUrl": asked.base,
            "pages": [{"path": f"/generated/{page}", "name": Path(page).stem} for page in asked.pages],
            "breakpoints": [width for width, _ in VIEWPORTS.values()],
        },
        "generateOnly": True,
        "shotConcurrency": asked.at_once,
        "imagePathBaseline": str(asked.pictures),
        "imagePathCurrent": f"{asked.folder}/current",
        "imagePathDifference": f"{asked.folder}/difference",
        "browserLaunchOptions": {"chromium": options},
    }
    width, height = VIEWPORTS["desktop"]  # a breakpoint replaces the width
    Path(asked.folder, "lostpixel.config.js").write_text(f"""
        module.exports.config = {{ ...{json.dumps(config)},
          configureBrowser: () => ({{ viewport: {{ width: {width}, height: {height} }} }}) }};
    """)
    return _peer(asked, "lost-pixel", "update")


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


CONTESTANTS = {
    "retestr": ("retestr", retestr, stored_pictures),
    "server": ("retestr, through the server", through_server, server_pictures),
    "backstop": (BACKSTOP, backstop_puppeteer, stored_pictures),
    "backstop-playwright": ("BackstopJS, Playwright engine", backstop_playwright, stored_pictures),
    "playwright": ("Playwright Test, toHaveScreenshot", playwright_expect, stored_pictures),
    "playwright-shot": ("Playwright Test, page.screenshot", playwright_shot, stored_pictures),
    "lost-pixel": ("lost-pixel", lost_pixel, stored_pictures),
}


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


def descendants(root: int) -> set[int]:
    """The processes below a process."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    tree = {root}
    while more := {pid for pid, parent in parents.items() if parent in tree and pid not in tree}:
        tree |= more
    return tree - {root}


def pss_mib(pid: int) -> float:
    """A process's proportional set size; 0 once it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


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
    return "\n".join(f"- {'met' if met else 'MISSED'}: {goal}" for met, goal in judged)


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
