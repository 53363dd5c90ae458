"""Headers that a page is asked for with: on requests to its own origin, and on no others.

Every request of the tab is paused and let go with its whole list of headers; so is each hop of a redirect.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from playwright.async_api import CDPSession
from playwright.async_api import Error as BrowserError

from server.vision.origins import origin_of

Header = tuple[str, str]
_answering: set[asyncio.Task[None]] = set()


async def add_headers(devtools: CDPSession, origin: str, headers: Sequence[Header]) -> None:
    """Send `headers` with every request of the tab to `origin` from now on; they replace those of the same name."""

    def paused(event: dict[str, Any]) -> None:
        task = asyncio.create_task(_let_go(devtools, event, origin, headers))
        _answering.add(task)
        task.add_done_callback(_answering.discard)

    devtools.on("Fetch.requestPaused", paused)
    await devtools.send("Fetch.enable", {"patterns": [{"urlPattern": "*"}]})


async def _let_go(
    devtools: CDPSession, event: dict[str, Any], origin: str, headers: Sequence[Header]
) -> None:
    request = event["request"]
    sent = headers_for(request["url"], request["headers"], origin, headers)
    with contextlib.suppress(BrowserError):  # the tab may be gone
        await devtools.send(
            "Fetch.continueRequest",
            {
                "requestId": event["requestId"],
                "headers": [{"name": name, "value": value} for name, value in sent],
            },
        )


def headers_for(url: str, present: dict[str, str], origin: str, ours: Sequence[Header]) -> list[Header]:
    """All headers of one request: ours added where it goes to `origin`, and taken away where it does not."""
    if origin_of(url) == origin:
        names = {name.lower() for name, _ in ours}
        return [pair for pair in present.items() if pair[0].lower() not in names] + list(ours)
    values = {(name.lower(), value) for name, value in ours}
    return [(name, value) for name, value in present.items() if (name.lower(), value) not in values]
