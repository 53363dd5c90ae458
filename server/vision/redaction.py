"""What of a browser's words is told: addresses without user names, passwords and queries, and text that can be stored.

Masking the values of secrets is `secrets.py`'s.
"""

import re
from urllib.parse import urlsplit, urlunsplit

ADDRESS = re.compile(
    r"\b(https?|wss?)://(?:[^\s/?#\"'<>]*@)?([^\s?#\"'<>]*)([?#][^\s\"'<>]*)?", re.IGNORECASE
)


def redacted(text: str) -> str:
    """The text with each address in it cut down to scheme, host and path."""

    def told(found: re.Match[str]) -> str:
        rest = found[3] or ""
        bracket = ")" if rest.endswith(")") else ""  # as in `(https://site.example/?a=b)`
        return f"{found[1]}://{found[2]}{'?…' if rest.startswith('?') else ''}{bracket}"

    return ADDRESS.sub(told, text)


def redacted_address(address: str) -> str:
    """An address, whatever it is made of, cut down to scheme, host and path."""
    try:
        parts = urlsplit(address)
    except ValueError:  # it is none
        return redacted(re.split("[?#]", address)[0])
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")) + ("?…" if parts.query else "")


def storable(text: str) -> str:
    """The text with `?` for what databases do not take: lone surrogates and NUL."""
    return text.encode(errors="replace").decode().replace("\0", "?")
