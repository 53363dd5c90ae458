"""Writes the pictures of the documentation from a real run: `python scripts/screenshots.py [FOLDER]`.

Runs the demo, logs in to its dashboard with a real browser and takes docs/images/*.png; with a folder, takes every
page at three widths and in both themes into it, to be looked at.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, sync_playwright

from server.vision import browser as browsers

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = (390, 1280, 1920)


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
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
    page = context.new_page()
    page.goto(url)
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_load_state("networkidle")
    return page


def every_page(browser: Browser, run: str, email: str, password: str, folder: Path) -> None:
    """All pages, all widths, both themes."""
    folder.mkdir(parents=True, exist_ok=True)
    home = "{0.scheme}://{0.netloc}".format(urlsplit(run))
    paths = {
        "review": run,
        "projects": f"{home}/",
        "runs": f"{home}/projects/sample-shop",
        "suite": f"{home}/projects/sample-shop/suite",
        "project-settings": f"{home}/projects/sample-shop/settings",
        "new-project": f"{home}/projects/new",
        "api-keys": f"{home}/settings/api-keys",
        "audit-logs": f"{home}/settings/audit-logs",
        "members": f"{home}/settings/members",
        "account": f"{home}/settings/account",
        "organization": f"{home}/settings/organization",
        "api-docs": f"{home}/api/docs",
        "not-found": f"{home}/nowhere",
    }
    for theme in ("light", "dark"):
        for width in WIDTHS:
            page = logged_in(browser, home, email, password, width, 900, theme)
            for name, url in paths.items():
                page.goto(url)
                page.wait_for_load_state("networkidle")
                page.screenshot(path=folder / f"{name}-{width}-{theme}.png")
            page.context.close()


if __name__ == "__main__":
    main()
