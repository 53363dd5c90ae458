"""The tools of `capture.py`: what each is asked for, the command that does it, and where its pictures are then."""

# Only what costs little is imported here: retestr's measured process imports this module, too.
from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import _npm

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path.home() / ".cache" / "retestr-bench" / "peers"
VERSIONS = {"backstopjs": "6.3.25", "@playwright/test": "1.65.1", "lost-pixel": "3.22.0"}
VIEWPORTS = {"desktop": (1280, 800), "phone": (390, 800)}  # of one height: lost-pixel takes no more
# How much of an endless page is captured is each tool's choice, the tall one is more than the peers can capture, and
# nobody answers a dialog for Puppeteer.
LEFT_OUT = {"endless.html", "tall.html", "dialog.html"}
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
    code = f"from benchmarks import _capture_tools; _capture_tools.{function}()"
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
    # Without their scripts, which would download browsers: all use the one that is here.
    _npm.fetch(PEERS, VERSIONS, "--ignore-scripts")


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


CONTESTANTS = {
    "retestr": ("retestr", retestr, stored_pictures),
    "server": ("retestr, through the server", through_server, server_pictures),
    "backstop": (BACKSTOP, backstop_puppeteer, stored_pictures),
    "backstop-playwright": ("BackstopJS, Playwright engine", backstop_playwright, stored_pictures),
    "playwright": ("Playwright Test, toHaveScreenshot", playwright_expect, stored_pictures),
    "playwright-shot": ("Playwright Test, page.screenshot", playwright_shot, stored_pictures),
    "lost-pixel": ("lost-pixel", lost_pixel, stored_pictures),
}
