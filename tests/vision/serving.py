"""What the servers of these tests share: a thread that serves while they are entered."""

import socketserver
import threading
from http.server import ThreadingHTTPServer
from typing import Self


class Serving:
    """Serves `server` within a `with`; its requests may last as long as they like."""

    def __init__(self, server: ThreadingHTTPServer | socketserver.ThreadingTCPServer) -> None:
        server.daemon_threads = True
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
