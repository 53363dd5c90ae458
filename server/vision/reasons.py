"""What went wrong, in words for the person who reads it in a log: the page, the reason, what to do."""

import re
from collections.abc import Callable

from server.vision.guard import MOST_BYTES, Failure, Guard
from server.vision.origins import host_and_port
from server.vision.page import CaptureError
from server.vision.redaction import redacted_address

# Chromium's net_error_list.h: what it says -> (what it means, whether another try may help).
NETWORK = {
    "ERR_NAME_NOT_RESOLVED": ("the name {host} does not resolve", True),
    "ERR_CONNECTION_REFUSED": ("nothing listens on {host} (connection refused)", True),
    "ERR_CONNECTION_RESET": ("{host} broke the connection off", True),
    "ERR_CONNECTION_CLOSED": ("{host} closed the connection before it had answered", True),
    "ERR_CONNECTION_ABORTED": ("{host} broke the connection off", True),
    "ERR_CONNECTION_TIMED_OUT": ("{host} did not answer in time", True),
    "ERR_TIMED_OUT": ("{host} did not answer in time", True),
    "ERR_EMPTY_RESPONSE": ("{host} closed the connection without an answer", True),
    "ERR_ADDRESS_UNREACHABLE": ("{host} cannot be reached from here", True),
    "ERR_SOCKS_CONNECTION_FAILED": ("{host} cannot be reached from here", True),
    "ERR_TOO_MANY_REDIRECTS": ("it redirects in a circle", False),
    "ERR_CERT_DATE_INVALID": ("its TLS certificate has expired or is not valid yet", False),
    "ERR_CERT_COMMON_NAME_INVALID": ("its TLS certificate is for another name", False),
    "ERR_CERT_AUTHORITY_INVALID": (
        "its TLS certificate is signed by nobody the browser trusts (self-signed?)",
        False,
    ),
    "ERR_SSL_PROTOCOL_ERROR": ("{host} does not speak TLS there; is it http instead of https?", False),
    "ERR_INVALID_HTTP_RESPONSE": ("{host} answered with something that is not HTTP", False),
    "ERR_INVALID_REDIRECT": ("it redirects to an address that is none", False),
    "ERR_UNSAFE_REDIRECT": ("it redirects to an address that browsers do not follow", False),
    "ERR_UNSAFE_PORT": ("browsers refuse to open this port; serve the page on another", False),
    "ERR_CONTENT_DECODING_FAILED": ("its answer is compressed in a broken way", False),
    "ERR_HTTP2_PROTOCOL_ERROR": ("{host} broke the rules of HTTP/2", True),
    "ERR_INVALID_AUTH_CREDENTIALS": ("it asks for a user name and a password", False),
}
NOT_A_PAGE = "it is a download or an empty answer (204), not a page; give the address of a page"
EMPTY = "ERR_HTTP_RESPONSE_CODE_FAILURE"  # full Chromium's, for a status of 400 or more without a body
ERROR_NAME = re.compile(r"net::(ERR_\w+)")


def navigation_error(
    url: str, address: str, browser_says: str, guard: Guard, masked: Callable[[str], str]
) -> CaptureError:
    """Tell why a page did not open.

    `url` is what was asked for, `address` where the browser was on its way to (after redirects), `browser_says` the
    browser's own message; `masked` masks secrets in an address before it is cut.
    """
    host, port = host_and_port(address)
    if "SOCKS" in browser_says and (failure := guard.failure_of(host, port)):
        return guard_error(url, failure)
    found = ERROR_NAME.search(browser_says)
    name = found.group(1) if found else ""
    if "Download is starting" in browser_says or name == "ERR_ABORTED":
        return CaptureError("suite", f"{url} cannot be captured: {NOT_A_PAGE}")
    default = ("its TLS certificate is not valid", False) if name.startswith("ERR_CERT") else ("", False)
    words, retry = NETWORK.get(name, default)
    reason = words.format(host=f"{host}:{port}") or "the browser could not open it"
    detail = name or first_line(browser_says)
    elsewhere = host_and_port(url) != (host, port)
    via = f", redirected to {redacted_address(masked(address))}," if elsewhere else ""
    return CaptureError("unreachable", f"{url}{via} cannot be opened: {reason} ({detail})", retry=retry)


def guard_error(url: str, failure: Failure) -> CaptureError:
    """Tell why the guard opened no connection for a page."""
    if failure.kind == "unreachable":
        return CaptureError("unreachable", f"{url} cannot be opened: {failure.reason}", retry=True)
    if failure.kind == "blocked":
        return CaptureError("suite", f"{url} was not opened: {failure.reason}")
    entry = f"[{failure.host}]" if ":" in failure.host else failure.host
    return CaptureError(
        "refused",
        f"{url} was not opened: {failure.reason}. If pages there may be captured, "
        f"add {entry}:{failure.port} to RETESTR_CAPTURE_ALLOW on the server",
    )


def status_error(url: str, status: int, expected: int | None) -> CaptureError:
    """Tell that a page answered with a status that was not expected."""
    if expected is None:
        advice = f"if that is what the test is about, say `status: {status}` in the suite"
        message = f"{url} answered HTTP {status}; {advice}"
    else:
        message = f"{url} answered HTTP {status} where the suite expects {expected}"
    return CaptureError("http-status", message, retry=status == 429 or status >= 500)


def empty_error(url: str, status: int | None) -> CaptureError:
    """Tell that a page answered with a status that was expected, but with nothing else."""
    said = f"HTTP {status}" if status else "an error status"
    return CaptureError("suite", f"{url} answered {said} without a body: there is nothing to picture")


def timeout_error(url: str, timeout_s: float, stage: str, pending: list[str]) -> CaptureError:
    """Tell that a capture took too long, what it was at, and what was still on its way."""
    message = f"{url} took longer than {timeout_s:g} s, while {stage}{_on_its_way(pending)}"
    return CaptureError("timeout", message, retry=True)


def size_error(url: str, pending: list[str]) -> CaptureError:
    """Tell that a page loaded too much, and what was still on its way."""
    message = (
        f"{url} loads more than {MOST_BYTES // 2**20} MiB, the most that a page may{_on_its_way(pending)}"
    )
    return CaptureError("suite", message)


def _on_its_way(pending: list[str]) -> str:
    if not pending:
        return ""
    more = f" and {len(pending) - 3} more" if len(pending) > 3 else ""
    return f"; still on its way: {', '.join(map(_shortened, pending[:3]))}{more}"


def first_line(message: str) -> str:
    """The first line of one of Playwright's messages, without the name of the call."""
    return re.sub(r"^\w+\.\w+: ", "", message.partition("\n")[0])


def _shortened(url: str) -> str:
    url = redacted_address(url)
    return url if len(url) <= 100 else url[:97] + "..."
