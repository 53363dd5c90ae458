"""What one tab asks of the network while it is captured: what is still on its way, and what came of it.

It only listens; the guard is what forbids.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Frame, Request, Response
from playwright.async_api import Page as Tab

# Connections that stay open by nature: a page with one of these is never "loaded".
ENDLESS = frozenset({"websocket", "eventsource", "media", "ping"})
POLL_S = 0.01


def listen(tab: Tab, *ears: tuple[Any, Callable[[Any], None]]) -> Callable[[], None]:
    """Have functions called at a tab's events, by their names, until what is returned is called."""
    for event, heard in ears:
        tab.on(event, heard)

    def stop() -> None:
        for event, heard in ears:
            tab.remove_listener(event, heard)

    return stop


class Traffic:
    """Listens to a tab's requests from now on, until `stop()`.

    `status` is the HTTP status of the newest main document, `address` what it was asked by, and
    `documents` how many there were; `asked` counts all requests. `origins` holds every origin whose document was shown in any
    frame, and so may have stored something.
    """

    def __init__(self, tab: Tab) -> None:
        self.status: int | None = None
        self.address: str | None = None
        self.documents = 0
        self.asked = 0
        self.origins: set[str] = set()
        self._main_frame = tab.main_frame
        self._under_way: dict[Request, float] = {}
        self._left_out: set[str] = set()
        self.stop = listen(
            tab,
            ("request", self._asked),
            ("requestfinished", self._over),
            ("requestfailed", self._over),
            ("response", self._answered),
            ("framenavigated", self._arrived),
        )

    def pending(self) -> list[str]:
        """The addresses still on their way, longest first."""
        return [request.url for request in self._under_way]

    async def idle(self, *, most_s: float = 10.0) -> None:
        """Wait until nothing is on its way.

        What is under way for longer than `most_s` is taken for a stream and never waited for again.
        """
        while True:
            now = time.monotonic()
            for request in [request for request, since in self._under_way.items() if now - since > most_s]:
                del self._under_way[request]
            if not self._under_way:
                return
            await asyncio.sleep(POLL_S)

    def leave_out(self, urls: Iterable[str]) -> None:
        """Do not wait for these addresses: the end of a worker's script is told only now and then."""
        self._left_out.update(urls)
        for request in [request for request in self._under_way if request.url in self._left_out]:
            del self._under_way[request]

    def _asked(self, request: Request) -> None:
        self.asked += 1
        # Nor is that of a shared worker's script in memory.
        is_told = request.url not in self._left_out and not request.url.startswith("blob:")
        if request.resource_type not in ENDLESS and is_told:
            self._under_way[request] = time.monotonic()
        if self._is_main_document(request):
            self.address = request.url

    def _over(self, request: Request) -> None:
        self._under_way.pop(request, None)

    def _answered(self, response: Response) -> None:
        if self._is_main_document(response.request):
            self.status = response.status

    def _arrived(self, frame: Frame) -> None:
        if frame is self._main_frame:
            self.documents += 1
        parts = urlsplit(frame.url)
        if parts.scheme in ("http", "https"):
            self.origins.add(f"{parts.scheme}://{parts.netloc}")

    def _is_main_document(self, request: Request) -> bool:
        # A request without a frame belongs to a page that is only about to exist: never ours.
        return request.is_navigation_request() and request.frame == self._main_frame
