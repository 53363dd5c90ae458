"""The way through a proxy that stands between this machine and the internet (HTTP CONNECT, or SOCKS5).

It is asked for addresses only, those that `guard.py` has judged: it resolves no name and so cannot be led elsewhere.
SOCKS5 is RFC 1928, its user name and password RFC 1929; CONNECT is RFC 9110, 9.3.6, its credentials RFC 7617.
"""

import asyncio
import base64
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from server.vision.addresses import Address

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

SOCKS_REPLIES = {
    1: "it failed",
    2: "its rules forbid it",
    3: "the network is unreachable",
    4: "the host is unreachable",
    5: "connection refused",
    6: "it took too long",
}
CONNECT_FORBIDDEN = "it must permit CONNECT to addresses, on every port that pages use (80 and 443)"


class UpstreamError(Exception):
    """The proxy did not connect us; the message says why, without credentials."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """One proxy; `scheme` is `http` or `socks5`."""

    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """Read `http://user:password@host:port` or `socks5://…`; None for nothing.

        Raises ValueError, without the credentials, for what is neither.
        """
        if not url:
            return None
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("it is not an address") from None
        if parts.scheme not in ("http", "socks5") or not host or not port or parts.path.strip("/"):
            raise ValueError("it must be http://host:port or socks5://host:port, with user:password@ or not")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if parts.scheme == "socks5" and max(len(user.encode()), len(password.encode())) > 255:
            raise ValueError("SOCKS5 takes user names and passwords of up to 255 bytes")
        return cls(parts.scheme, host, port, user, password)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    async def connect(self, address: Address, port: int) -> Streams:
        """Open a connection to `address` through the proxy; raises UpstreamError."""
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UpstreamError(f"the proxy {self} cannot be reached ({reason})") from None
        try:
            speak = self._connect_http if self.scheme == "http" else self._connect_socks
            await speak(reader, writer, address, port)
        except BaseException as error:
            writer.close()
            if isinstance(error, (OSError, EOFError, asyncio.LimitOverrunError)):
                raise UpstreamError(f"{self} is no such proxy: it broke off, or speaks otherwise") from None
            raise
        return reader, writer

    async def _connect_http(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: Address, port: int
    ) -> None:
        target = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self.user:
            token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {token}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        version, _, status = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        if not version.startswith("HTTP/1."):
            raise OSError("not HTTP")
        if status.startswith("407"):
            raise UpstreamError(f"the proxy {self} wants other credentials")
        if not status.startswith("2"):
            advice = f"; {CONNECT_FORBIDDEN}" if status[:3] in ("400", "403", "405") else ""
            raise UpstreamError(f"the proxy {self} answered {status[:80]!r}{advice}")

    async def _connect_socks(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: Address, port: int
    ) -> None:
        writer.write(b"\x05\x01\x02" if self.user else b"\x05\x01\x00")
        version, method = await reader.readexactly(2)
        if version != 5:
            raise OSError("not SOCKS5")
        if method != (2 if self.user else 0):
            raise UpstreamError(f"the proxy {self} wants other credentials")
        if self.user:
            user, password = self.user.encode(), self.password.encode()
            writer.write(bytes((1, len(user))) + user + bytes((len(password),)) + password)
            if (await reader.readexactly(2))[1] != 0:
                raise UpstreamError(f"the proxy {self} wants other credentials")
        kind = b"\x04" if address.version == 6 else b"\x01"
        writer.write(b"\x05\x01\x00" + kind + address.packed + port.to_bytes(2, "big"))
        _, reply, _, kind_of_bound = await reader.readexactly(4)
        if reply != 0:
            raise UpstreamError(f"the proxy {self} did not connect: {SOCKS_REPLIES.get(reply, reply)}")
        bound = {1: 4, 4: 16}.get(kind_of_bound) or (await reader.readexactly(1))[0]
        await reader.readexactly(bound + 2)
