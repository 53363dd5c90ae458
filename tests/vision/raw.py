"""A server that speaks no HTTP, and visits side by side."""

import asyncio
import contextlib
import socketserver
import ssl
import threading

from server.vision.capture import Session
from server.vision.guard import AddressPolicy
from server.vision.page import CaptureError, Image, Page
from tests.vision.runner import Runner, browsing
from tests.vision.serving import Serving


class Raw(Serving):
    """A server that answers whatever it is asked with `answer`, and then with `then` for ever, at full speed.

    Without `then` it says nothing more, and without `tls` it keeps the connection open.
    """

    def __init__(self, answer: bytes, then: bytes = b"", tls: ssl.SSLContext | None = None) -> None:
        raw = self
        self._over = threading.Event()

        class Answer(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    connection = tls.wrap_socket(self.request, server_side=True) if tls else self.request
                    connection.recv(4096)
                    connection.sendall(answer)
                    while then and not raw._over.is_set():
                        connection.sendall(then)
                    if not tls:
                        raw._over.wait()

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer)
        super().__init__(server)
        self.host = f"127.0.0.1:{server.server_address[1]}"

    def __exit__(self, *about: object) -> None:
        self._over.set()
        super().__exit__(*about)


def visit_all(run: Runner, server: Raw, *urls: str, timeout_s: float = 10.0) -> list[Image | CaptureError]:
    """Capture pages side by side in one session that may reach this machine; what came of each.

    `timeout_s` is the first one's: the others share the machine with what it does.
    """

    async def visit(session: Session, url: str) -> Image | CaptureError:
        time_s = timeout_s if url == urls[0] else 30.0
        try:
            return await session.capture(Page(url, 800, 600, timeout_s=time_s))
        except CaptureError as error:
            return error

    async def visits() -> list[Image | CaptureError]:
        async with browser.session() as session:
            return await asyncio.gather(*(visit(session, url) for url in urls))

    with browsing(run, AddressPolicy(allow=("127.0.0.1",))) as browser:
        return run(visits())
