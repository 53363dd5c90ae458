"""The retestr API over HTTP: retries, deadlines, and errors that say what to do next.

What is asked and when is decided in `follow`; what the answers hold is read in `run`. The key appears in no
message, and what the server says is cleared of it before anybody sees it.
"""

import json
import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urljoin, urlsplit

import requests
from requests.auth import AuthBase

from action_src import VERSION
from action_src.failure import (
    ApiError,
    NotAuthorised,
    Refused,
    Unreachable,
    WrongAddress,
    broke_off,
    reason_of,
)
from action_src.log import one_line, shortened, without_secret
from action_src.run import Run, Snapshot, Unreadable, read_run, read_snapshot

REACH_S = 30.0  # a server that never answered is given up after this
ANSWER_S = 300.0  # one that did answer before
CONNECT_S = 10.0
READ_S = 30.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
MAX_ANSWER_BYTES = 16 * 1024 * 1024
MAX_REDIRECTS = 5
PAGE_ITEMS = 100
MAX_MESSAGE_LINES = 20
PASSING_STATUSES = (408, 425, 429)  # with all of 5xx: ask again
PASSING_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


@dataclass(frozen=True)
class Reply:
    """One HTTP answer; `json` is its body, cleared of the key, or None where it is something else."""

    status: int
    headers: Mapping[str, str]
    json: object


class KeyAuth(AuthBase):
    """Puts the key in the header, where no .netrc can replace it."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The request with the key."""
        request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request


