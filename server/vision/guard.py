"""The guard between the browser and the network: a SOCKS5 server that checks every address.

The browser resolves no name and opens no connection of its own; it asks here. The guard resolves a
name once, judges every address by the policy, and connects to an address it judged, so that a name
cannot answer differently the second time (DNS rebinding). Nothing here knows the browser.
With an upstream proxy, public addresses are connected to through it, still as addresses (`upstream.py`);
what the allow list opens is near, and reached without it.
SOCKS5 is RFC 1928; only CONNECT without authentication is spoken, on loopback.
"""

import asyncio
import contextlib
import fnmatch
import ipaddress
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, Self

from server.vision.addresses import Address, AddressPolicy, addresses_of, why_not_public
from server.vision.upstream import Upstream, UpstreamError

__all__ = ["AddressPolicy", "Failure", "Guard"]

RESOLVE_S = 10.0
CONNECT_S = 10.0
CLOSE_S = 2.0  # for what is not sent yet: the other side may never read it
CHUNK_BYTES = 64 * 1024
MOST_BYTES = 512 * 1024**2  # that one visit may load
RESOLVER_THREADS = 8
"""Of each guard's own: names that hang on one page keep no other page waiting."""

Kind = Literal["refused", "unreachable", "blocked"]

SUCCEEDED, FAILED, NOT_ALLOWED, UNREACHABLE, REFUSED, BAD_COMMAND = 0, 1, 2, 4, 5, 7


@dataclass(frozen=True, slots=True)
class Failure:
    """A connection that did not come about, and why in words.

    `refused` is ours: the policy forbids it. `blocked` is the suite's. `unreachable` is the network's.
    """

    host: str
    port: int
    kind: Kind
    reason: str


class _DeniedError(Exception):
    def __init__(self, kind: Kind, reason: str, reply: int) -> None:
        super().__init__(reason)
        self.kind: Kind = kind
        self.reason = reason
        self.reply = reply


