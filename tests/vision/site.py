"""A small site to capture: hard pages from `pages/`, and paths that answer badly on purpose."""

import contextlib
import io
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from PIL import Image

from benchmarks.pages import film
from tests.vision.serving import Serving

PAGES = Path(__file__).parent / "pages"


def solid(colour: str, width: int = 30, height: int = 20) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


class Site(Serving):
    """Serves on a free port, of loopback unless told; `hits` holds the paths that were asked for, in order."""

    def __init__(self, address: str = "127.0.0.1") -> None:
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

        server = ThreadingHTTPServer((address, 0), Answer)
        super().__init__(server)
        self.port = server.server_port
        self.host = f"{address}:{self.port}"
        self.url = f"http://{self.host}"

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        time.sleep(int(query.get("ms", 0)) / 1000)
        name = unquote(parts.path.strip("/"))
        status, kind, body, extra = 200, "text/html; charset=utf-8", b"", {}
        if name in self.pages:
            body = self.pages[name].encode()
        elif (PAGES / name).is_file():
            body = (PAGES / name).read_bytes()
        elif name == "slow":
            kind, body = "text/plain", b"slow answer"
        elif name == "film.webm":
            kind, body = "video/webm", film()
        elif name == "green.png":
            kind, body = "image/png", solid("#00aa00")
        elif name == "status":
            status, body = int(query["code"]), b"<h1>status</h1>"
        elif name == "redirect":
            status, extra = 302, {"Location": query["to"]}
        elif name == "loop":
            status, extra = 302, {"Location": "/loop"}
        elif name == "further":
            status, extra = 302, {"Location": f"/further?n={int(query['n']) + 1}"}
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
    """What no page may reach: notes in `asked` each connection, its first line, and each datagram.

    It listens on all of this machine's addresses, IPv4 and IPv6, unless one is named.
    """

    def __init__(self, address: str | None = None, port: int = 0) -> None:
        self.asked: list[str] = []
        if address:
            self._socket = socket.create_server((address, port))
        else:  # one socket for both families: "[::1]" and "127.0.0.1" both lead here
            self._socket = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._udp.bind(("::", self.port))
        self._threads = [threading.Thread(target=self._accept), threading.Thread(target=self._receive)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._udp.sendto(b"", ("::1", self.port))  # a datagram ends it, as nobody else sends an empty one
        for thread in self._threads:
            thread.join()
        self._socket.close()
        self._udp.close()

    def _receive(self) -> None:
        while self._udp.recv(2048):
            self.asked.append("a datagram")

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.asked.append("a connection")
            threading.Thread(target=self._hear, args=(connection,), daemon=True).start()

    def _hear(self, connection: socket.socket) -> None:
        """Note the first line: apart, since a browser opens connections on which it says nothing for long."""
        with connection, contextlib.suppress(OSError):
            connection.settimeout(30)
            self.asked.append(connection.recv(2048).decode("latin-1").partition("\r\n")[0])
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nsecret")
