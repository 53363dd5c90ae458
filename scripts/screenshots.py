"""Writes the pictures of the documentation from a real run: `python scripts/screenshots.py [FOLDER]`.

Runs the demo, logs in to its dashboard with a real browser and takes docs/images/*.png; with a folder, takes every
page at three widths and in both themes into it, to be looked at.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from server.vision import browser as browsers

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = (390, 1280, 1920)
WORKFLOW = "https://github.com/example/shop/actions/runs/1"


def main() -> None:
    """Takes the pictures."""
    demo = subprocess.Popen(
        [sys.executable, "-u", ROOT / "scripts/demo.py"], stdout=subprocess.PIPE, text=True
    )
    try:
        told = read_until(demo, "Ctrl-C ends the demo")
        run = re.search(r"Review it: +(\S+)", told)[1]
        email = re.search(r"Log in: +(\S+)", told)[1]
        password = re.search(r"Password: +(\S+)", told)[1]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=browsers.find_browser(), chromium_sandbox=not browsers.needs_no_sandbox()
            )
            if len(sys.argv) > 1:
                every_page(browser, run, email, password, Path(sys.argv[1]))
            else:
                page = logged_in(browser, run, email, password, width=1440, height=900, theme="light")
                page.screenshot(path=ROOT / "docs/images/review.png")
    finally:
        demo.terminate()
        demo.wait(60)


def read_until(demo: subprocess.Popen[str], text: str) -> str:
    """What the demo printed until a text came."""
    lines = []
    for line in demo.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise SystemExit("the demo ended early:\n" + "".join(lines))


def logged_in(browser: Browser, url: str, email: str, password: str, width: int, height: int, theme: str):
    """A page of the dashboard, after logging in."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(url)
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_load_state("networkidle")
    return page


def every_page(browser: Browser, run: str, email: str, password: str, folder: Path) -> None:
    """All pages, all widths, both themes; first those of a server that was just installed."""
    folder.mkdir(parents=True, exist_ok=True)
    home = "{0.scheme}://{0.netloc}".format(urlsplit(run))
    with new_server() as (new, setup):
        context = browser.new_context()
        take(context.new_page(), {"new-login": f"{new}/login", "new-setup": setup}, folder)
        page = context.new_page()
        page.goto(setup)
        for name, value in (
            ("organization", "Acme"),
            ("email", email),
            ("password", "correct horse battery"),
        ):
            page.fill(f"input[name={name}]", value)
        page.click("main button")
        take(page, {"new-first-steps": f"{new}/"}, folder)
        page.fill("#address", "ftp://nowhere")
        page.click("text=Take the first pictures")
        take(page, {"new-address-wrong": None}, folder)
        context.close()
    page = logged_in(browser, home, email, password, 1280, 900, "light")
    key = new_key(page, home, folder)
    history(page, home, key)
    shop = f"{home}/projects/sample-shop"
    paths = {
        "review": run,
        "projects": f"{home}/",
        "runs": shop,
        "runs-none": f"{shop}?branch=nowhere",
        "baselines": f"{shop}/baselines",
        "health": f"{shop}/health",
        "suite": f"{shop}/suite",
        "project-settings": f"{shop}/settings",
        "new-project": f"{home}/projects/new",
        "search": f"{home}/search?q=main",
        "search-tests": f"{home}/search?q=o",
        "cancel-all": f"{home}/cancel-all",
        "api-keys": f"{home}/settings/api-keys",
        "audit-logs": f"{home}/settings/audit-logs",
        "workers": f"{home}/settings/workers",
        "members": f"{home}/settings/members",
        "account": f"{home}/settings/account",
        "organization": f"{home}/settings/organization",
        "api-docs": f"{home}/api/docs",
        "not-found": f"{home}/nowhere",
    }
    for name, there, selector in (
        ("baseline", "baselines", ".gallery a"),
        ("revoke-key", "api-keys", "a[aria-label^=Revoke]"),
        ("run-suite", "suite", "#brought a:last-of-type"),
    ):
        page.goto(paths[there])
        paths[name] = f"{home}{page.locator(selector).first.get_attribute('href')}"
    page.goto(f"{shop}/suite")
    page.fill("#suite", "baseUrl: nowhere\ntests:\n  - name: Home\n    pth: /\n")
    page.click("text=Save suite")
    take(page, {"suite-wrong": None}, folder)
    page.goto(paths["api-keys"])
    page.locator("a[aria-label^=Revoke]").first.click()
    page.wait_for_selector("dialog[open]")
    take(page, {"revoke-key-dialog": None}, folder)
    take(page, paths, folder)
    page.context.close()


def take(page: Page, paths: dict[str, str | None], folder: Path) -> None:
    """Each page at each width in both themes; the one that is shown where no address is given."""
    for name, url in paths.items():
        if url:
            page.goto(url)
        for theme in ("light", "dark"):
            for width in WIDTHS:
                page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                page.set_viewport_size({"width": width, "height": 900})
                page.wait_for_load_state("networkidle")
                page.screenshot(path=folder / f"{name}-{width}-{theme}.png", full_page=name != "review")


def new_key(page: Page, home: str, folder: Path) -> str:
    """Makes a key in the dashboard and returns it; the page that shows it once is taken, too."""
    page.goto(f"{home}/settings/api-keys")
    page.fill("#key-name", "Nightly Cron Job")
    page.click("form.new-key button")
    key = page.inner_text("#new-key")
    take(page, {"key-created": None}, folder)
    return key


def history(page: Page, home: str, key: str) -> None:
    """More runs, as a team has them: on branches and pull requests, one flawed, one still under way."""
    page.goto(f"{home}/projects/sample-shop/suite")
    suite = page.input_value("#suite")
    for branch, extra in (
        ("feature/checkout", {"pullRequest": 17, "commitSha": "3" * 40, "actor": "grace-h"}),
        ("renovate/very-long-name-of-a-dependency-that-was-updated", {"commitSha": "4" * 40}),
        ("main", {"commitSha": "5" * 40, "actor": "ada", "name": "nightly"}),
        ("main", {"baseUrl": "http://127.0.0.1:9", "commitSha": "6" * 40}),
        ("main", {"commitSha": "7" * 40, "actor": "ada", "suite": suite}),
    ):
        asked = {"projectId": "sample-shop", "branch": branch, "workflowUrl": WORKFLOW, **extra}
        run = page.request.post(
            f"{home}/api/runs", data=asked, headers={"Authorization": f"Bearer {key}"}
        ).json()
        if extra.get("commitSha") != "7" * 40:
            while run["status"] in ("PENDING", "RUNNING"):
                page.wait_for_timeout(500)
                run = page.request.get(
                    f"{home}/api/runs/{run['id']}", headers={"Authorization": f"Bearer {key}"}
                ).json()


@contextlib.contextmanager
def new_server() -> Iterator[tuple[str, str]]:
    """A server without an organisation: its address, and the one that sets it up."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        server = subprocess.Popen(
            [Path(sys.executable).parent / "retestr", "serve", "--port", str(port), "--no-worker"],
            env={**os.environ, "RETESTR_DATA": folder},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            setup = re.search(r"http\S+/setup/\S+", read_until(server, "/setup/"))[0]
            home = setup.partition("/setup/")[0]
            wait_for(home)
            yield home, setup
        finally:
            server.terminate()
            server.wait(30)


def wait_for(home: str) -> None:
    """Until a server answers, for up to 30 seconds."""
    for _ in range(300):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{home}/healthz", timeout=5)
            return
        time.sleep(0.1)
    raise SystemExit(f"{home} does not answer")


if __name__ == "__main__":
    main()
