"""A site that remembers who asked for what: for tests of headers, cookies, storage and secrets."""

import contextlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.vision.serving import Serving


class Visited(Serving):
    """Serves `pages` (path -> HTML, a status, or an address to redirect to) on a free loopback port.

    `asked` holds what was asked for: (method, path, headers with lower-case names, body).
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.pages: dict[str, Any] = {}
        self.cookies: dict[str, str] = {}
        self.asked: list[tuple[str, str, dict[str, str], str]] = []
        site = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = unquote(self.rfile.read(length).decode())
                headers = {name.lower(): value for name, value in self.headers.items()}
                site.asked.append((self.command, self.path, headers, body))
                with contextlib.suppress(ConnectionError):
                    site._answer(self, headers)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        super().__init__(server)
        self.host = f"{host}:{server.server_port}"
        self.url = f"http://{self.host}"

    def asked_paths(self) -> list[str]:
        return [path for _, path, _, _ in self.asked]

    def sent(self, header: str) -> dict[str, str | None]:
        """What each path was asked for with, in this header."""
        return {path: headers.get(header) for _, path, headers, _ in self.asked}

    def everything(self) -> str:
        """All that was ever sent here."""
        return repr(self.asked)

    def _answer(self, request: BaseHTTPRequestHandler, headers: dict[str, str]) -> None:
        parts = urlsplit(request.path)
        found = self.pages.get(parts.path, 404)
        if callable(found):
            found = found(headers, {k: v[0] for k, v in parse_qs(parts.query).items()})
        status = found if isinstance(found, int) else 302 if str(found).startswith(("http://", "/")) else 200
        body = found.encode() if status == 200 else b"<h1>nothing</h1>"
        request.send_response(status)
        if status == 302:
            request.send_header("Location", found)
        if parts.path in self.cookies:
            request.send_header("Set-Cookie", self.cookies[parts.path])
        request.send_header("Content-Type", "text/html; charset=utf-8")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
