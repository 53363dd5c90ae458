"""GitHub's API, as far as a comment on a pull request needs it.

The token goes to `GITHUB_API_URL` and nowhere else: redirects are not followed, pages are counted rather than
taken from addresses in an answer. What is written, and when, is decided in `comment`.
https://docs.github.com/en/rest/issues/comments
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import requests
from requests import utils

from action_src import VERSION
from action_src.client import KeyAuth
from action_src.failure import reason_of

API_VERSION = "2022-11-28"
PER_PAGE = 100
MAX_PAGES = 50
TIMEOUT_S = (5.0, 10.0)  # to connect, to read
TRUSTED = ("OWNER", "MEMBER", "COLLABORATOR")  # people who may write to the repository


class GitHubError(Exception):
    """GitHub did not do it. `status` is its answer's, 0 without one; `passing`: asked again, it may do it."""

    def __init__(self, status: int, said: str, *, passing: bool = False) -> None:
        super().__init__(f"{status}: {said}" if status and said else said or str(status))
        self.status, self.passing = status, passing


@dataclass(frozen=True)
class Comment:
    """A comment on a pull request. `trusted`: by a bot, or by somebody who may write to the repository."""

    id: int
    body: str
    trusted: bool


class GitHub:
    """One repository (`owner/name`) with one token. Every call raises `GitHubError`."""

    def __init__(self, api_url: str, token: str, repository: str) -> None:
        self._root = f"{api_url}/repos/{quote(repository)}"
        self._auth = KeyAuth(token)
        self._authorities: bool | str = True  # or the file that holds them
        self._session = requests.Session()
        self._session.headers.update(
            {
                "Accept": "application/vnd.github+json",
                "User-Agent": f"retestr-action/{VERSION}",
                "X-GitHub-Api-Version": API_VERSION,
            }
        )

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def comments(self, pull_request: int) -> Iterator[Comment]:
        """All comments, the oldest first."""
        for page in range(1, MAX_PAGES + 1):
            reply = self._ask("GET", f"/issues/{pull_request}/comments?per_page={PER_PAGE}&page={page}")
            items = _items(reply)
            yield from (comment for item in items if (comment := _comment_of(item)))
            if len(items) < PER_PAGE and "next" not in reply.links:
                return

    def create(self, pull_request: int, body: str) -> int:
        """Write a comment; its id."""
        made = _comment_of(_json(self._ask("POST", f"/issues/{pull_request}/comments", {"body": body})))
        return made.id if made else 0

    def update(self, comment_id: int, body: str) -> None:
        """Replace a comment's text."""
        self._ask("PATCH", f"/issues/comments/{comment_id}", {"body": body})

    def delete(self, comment_id: int) -> None:
        """Remove a comment."""
        self._ask("DELETE", f"/issues/comments/{comment_id}")

    def pull_request_of(self, branch: str, commit_sha: str) -> int | None:
        """The open pull request of a fork's branch (`owner:branch`) at this commit, if there is one."""
        query = f"state=open&per_page={PER_PAGE}&head={quote(branch, safe=':')}"
        for item in _items(self._ask("GET", f"/pulls?{query}")):
            head = item.get("head")
            number = item.get("number")
            if isinstance(head, Mapping) and head.get("sha") == commit_sha and isinstance(number, int):
                return number
        return None

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> requests.Response:
        try:
            reply = self._send(method, path, body)
        except (requests.RequestException, OSError) as error:
            raise GitHubError(0, reason_of(error), passing=True) from None
        if 200 <= reply.status_code < 300:
            return reply
        # 403 is also the answer to too many requests
        limited = "Retry-After" in reply.headers or reply.headers.get("X-RateLimit-Remaining") == "0"
        passing = reply.status_code >= 500 or reply.status_code == 429 or limited
        raise GitHubError(reply.status_code, _message_of(reply), passing=passing)

    def _send(self, method: str, path: str, body: Mapping[str, str] | None) -> requests.Response:
        try:
            return self._session.request(
                method,
                self._root + path,
                json=body,
                auth=self._auth,
                timeout=TIMEOUT_S,
                allow_redirects=False,
                verify=self._authorities,
            )
        except requests.exceptions.SSLError:
            # REQUESTS_CA_BUNDLE may hold the retestr server's authority alone: then GitHub's is a public one
            if self._authorities is not True:
                raise
            self._authorities = utils.DEFAULT_CA_BUNDLE_PATH
            return self._send(method, path, body)


def _json(reply: requests.Response) -> object:
    try:
        return reply.json()
    except ValueError:
        return None


def _items(reply: requests.Response) -> list[Mapping[str, object]]:
    json = _json(reply)
    return [item for item in json if isinstance(item, Mapping)] if isinstance(json, list) else []


def _message_of(reply: requests.Response) -> str:
    json = _json(reply)
    message = json.get("message") if isinstance(json, Mapping) else None
    return message if isinstance(message, str) else ""


def _comment_of(json: object) -> Comment | None:
    if not isinstance(json, Mapping) or not isinstance(json.get("id"), int):
        return None
    author = json.get("user")
    bot = isinstance(author, Mapping) and author.get("type") == "Bot"
    return Comment(json["id"], str(json.get("body") or ""), bot or json.get("author_association") in TRUSTED)