class Client:
    """The API of one server with one key.

    Every call takes `within_s`, the most it may last with all its tries; without it, `REACH_S` or `ANSWER_S`
    hold. All raise the exceptions of `failure`.
    """

    def __init__(
        self,
        server_url: str,
        api_key: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._server_url = server_url
        self._api_key = api_key
        self._auth = KeyAuth(api_key)
        self._clock, self._sleep, self._jitter, self._say = clock, sleep, jitter, say
        self._reached = False
        self._idempotency_key = secrets.token_hex(16)
        self._session = requests.Session()
        self._session.headers.update(
            {"Accept": "application/json", "User-Agent": f"retestr-action/{VERSION}"}
        )

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def trigger(
        self, order: Mapping[str, object], *, within_s: float | None = None
    ) -> tuple[Run, float | None]:
        """Trigger a run; the run, and after how many seconds the server wants to be asked about it.

        Asked again, it is the same run: all tries of a process share one Idempotency-Key.
        """
        headers = {"Idempotency-Key": self._idempotency_key}
        reply = self._ask("POST", "/runs", "run:write", body=order, headers=headers, within_s=within_s)
        return self._run_of(reply), retry_after_s(reply.headers)

    def run(self, run_id: str, *, within_s: float | None = None) -> tuple[Run, float | None]:
        """The run as it is now, and after how many seconds the server wants to be asked again."""
        reply = self._ask("GET", f"/runs/{quote(run_id, safe='')}", "run:read", within_s=within_s)
        return self._run_of(reply), retry_after_s(reply.headers)

    def cancel(self, run_id: str, *, within_s: float | None = None) -> Run | None:
        """Cancel the run; what became of it, where the server tells."""
        path = f"/runs/{quote(run_id, safe='')}/cancel"
        reply = self._ask("POST", path, "run:write", within_s=within_s)
        try:
            return read_run(reply.json)
        except Unreadable:
            return None

    def snapshots(self, run_id: str, status: str, *, within_s: float | None = None) -> Iterator[Snapshot]:
        """The run's snapshots of one status, page by page as they are taken."""
        until = None if within_s is None else self._clock() + within_s
        cursor: str | None = ""
        seen: set[str] = set()
        while cursor is not None and cursor not in seen:
            seen.add(cursor)
            query = f"?limit={PAGE_ITEMS}&status={status}" + (
                f"&cursor={quote(cursor, safe='')}" if cursor else ""
            )
            path = f"/runs/{quote(run_id, safe='')}/snapshots{query}"
            left_s = None if until is None else until - self._clock()
            page = self._ask("GET", path, "run:read", within_s=left_s).json
            yield from _snapshots_of(page, status)
            following = page.get("nextCursor") if isinstance(page, Mapping) else None
            cursor = str(following) if following else None

    def absolute(self, address: str) -> str:
        """An address that the server told, on the server where it is only a path; empty if it is none."""
        if not address:
            return ""
        try:
            whole = urljoin(self._server_url + "/", address)
            return whole if urlsplit(whole).scheme in ("http", "https") else ""
        except ValueError:
            return ""

    def _run_of(self, reply: Reply) -> Run:
        try:
            return read_run(reply.json)
        except Unreadable:
            raise WrongAddress.no_api(self._server_url, reply.status, _kind_of(reply)) from None

    def _ask(
        self,
        method: str,
        path: str,
        scope: str,
        *,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        within_s: float | None = None,
    ) -> Reply:
        """Ask until there is an answer that stays, or the time is over."""
        begun = self._clock()
        pause_s = FIRST_PAUSE_S
        told = False
        while True:
            wished_s: float | None = None
            try:
                reply = self._send(method, path, body, headers or {}, begun + self._limit_s(within_s))
                if not _passing(reply.status):
                    return self._judged(reply, scope)
                reason = f"it answers {reply.status}" + _said(reply)
                wished_s = retry_after_s(reply.headers)
            except PASSING_ERRORS as error:
                if isinstance(error, requests.exceptions.SSLError) and not broke_off(error):
                    raise Unreachable.untrusted(self._server_url, reason_of(error)) from None
                reason = reason_of(error)
            limit_s = self._limit_s(within_s)
            jittered_s = pause_s * (0.5 + self._jitter() / 2)
            wait_s = jittered_s if wished_s is None else wished_s + jittered_s * 0.1
            if self._clock() - begun + wait_s >= limit_s:
                raise Unreachable.given_up(self._server_url, reason, self._clock() - begun, wished_s)
            if not told:
                self._say(f"{self._server_url}: {reason}. Trying again for up to {limit_s:.0f} s.")
                told = True
            self._sleep(wait_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _limit_s(self, within_s: float | None) -> float:
        usual_s = ANSWER_S if self._reached else REACH_S
        return usual_s if within_s is None else min(within_s, usual_s)

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        headers: Mapping[str, str],
        until: float,
    ) -> Reply:
        """One request, with redirects on the same host followed by the same method."""
        address = f"{self._server_url}/api{path}"
        for _ in range(MAX_REDIRECTS + 1):
            left_s = max(0.1, until - self._clock())
            try:
                response = self._session.request(
                    method,
                    address,
                    json=body,
                    headers=dict(headers),
                    auth=self._auth,
                    timeout=(min(CONNECT_S, left_s), min(READ_S, left_s)),
                    allow_redirects=False,
                    stream=True,
                )
            except PASSING_ERRORS:
                raise
            # An address that cannot be used, its own or that of a redirect; a CA file that is not there
            except (requests.RequestException, OSError, ValueError) as error:
                raise WrongAddress.unusable(self._server_url, reason_of(error)) from None
            with response:
                self._reached = True
                target = response.headers.get("Location", "")
                if not (response.is_redirect or response.is_permanent_redirect) or not target:
                    return Reply(response.status_code, response.headers, self._body_of(response, until))
                target = urljoin(address, target)
                if not same_place(address, target):
                    raise WrongAddress.elsewhere(self._server_url, target)
                address = target
        raise WrongAddress.circle(self._server_url)

    def _body_of(self, response: requests.Response, until: float) -> object:
        """The body: not beyond the deadline, not beyond a size, without the key."""
        content = bytearray()
        for chunk in response.iter_content(65536):
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                raise WrongAddress.no_api(self._server_url, response.status_code, "more than 16 MiB")
            if self._clock() > until:
                raise requests.Timeout
        try:  # written anew, so that no escape (\u0076ts_…) hides the key, and half a character is none
            plain = json.dumps(json.loads(content), ensure_ascii=False).encode(errors="replace").decode()
            return json.loads(without_secret(plain, self._api_key))
        except (ValueError, RecursionError):
            return None

    def _judged(self, reply: Reply, scope: str) -> Reply:
        """The reply if it is a success; else the exception that it stands for."""
        if 200 <= reply.status < 300:
            return reply
        raise self._failure(reply, scope)

    def _failure(self, reply: Reply, scope: str) -> ApiError:
        code, message, details = error_of(reply.json)
        if reply.status == 401:
            return NotAuthorised.unknown_key(message)
        if reply.status == 403 and not (code or message):
            return WrongAddress.blocked(self._server_url, _kind_of(reply))
        if reply.status == 403:
            needed = _short(details.get("needed")) if isinstance(details, Mapping) else ""
            return NotAuthorised.scope_missing(needed or scope, message)
        if not (code or message):
            return WrongAddress.no_api(self._server_url, reply.status, _kind_of(reply))
        return Refused.by_server(reply.status, code, message, _news_in(details, message))


def same_place(address: str, target: str) -> bool:
    """Whether the key may follow a redirect: same host and port, or the same host by https."""
    try:
        here, there = urlsplit(address), urlsplit(target)
        if here.hostname != there.hostname:
            return False
        if (here.scheme, there.scheme) == ("http", "https"):
            return True
        return (here.scheme, here.port) == (there.scheme, there.port)
    except ValueError:
        return False


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds, given as such or as a date (RFC 9110, 10.2.3); None without."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.replace(".", "", 1).isdecimal():
        return float(value)
    try:
        now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def error_of(body: object) -> tuple[str, str, object]:
    """Code, message and details of `{"error": {…}}`; empty where the body is something else."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return "", "", None
    return _short(error.get("code")), _lines(error.get("message")), error.get("details")


def _passing(status: int) -> bool:
    return status in PASSING_STATUSES or status >= 500


def _said(reply: Reply) -> str:
    message = error_of(reply.json)[1]
    return f": {message}" if message else ""


def _kind_of(reply: Reply) -> str:
    return _short(reply.headers.get("Content-Type")) or "no content type"


def _short(value: object) -> str:
    return shortened(one_line(value), 500) if isinstance(value, str) else ""


def _lines(value: object) -> str:
    """A message of one or several lines (a suite's problems), each of them plain, and not endless."""
    lines = [one_line(line) for line in value.splitlines()] if isinstance(value, str) else []
    return shortened("\n".join(line for line in lines[:MAX_MESSAGE_LINES] if line), 2000)


def _news_in(details: object, message: str) -> str:
    """The details, unless the message tells them already."""
    items = details if isinstance(details, list) else []
    told = [item.get("message") for item in items if isinstance(item, Mapping)]
    if told and all(isinstance(one, str) and one_line(one) in message for one in told):
        return ""
    return _listed(details)


def _listed(details: object) -> str:
    """Details as one short text, whatever their shape."""
    if isinstance(details, Mapping):
        parts = [f"{name}: {_listed(value)}" for name, value in details.items()]
    elif isinstance(details, list):
        parts = [_listed(value) for value in details]
    else:
        return "" if details is None else one_line(str(details))
    return shortened("; ".join(parts), 1000)


def _snapshots_of(page: object, status: str) -> Iterator[Snapshot]:
    items = page.get("items") if isinstance(page, Mapping) else None
    for item in items if isinstance(items, list) else []:
        try:
            snapshot = read_snapshot(item)
        except Unreadable:
            continue
        if snapshot.status == status:  # a server that does not know the filter sends all
            yield snapshot
