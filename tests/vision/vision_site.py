"""A small site to capture: hard pages from `pages/`, and paths that answer badly on purpose."""

import contextlib
import io
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from PIL import Image

PAGES = Path(__file__).parent / "pages"


def solid(colour: str, width: int = 30, height: int = 20) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


class Site:
    """Serves on a free loopback port; `hits` holds the paths that were asked for, in order."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.pages: dict[str, str] = {}
        site = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.hits.append(self.path)
                with contextlib.suppress(ConnectionError):  # browsers leave before the end
                    site._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        time.sleep(int(query.get("ms", 0)) / 1000)
        name = parts.path.strip("/")
        status, kind, body, extra = 200, "text/html; charset=utf-8", b"", {}
        if name in self.pages:
            body = self.pages[name].encode()
        elif (PAGES / name).is_file():
            body = (PAGES / name).read_bytes()
        elif name == "slow":
            kind, body = "text/plain", b"slow answer"
        elif name == "green.png":
            kind, body = "image/png", solid("#00aa00")
        elif name == "status":
            status, body = int(query["code"]), b"<h1>status</h1>"
        elif name == "redirect":
            status, extra = 302, {"Location": query["to"]}
        elif name == "loop":
            status, extra = 302, {"Location": "/loop"}
        elif name == "download":
            kind, body = "application/zip", b"PK"
            extra = {"Content-Disposition": "attachment; filename=a.zip"}
        elif name == "empty":
            status = 204
        elif name == "nothing":
            request.close_connection = True
            return
        else:
            status, body = 404, b"<h1>not here</h1>"
        request.send_response(status)
        for header, value in {"Content-Type": kind, "Content-Length": str(len(body)), **extra}.items():
            request.send_header(header, value)
        request.end_headers()
        request.wfile.write(body)


class Secret:
    """What no page may reach: counts every connection to a loopback port, HTTP or not."""

    def __init__(self) -> None:
        self.connections = 0
        # One socket for both families: "[::1]" and "127.0.0.1" both lead here.
        self._socket = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nsecret")
