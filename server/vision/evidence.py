"""What the browser reported while a page was captured: kept beside the picture, for whoever wonders about it.

Bounded, and without credentials: addresses lose user names, passwords and queries.
"""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

from playwright.async_api import ConsoleMessage, Request, Response
from playwright.async_api import Error as BrowserError
from playwright.async_api import Page as Tab

from server.vision.guard import Guard
from server.vision.origins import host_and_port
from server.vision.reasons import NETWORK, first_line
from server.vision.redaction import redacted, redacted_address, storable
from server.vision.secrets import Secrets
from server.vision.traffic import listen

MOST_ENTRIES = 50
MOST_CHARACTERS = 500
ADDRESSES = frozenset({"url", "from", "to"})  # which fields of an entry are one


class Evidence:
    """Listens to a tab from now on, until `stop()`; `mark` notes how long each part of the visit took."""

    def __init__(self, tab: Tab, guard: Guard) -> None:
        self._guard = guard
        self._main_frame = tab.main_frame
        self._console: list[str] = []
        self._errors: list[str] = []
        self._failed: list[dict[str, str]] = []
        self._redirects: list[dict[str, Any]] = []
        self._status: int | None = None
        self._timing_ms: dict[str, int] = {}
        self._since = time.monotonic()
        self.stop = listen(
            tab,
            ("console", self._said),
            ("pageerror", self._threw),
            ("requestfailed", self._failed_to_load),
            ("response", self._answered),
        )

    def mark(self, part: str) -> None:
        """Note that a part of the visit is over: it took the time since the one before."""
        now = time.monotonic()
        self._timing_ms[part] = self._timing_ms.get(part, 0) + round((now - self._since) * 1000)
        self._since = now

    def as_json(self, secrets: Secrets) -> dict[str, Any]:
        """Everything so far, as it is kept and as the API answers it; no secret in it."""

        def clean(text: str, redact: Callable[[str], str] = redacted) -> str:
            text = redact(secrets.masked(storable(text[: 20 * MOST_CHARACTERS])))
            return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"

        def cleaned(entry: dict[str, Any]) -> dict[str, Any]:
            return {
                name: clean(value, redacted_address if name in ADDRESSES else redacted)
                if isinstance(value, str)
                else value
                for name, value in entry.items()
            }

        return {
            "httpStatus": self._status,
            "redirects": [cleaned(entry) for entry in self._redirects],
            "failedRequests": [cleaned(entry) for entry in self._failed],
            "consoleErrors": [clean(text) for text in self._console],
            "pageErrors": [clean(text) for text in self._errors],
            "timingMs": dict(self._timing_ms),
        }

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not self._is_blocked(message.location.get("url", "")):
            where = message.location.get("url")
            _add(self._console, f"{message.text} ({where})" if where else message.text)

    def _threw(self, error: BrowserError) -> None:
        _add(self._errors, f"{error.name}: {error.message}" if error.name else error.message)

    def _failed_to_load(self, request: Request) -> None:
        said = request.failure or ""
        if "ERR_ABORTED" in said or self._is_blocked(request.url):
            return  # the page itself thought better of it; or the suite did
        _add(self._failed, {"url": request.url, "reason": self._reason(request.url, said)})

    def _answered(self, response: Response) -> None:
        request = response.request
        if request.is_navigation_request() and request.frame == self._main_frame:
            self._status = response.status
            if 300 <= response.status < 400:
                to = _resolved(response.headers.get("location", ""), request.url)
                _add(self._redirects, {"status": response.status, "from": request.url, "to": to})
        elif response.status >= 400:
            _add(self._failed, {"url": request.url, "reason": f"HTTP {response.status}"})

    def _reason(self, url: str, browser_says: str) -> str:
        host, port = host_and_port(url)
        failure = self._guard.failure_of(host, port) if "SOCKS" in browser_says else None
        if failure:
            return failure.reason
        if not browser_says.startswith("net::"):
            return f"the browser refused it ({first_line(browser_says)})"  # csp, mixed-content, origin
        name = browser_says.removeprefix("net::")
        return NETWORK[name][0].format(host=host) if name in NETWORK else first_line(browser_says)

    def _is_blocked(self, url: str) -> bool:
        try:
            return self._guard.blocks(host_and_port(url)[0])
        except ValueError:
            return False


def _resolved(location: str, base: str) -> str:
    try:
        return urljoin(base, location) if location else ""
    except ValueError:  # it is no address
        return location


def _add(entries: list[Any], entry: Any) -> None:
    if len(entries) < MOST_ENTRIES:
        entries.append(entry)
