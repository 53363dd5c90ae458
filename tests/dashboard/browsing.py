"""A real Chromium at the dashboard: complaints of the browser, requests that leave the server, axe-core's findings."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page
from werkzeug.serving import make_server

from server.models import User
from tests.dashboard.conftest import Site

AXE = Path(__file__).parent / "vendor" / "axe-core-4.14.1" / "axe.min.js"
"""From the npm registry, unchanged; MPL-2.0, its licence is beside it."""
TARGET_SIZE = {"rules": {"target-size": {"enabled": True}}}
"""The one rule of WCAG 2.2 AA that axe-core leaves off by itself."""


class Served:
    """The site on a port, and a browser at it. What goes wrong there is collected."""

    def __init__(self, site: Site, browser: Browser, url: str) -> None:
        self.site, self.browser, self.url = site, browser, url
        self.complaints: list[str] = []
        self.left: list[str] = []

    def context(self, user: User | None = None, *, anonymous: bool = False, **options: Any) -> BrowserContext:
        """A browser of its own; the Admin is logged in there unless another is named, or nobody."""
        context = self.browser.new_context(base_url=self.url, **options)
        context.set_default_timeout(20_000)
        if not anonymous:
            cookie = self.site.visit(user).client.get_cookie("retestr")
            assert cookie is not None
            context.add_cookies([{"name": "retestr", "value": cookie.value, "url": self.url}])
        context.on("request", lambda request: self._note(request.url))
        return context

    def page(self, user: User | None = None, **options: Any) -> Page:
        """A page of a browser of its own."""
        page = self.context(user, **options).new_page()
        page.on("console", lambda message: self._heard(page, message))
        page.on("pageerror", lambda error: self._complain(page, str(error)))
        return page

    def _heard(self, page: Page, message: ConsoleMessage) -> None:
        """Chromium says of a page itself that it answered 404 or 422, as it should; of what the page loads, it may not."""
        is_status_of_page = message.text.startswith("Failed to load") and message.location["url"] == page.url
        if message.type in ("error", "warning") and not is_status_of_page:
            self._complain(page, message.text)

    def _complain(self, page: Page, text: str) -> None:
        self.complaints.append(f"{page.url}: {text}")

    def _note(self, url: str) -> None:
        if not url.startswith((f"{self.url}/", "data:")):
            self.left.append(url)


@contextmanager
def served(site: Site, browser: Browser) -> Iterator[Served]:
    """The site behind a real server while the context lasts."""
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made = Served(site, browser, f"http://127.0.0.1:{server.server_port}")
    try:
        yield made
    finally:
        for context in browser.contexts:
            context.close()
        server.shutdown()
        thread.join()
        server.server_close()


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with a page as it is shown now, each with where and why."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_axe())  # past the content security policy, which no page may be allowed to do
    found: Sequence[dict[str, Any]] = page.evaluate(
        f"async () => (await axe.run(document, {json.dumps(TARGET_SIZE)})).violations"
    )
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]
    ]


@cache
def _axe() -> str:
    return AXE.read_text(encoding="utf-8")