@dataclass(slots=True)
class Guard:
    """A SOCKS5 server on a loopback port of its own; use it with `async with`.

    `failures` remembers what was refused or unreachable, oldest first, until it is cleared. `block_hosts` are shell
    patterns of hosts that are not spoken to; `only_ports` has the ports of hosts of which no other is. More than
    `MOST_BYTES` between two `start_visit()` are not let through.
    """

    policy: AddressPolicy
    block_hosts: tuple[str, ...] = ()
    only_ports: Mapping[str, frozenset[int]] = field(default_factory=dict)
    upstream: Upstream | None = None
    failures: list[Failure] = field(default_factory=list)
    _loaded_bytes: int = 0
    _too_much: Callable[[], None] = lambda: None
    _server: asyncio.Server | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)
    _resolver: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(RESOLVER_THREADS))

    @property
    def url(self) -> str:
        """The proxy address for the browser."""
        assert self._server is not None, "the guard is not running"
        port: int = self._server.sockets[0].getsockname()[1]
        return f"socks5://127.0.0.1:{port}"

    @property
    def has_loaded_too_much(self) -> bool:
        """Whether this visit has come to its limit."""
        return self._loaded_bytes > MOST_BYTES

    def start_visit(self, too_much: Callable[[], None]) -> None:
        """Forget what the visit before has failed to reach and loaded; call `too_much` once this one loads too much."""
        self.failures.clear()
        self._loaded_bytes, self._too_much = 0, too_much

    def failure_of(self, host: str, port: int) -> Failure | None:
        """The last failure to reach `host` and `port`, if there was one."""
        host = host.strip("[]").lower()
        return next((f for f in reversed(self.failures) if (f.host, f.port) == (host, port)), None)

    def blocks(self, host: str) -> bool:
        """Whether the suite forbids this host."""
        host = host.strip("[]").lower()
        return any(fnmatch.fnmatchcase(host, pattern) for pattern in self.block_hosts)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._resolver.shutdown(wait=False, cancel_futures=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one side went away, or the guard closes: the connection is over either way
        finally:
            await _close(writer)
            self._connections.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = await _read_request(reader, writer)
        try:
            upstream_reader, upstream_writer = await self._connect(host, port)
        except _DeniedError as denied:
            self.failures.append(Failure(host, port, denied.kind, denied.reason))
            writer.write(_reply(denied.reply))
            await writer.drain()
            return
        try:
            writer.write(_reply(SUCCEEDED))
            await asyncio.gather(
                _pour(reader, upstream_writer), _pour(upstream_reader, writer, self._let_through)
            )
        finally:
            await _close(upstream_writer)

    def _let_through(self, size: int) -> bool:
        was_enough = self.has_loaded_too_much
        self._loaded_bytes += size
        if self.has_loaded_too_much and not was_enough:
            self._too_much()
        return not self.has_loaded_too_much

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.blocks(host):
            raise _DeniedError("blocked", f"{host} is in the suite's blockHosts", NOT_ALLOWED)
        if port not in self.only_ports.get(host, (port,)):
            reason = (
                f"a cookie for {host} holds a secret that is not for port {port}, and cookies know no ports"
            )
            raise _DeniedError("blocked", reason, NOT_ALLOWED)
        verdict = await self.policy.judge(host, port, await self._resolve(host, port))
        if verdict.refusal:
            raise _DeniedError("refused", verdict.refusal, NOT_ALLOWED)
        denied = _DeniedError("unreachable", f"{host}:{port} has no address", UNREACHABLE)
        for address in verdict.addresses:
            upstream = None if why_not_public(address) else self.upstream
            try:
                async with asyncio.timeout(CONNECT_S):
                    if upstream:
                        return await upstream.connect(address, port)
                    return await asyncio.open_connection(str(address), port)
            except UpstreamError as error:
                denied = _DeniedError("unreachable", f"{host}:{port} cannot be reached: {error}", UNREACHABLE)
            except TimeoutError:
                via = f" through the proxy {upstream}" if upstream else ""
                denied = _DeniedError(
                    "unreachable", f"{host}:{port} did not answer within {CONNECT_S:.0f} s{via}", UNREACHABLE
                )
            except ConnectionRefusedError:
                denied = _DeniedError(
                    "unreachable", f"nothing listens on {host}:{port} (connection refused)", REFUSED
                )
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                denied = _DeniedError(
                    "unreachable", f"{host}:{port} cannot be reached ({reason})", UNREACHABLE
                )
        raise denied

    async def _resolve(self, host: str, port: int) -> list[Address]:
        """Every address of a name, each once, in the resolver's order."""
        try:
            async with asyncio.timeout(RESOLVE_S):
                return await addresses_of(host, port, self._resolver)
        except TimeoutError:
            reason = f"the name {host} was not resolved within {RESOLVE_S:.0f} s"
        except (OSError, UnicodeError):
            reason = f"the name {host} does not resolve"
        raise _DeniedError("unreachable", reason, UNREACHABLE)


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
    """Greeting and request of RFC 1928, sections 3 to 5: which host and port is asked for.

    Raises OSError for what is not a CONNECT.
    """
    version, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    if version != 5:
        raise OSError("not SOCKS5")
    writer.write(b"\x05\x00")
    _, command, _, kind = await reader.readexactly(4)
    if kind == 1:
        host = str(ipaddress.IPv4Address(await reader.readexactly(4)))
    elif kind == 4:
        host = str(ipaddress.IPv6Address(await reader.readexactly(16)))
    else:
        length = (await reader.readexactly(1))[0]
        host = (await reader.readexactly(length)).decode("ascii", "replace").strip("[]").lower()
    port = int.from_bytes(await reader.readexactly(2), "big")
    if command != 1:
        writer.write(_reply(BAD_COMMAND))
        raise OSError("only CONNECT is spoken")
    return host, port


def _reply(code: int) -> bytes:
    """An answer with the address left empty: the browser does not read it."""
    return bytes((5, code, 0, 1, 0, 0, 0, 0, 0, 0))


async def _pour(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may_pass: Callable[[int], bool] = bool
) -> None:
    """Copy one direction to its end, or until so many bytes may not pass; then say so to the other side."""
    with contextlib.suppress(OSError):
        while (chunk := await reader.read(CHUNK_BYTES)) and may_pass(len(chunk)):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close a connection once all is sent, after `CLOSE_S` in any case; at once where its task is cancelled."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        writer.transport.abort()
    writer.close()
    try:
        async with asyncio.timeout(CLOSE_S):
            await writer.wait_closed()
    except (OSError, asyncio.CancelledError):  # a TimeoutError is an OSError
        pass
    finally:
        writer.transport.abort()
