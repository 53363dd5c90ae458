"""Origins of the web (RFC 6454): scheme, host and port, written as browsers write them."""

import re
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str | None:
    """The origin of an http or https address, such as `https://x.example:8443`; None for any other address.

    Lower case, a default port left out, names in Punycode. What has no address of its own (`about:blank`,
    `data:`, `blob:`) has no origin here either.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
        if parts.scheme not in DEFAULT_PORTS or not host or re.search(r"[\s\\%]", host):
            return None
        if not host.isascii():
            host = host.encode("idna").decode()
    except (ValueError, UnicodeError):
        return None
    if ":" in host:
        host = f"[{host}]"
    return f"{parts.scheme}://{host}" + ("" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}")


def host_and_port(url: str) -> tuple[str, int]:
    """The host (an IPv6 address without brackets) and port of an address or origin, the default port filled in."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 80)
