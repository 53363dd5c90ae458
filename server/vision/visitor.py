"""Makes a tab somebody's: cookies, headers, storage and log-in of `page.Visitor`, secrets filled in where they may go.

Headers are added by `requests.py`; doing a log-in once per run is `logins.py`'s.
"""

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, CDPSession, Locator
from playwright.async_api import Error as BrowserError

from server.vision.documents import SCRIPTS
from server.vision.origins import host_and_port, origin_of
from server.vision.page import CaptureError, Page, Step, Visitor
from server.vision.requests import add_headers
from server.vision.secrets import Secrets, names_in

WORLD = "retestr"
PORT = re.compile(r":\d+$")  # an IPv6 address ends in ]
FILL_TRIES = 5
NOT_IN_A_HEADER = re.compile("[\x00-\x1f\x7f]")
NOT_IN_A_COOKIE = re.compile("[\x00-\x1f\x7f;]")


@dataclass(frozen=True, slots=True)
class State:
    """What a log-in left in the browser: cookies as the browser tells them, local storage by origin."""

    cookies: tuple[dict[str, Any], ...] = ()
    storage: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()

    @classmethod
    async def of(cls, context: BrowserContext) -> "State":
        """What a context holds now."""
        state: Any = await context.storage_state()
        return cls(
            tuple(state["cookies"]),
            tuple(
                (kept["origin"], tuple((item["name"], item["value"]) for item in kept["localStorage"]))
                for kept in state["origins"]
            ),
        )


def context_options(visitor: Visitor) -> dict[str, Any]:
    """How Playwright makes a context for a visitor."""
    return {
        "color_scheme": visitor.colour_scheme,
        "locale": visitor.locale,
        "timezone_id": visitor.timezone,
        "user_agent": visitor.user_agent,
        "is_mobile": visitor.is_mobile,
        "has_touch": visitor.has_touch,
    }


def only_ports(page: Page, secrets: Secrets) -> dict[str, frozenset[int]]:
    """The ports of hosts that a page may speak to, because a cookie holds a secret and cookies know no ports."""
    names = [name for cookie in page.visitor.cookies for name in names_in(cookie.value)]
    if not names:
        return {}
    login = page.visitor.login  # whose cookies the page is visited with, too
    origins = filter(None, map(origin_of, (page.url, *((login.url,) if login else ()))))
    bound = [
        frozenset(map(host_and_port, secrets.by_name[name].origins))
        for name in names
        if name in secrets.by_name
    ]
    common = frozenset.intersection(*bound) if bound else frozenset()
    return {
        host: frozenset(port for named, port in common if named == host)
        for host, _ in map(host_and_port, origins)
    }


async def introduce(
    context: BrowserContext, devtools: CDPSession, page: Page, secrets: Secrets, state: State
) -> bool:
    """Give a fresh tab of a clean context all that its page is to be visited with.

    Returns whether the session now holds what is for this page alone. Raises CaptureError where a secret may not go to the page's origin.
    """
    visitor, own = page.visitor, origin_of(page.url)
    assert own is not None, "addresses are checked before"
    headers = _headers(visitor, own, secrets)
    cookies = [*state.cookies, *_cookies(visitor, page.url, own, secrets)]
    storage = dict(state.storage)
    items = tuple(
        (key, secrets.fill_in(value, own, f"localStorage ({key})")) for key, value in visitor.local_storage
    )
    storage[own] = tuple((dict(storage.get(own, ())) | dict(items)).items())
    if cookies:
        try:
            await context.add_cookies(cookies)  # type: ignore[arg-type]
        except BrowserError:
            names = ", ".join(cookie.name for cookie in visitor.cookies)
            raise CaptureError(
                "suite", f"{page.url}: the browser does not take the cookies {names}"
            ) from None
    if any(storage.values()):
        await devtools.send("Page.enable")
        source = f"({SCRIPTS['store']})({json.dumps(storage)})"
        # In a world of its own: what the page's scripts see holds no secret of another origin.
        await devtools.send("Page.addScriptToEvaluateOnNewDocument", {"source": source, "worldName": WORLD})
    if headers:
        await add_headers(devtools, own, headers)
    return bool(headers) or any(storage.values())


async def fill(field: Locator, step: Step, secrets: Secrets) -> None:
    """Type a step's value into a field; a secret only where the field's document is of one of its origins."""
    text = str(step.value if step.value is not None else "")
    if not any(names_in(text)):
        await field.fill(text)
        return
    for left in reversed(range(FILL_TRIES)):
        element = await field.element_handle()
        frame = await element.owner_frame()
        origin = origin_of(frame.url) if frame else None
        value = secrets.fill_in(text, origin, f"the step fill {json.dumps(step.selector)}")
        try:
            await element.fill(value)
        except BrowserError as error:
            if "not attached" not in error.message or not left:
                raise
        else:
            return


def _headers(visitor: Visitor, own: str, secrets: Secrets) -> list[tuple[str, str]]:
    headers = [(name, secrets.fill_in(value, own, f"the header {name}")) for name, value in visitor.headers]
    for name, value in headers:
        if NOT_IN_A_HEADER.search(value):
            raise CaptureError("suite", f"the value of the header {name} must be one line")
    if visitor.credentials:
        user, password = (secrets.fill_in(text, own, "basicAuth") for text in visitor.credentials)
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers = [(name, value) for name, value in headers if name.lower() != "authorization"]
        headers.append(("Authorization", f"Basic {encoded}"))
    return headers


def _cookies(visitor: Visitor, url: str, own: str, secrets: Secrets) -> Iterable[dict[str, Any]]:
    host = PORT.sub("", urlsplit(own).netloc)
    for cookie in visitor.cookies:
        domain = cookie.domain or host
        secret = any(names_in(cookie.value))
        if secret and domain != host:
            raise CaptureError(
                "refused",
                f"the cookie {cookie.name} holds a secret and is for {domain}: such a cookie goes to the page's own "
                f"host alone, here {host}; leave its domain out",
            )
        value = secrets.fill_in(cookie.value, own, f"the cookie {cookie.name}")
        if NOT_IN_A_COOKIE.search(value):
            raise CaptureError("suite", f"the value of the cookie {cookie.name} must be one line without ;")
        yield {
            "name": cookie.name,
            "value": value,
            "domain": domain,
            "path": cookie.path,
            "secure": secret and own.startswith("https:"),
        }
