"""A small real server that speaks GitHub's API as far as comments go: pages, permissions, limits."""

import json
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.action.fake_server import played

TOKEN = "ghs_TheTokenOfTheWorkflow000000000"
REPOSITORY = "acme/shop"
NOT_ACCESSIBLE = {"message": "Resource not accessible by integration"}


@dataclass
class GitHubPlot:
    """What the server plays, and what it saw.

    `failures` are answered first, one for each request: (status, headers, body), or None for the true answer.
    `after_create` is called when a comment was made, before that is answered.
    """

    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    pull_requests: list[Mapping[str, Any]] = field(default_factory=list)
    may_write: bool = True
    may_read: bool = True
    most_per_page: int = 100
    links: bool = True
    failures: list[tuple[int, Mapping[str, str], Mapping[str, Any] | None] | None] = field(
        default_factory=list
    )
    after_create: Callable[[], None] = lambda: None
    seen: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, body: str, *, login: str = "github-actions[bot]", association: str = "NONE") -> int:
        """Somebody comments; the comment's id."""
        kind = "Bot" if login.endswith("[bot]") else "User"
        with self.lock:
            identity = 1 + max(self.comments, default=100)
            self.comments[identity] = {
                "id": identity,
                "body": body,
                "user": {"login": login, "type": kind},
                "author_association": association,
            }
        return identity

    def bodies(self) -> list[str]:
        """All comments as they read now, the oldest first."""
        return [one["body"] for one in self.comments.values()]

    def methods(self) -> str:
        """What was asked, in short."""
        return " ".join(method for method, _ in self.seen)


def fake_github(plot: GitHubPlot) -> AbstractContextManager[GitHubPlot]:
    """A GitHub that answers as the plot says, while the context lasts."""
    return played(plot, _player_of(plot))


def _player_of(plot: GitHubPlot) -> type[BaseHTTPRequestHandler]:
    class Player(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if self._refused(plot.may_read):
                return
            if parts.path == f"/repos/{REPOSITORY}/pulls":
                self._answer(200, [one for one in plot.pull_requests if one["label"] == query["head"]])
                return
            size = min(int(query["per_page"]), plot.most_per_page)
            first = (int(query["page"]) - 1) * size
            found = list(plot.comments.values())
            # The link leads elsewhere: whoever follows it carries the token away
            following = plot.links and first + size < len(found)
            more = {"Link": '<http://elsewhere.invalid/?page=2>; rel="next"'} if following else {}
            self._answer(200, found[first : first + size], more)

        def do_POST(self) -> None:
            body = self._body()
            if not self._refused(plot.may_write):
                made = plot.comments[plot.write(body)]
                plot.after_create()
                self._answer(201, made)

        def do_PATCH(self) -> None:
            body = self._body()
            if not self._refused(plot.may_write):
                one = plot.comments.get(self._comment_id())
                if one:
                    one["body"] = body
                self._answer(*((200, one) if one else (404, {"message": "Not Found"})))

        def do_DELETE(self) -> None:
            if not self._refused(plot.may_write):
                gone = plot.comments.pop(self._comment_id(), None)
                self._answer(204 if gone else 404, None if gone else {"message": "Not Found"})

        def log_message(self, *args: object) -> None:
            pass

        def _body(self) -> str:
            return str(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"])

        def _comment_id(self) -> int:
            found = re.fullmatch(rf"/repos/{REPOSITORY}/issues/comments/(\d+)", self.path)
            return int(found[1]) if found else 0

        def _refused(self, may: bool) -> bool:
            plot.seen.append((self.command, self.path))
            failure = plot.failures.pop(0) if plot.failures else None
            if failure:
                status, headers, body = failure
                self._answer(status, body, headers)
                return True
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                self._answer(401, {"message": "Bad credentials"})
                return True
            if not may:
                self._answer(403, NOT_ACCESSIBLE)
                return True
            return False

        def _answer(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Player
