"""Addresses that let anybody see one small picture for a few days: GitHub shows them in a job summary.

What is signed is a snapshot and a time, so an address opens nothing else, and nothing can be listed or guessed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from datetime import UTC, datetime
from urllib.parse import urlsplit

PURPOSE = b"retestr thumbnail "
"""What the signature is for: one made for something else with the same secret is worth nothing here."""
PRIVATE_NAMES = (
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "test",
    "invalid",
    "home.arpa",
)
"""Names that are nobody's in public (RFC 6761, 6762, 8375, ICANN's internal)."""


def is_public(url: str) -> bool:
    """Whether others than our own network reach this address, and encrypted; names are not looked up."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    if parts.scheme != "https":
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(tuple(f".{name}" for name in PRIVATE_NAMES))


def sign(snapshot_id: str, until: datetime, secret: str) -> str:
    """A token that opens the snapshot's small picture until then: letters, digits, `.`, `-` and `_`."""
    what = f"{snapshot_id}.{int(until.timestamp())}"
    return f"{what}.{_signature(what, secret)}"


def opened(token: str, at: datetime, secret: str) -> tuple[str, datetime] | None:
    """The snapshot that a token opens and until when; None where it is forged or over."""
    what, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(what, secret).encode()):
        return None
    snapshot_id, _, seconds = what.rpartition(".")
    until = datetime.fromtimestamp(int(seconds), UTC)
    return (snapshot_id, until) if at < until else None


def _signature(what: str, secret: str) -> str:
    """HMAC with SHA-256 (RFC 2104)."""
    digest = hmac.digest(secret.encode(), PURPOSE + what.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
