"""A small real server that speaks the API of retestr, for tests that start a process or the whole step.

It knows one key and plays a list of run states: every GET takes the next one, the last one stays.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit

KEY = "vts_TheSentinelKeyOfTheTests00000000"


@dataclass
class Plot:
    """What the server plays, and what it saw."""

    states: Sequence[Mapping[str, Any]] = ()
    snapshots: Sequence[Mapping[str, Any]] = ()
    failure: tuple[int, Mapping[str, Any]] | None = None
    busy_cancels: int = 0  # answered with 503 first
    pace: str = "0.2"
    seen: list[tuple[str, str]] = field(default_factory=list)
    orders: list[Mapping[str, Any]] = field(default_factory=list)
    idempotency_keys: list[str] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    triggered: threading.Event = field(default_factory=threading.Event)
    polled: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def state(self) -> Mapping[str, Any]:
        """The run as it is now, and one step on."""
        polls = sum(1 for method, path in self.seen if method == "GET" and path.startswith("/api/runs/r1"))
        return self.states[min(polls, len(self.states) - 1)]


def run_json(status: str = "RUNNING", **more: Any) -> dict[str, Any]:
    """A run as the server tells it; `counts` are given by name."""
    counts = {
        name: more.pop(name, 0) for name in ("total", "done", "unchanged", "changed", "new", "error", "flaky")
    }
    return {
        "id": "r1",
        "projectId": "p1",
        "number": 7,
        "branch": "main",
        "commitSha": "a" * 40,
        "status": status,
        "url": "https://retestr.example.com/runs/r1",
        "createdAt": "2026-11-01T10:00:00Z",
        "startedAt": None,
        "finishedAt": None,
        "message": None,
        "counts": counts,
        **more,
    }


def snapshot_json(identity: str = "s1", status: str = "CHANGED", **more: Any) -> dict[str, Any]:
    """A snapshot as the server tells it."""
    return {
        "id": identity,
        "runId": "r1",
        "test": "Home",
        "viewport": "1280x800",
        "browser": "chromium",
        "status": status,
        "review": "UNREVIEWED",
        "flaky": False,
        "url": f"https://retestr.example.com/snapshots/{identity}",
        "pageUrl": "https://staging.example.com/",
        "sentence": None,
        "error": None,
        "changedPixels": None,
        "ratio": None,
        "baseline": None,
        **more,
    }


class Answering(Protocol):
    """What a fake plays, and where it is found while it does."""

    url: str


P = TypeVar("P", bound=Answering)


@contextmanager
def played(plot: P, player: type[BaseHTTPRequestHandler]) -> Iterator[P]:
    """Serve a plot on a free port of loopback; `plot.url` is its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), player)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    plot.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield plot
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def fake_server(plot: Plot) -> AbstractContextManager[Plot]:
    """A server that answers as the plot says, while the context lasts."""
    return played(plot, _player_of(plot))


def _player_of(plot: Plot) -> type[BaseHTTPRequestHandler]:
    class Player(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._play("GET")

        def do_POST(self) -> None:
            self._play("POST")

        def log_message(self, *args: object) -> None:
            pass

        def _play(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            state = plot.state() if plot.states else {}
            plot.seen.append((method, self.path))
            if plot.failure:
                return self._answer(*plot.failure)
            if self.headers.get("Authorization") != f"Bearer {KEY}":
                return self._answer(401, {"error": {"code": "unauthorized", "message": "Unknown key."}})
            if method == "POST" and parts.path == "/api/runs":
                plot.orders.append(json.loads(body))
                plot.idempotency_keys.append(self.headers["Idempotency-Key"])
                plot.triggered.set()
                return self._answer(201, plot.states[0])
            if parts.path.endswith("/cancel"):
                if plot.busy_cancels:
                    plot.busy_cancels -= 1
                    return self._answer(503, {"error": {"code": "busy", "message": "Busy."}})
                plot.cancelled.set()
                return self._answer(200, {**state, "status": "CANCELLED"})
            if parts.path.endswith("/snapshots"):
                status = parse_qs(parts.query)["status"][0]
                items = [one for one in plot.snapshots if one["status"] == status]
                return self._answer(200, {"items": items, "nextCursor": None})
            plot.polled.set()
            return self._answer(200, state)

        def _answer(self, status: int, body: Mapping[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Retry-After", plot.pace)
            self.end_headers()
            self.wfile.write(content)

    return Player
