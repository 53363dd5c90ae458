"""What can go wrong between this Action and the server: four exceptions, and the words for each case.

Every message says what happened, with what, and what to do next. None of them can hold the key.
"""

import errno
import socket
import ssl
from typing import Self, TypeGuard
from urllib.parse import urlsplit

CONTAINER_ITSELF = (
    " `{host}` inside this container is the container itself: a server on the runner is reached at "
    "http://172.17.0.1:{port} (and must listen on all addresses, not on 127.0.0.1 alone)."
)

CHECK_PROJECT = "Check `project-id`: the project's ID or slug, in the organisation that the key belongs to."
CORRECT_AND_RETRY = "Correct the inputs or the suite, then run the workflow again."

_REASONS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "connection timed out",
}

_NAMED_REASONS = {
    "ConnectTimeoutError": "no connection in time",
    "ConnectTimeout": "no connection in time",
    "ReadTimeoutError": "no answer in time",
    "ReadTimeout": "no answer in time",
    "Timeout": "the answer took too long",
    "RemoteDisconnected": "connection closed without an answer",
    "SSLEOFError": "the encrypted connection broke off",
    "SSLZeroReturnError": "the encrypted connection broke off",
    "IncompleteRead": "the answer broke off",
    "ProxyError": "the proxy could not be used",
    "LocationParseError": "no host can have that name",
    "ValueError": "it is no address, or redirects to none",
}


class ApiError(Exception):
    """The base of what the client raises. `str()` of it is for people."""


class Unreachable(ApiError):
    """No answer came, or none that stays."""

    @classmethod
    def given_up(cls, server_url: str, reason: str, after_s: float, wished_s: float | None) -> Self:
        """All tries failed."""
        wish = (
            f" It asked to wait {wished_s:.0f} s, which is longer than this step waits." if wished_s else ""
        )
        return cls(
            f"The retestr server at {server_url} could not be used for {after_s:.0f} s: {reason}.{wish}"
            f"{_container_hint(server_url, reason)} Check `server-url` and that the server is up; "
            "`on-unreachable: skip` lets the workflow pass meanwhile."
        )

    @classmethod
    def untrusted(cls, server_url: str, reason: str) -> Self:
        """The certificate is not trusted: no use in trying again."""
        return cls(
            f"The certificate of {server_url} is not trusted: {reason}. If your own authority signed it, put its "
            "certificate into the workspace and name it in the environment: "
            "`REQUESTS_CA_BUNDLE: /github/workspace/ca.pem`."
        )


class WrongAddress(ApiError):
    """Something answers at `server-url`, or could, but it is not the API of retestr."""

    @classmethod
    def no_api(cls, server_url: str, status: int, kind: str) -> Self:
        """The answer is not the API's."""
        return cls(
            f"What answers at {server_url} is not a retestr server: {status} with {kind}. Check `server-url`: it "
            "is the address of the dashboard, without `/api`."
        )

    @classmethod
    def blocked(cls, server_url: str, kind: str) -> Self:
        """403 in other words than the API's."""
        return cls(
            f"Something in front of the retestr server at {server_url} refuses this runner: 403 with {kind}. It is a proxy, a "
            "firewall or a list of allowed addresses; let the runner's requests to `/api` pass there, or use a runner "
            "in the server's network. The API key was not looked at."
        )

    @classmethod
    def elsewhere(cls, server_url: str, target: str) -> Self:
        """A redirect leads to another host, which must not get the key."""
        parts = urlsplit(target)
        return cls(
            f"{server_url} redirects to another place, {parts.scheme}://{parts.netloc.rpartition('@')[2]}, and the key is not sent "
            "there. If that is the right server, set `server-url` to it."
        )

    @classmethod
    def circle(cls, server_url: str) -> Self:
        """Too many redirects."""
        return cls(f"{server_url} redirects in a circle. Check the proxy in front of the server.")

    @classmethod
    def unusable(cls, server_url: str, reason: str) -> Self:
        """The request cannot even be made."""
        return cls(
            f"No request to {server_url} can be made: {reason}. Check `server-url`, the proxy settings and "
            "REQUESTS_CA_BUNDLE (a path inside the container, such as /github/workspace/ca.pem)."
        )


class NotAuthorised(ApiError):
    """401 or 403."""

    @classmethod
    def unknown_key(cls, said: str) -> Self:
        """The key is worth nothing."""
        return cls(
            f"The server does not accept the API key (401{_colon(said)}): it is revoked, expired, mistyped, or of "
            "another server. Make a new one in the dashboard under Settings > API Keys and store it as the secret "
            "that `api-key` reads."
        )

    @classmethod
    def scope_missing(cls, scope: str, said: str) -> Self:
        """The key is good, but not for this."""
        return cls(
            f"The API key lacks the scope `{scope}` (403{_colon(said)}). This step needs `run:write` to trigger "
            "and `run:read` to follow a run; make a key that has both under Settings > API Keys."
        )


class Refused(ApiError):
    """The server understood and said no: the request is wrong."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status

    @classmethod
    def by_server(cls, status: int, code: str, message: str, details: str) -> Self:
        """The server's own words, and what they usually mean."""
        said = (message or code).rstrip(".")
        more = f" ({details})" if details else ""
        gap = "\n" if "\n" in said else " "  # several problems stand on lines of their own
        next_step = CHECK_PROJECT if status == 404 else CORRECT_AND_RETRY
        return cls(f"The server refused ({status}):{gap}{said}{more}.{gap}{next_step}", status)


def reason_of(error: BaseException) -> str:
    """A few words for why a request failed, dug out of the exceptions that wrap one another."""
    for cause in _causes(error):
        if type(cause).__name__ in ("NameResolutionError", "gaierror") or isinstance(cause, socket.gaierror):
            return "its name could not be resolved"
        verify = getattr(cause, "verify_message", "")
        if verify:
            return str(verify)
        number = getattr(cause, "errno", None)
        if number in _REASONS:
            return _REASONS[number]
    names = [type(cause).__name__ for cause in _causes(error)]
    known = [_NAMED_REASONS[name] for name in names if name in _NAMED_REASONS]
    if known:
        return known[0]
    tls = [cause.reason for cause in _causes(error) if _is_of_tls(cause)]
    if tls:
        hint = ". Is it `http://` there?" if tls[0] == "WRONG_VERSION_NUMBER" else ""
        return f"TLS failed with {tls[0]}{hint}"
    return "the certificate or the file of authorities could not be used" if "SSLError" in names else names[0]


def broke_off(error: BaseException) -> bool:
    """Whether a failure of TLS is only a connection that ended, as when a proxy is restarted: no certificate is wrong."""
    ends = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
    return any(isinstance(cause, ends) or _is_of_tls(cause) for cause in _causes(error))


def _is_of_tls(cause: BaseException) -> TypeGuard[ssl.SSLError]:
    """Whether the two ends could not talk to each other, before any certificate was judged."""
    judged = isinstance(cause, ssl.SSLCertVerificationError)
    return isinstance(cause, ssl.SSLError) and not judged and cause.library == "SSL"


def _causes(error: BaseException) -> list[BaseException]:
    """The exception and all that it wraps, as arguments, `reason` or context, each once."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
    return found


def _container_hint(server_url: str, reason: str) -> str:
    parts = urlsplit(server_url)
    host = parts.hostname or ""
    own = host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.")  # noqa: S104
    if not own or "refused" not in reason:
        return ""
    return CONTAINER_ITSELF.format(host=host, port=parts.port or (443 if parts.scheme == "https" else 80))


def _colon(said: str) -> str:
    return f": {said.rstrip('.')}" if said else ""
