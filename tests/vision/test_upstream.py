"""With a proxy upstream, the guard still judges, and the proxy is asked for the address that was judged."""

import asyncio
import base64
import ipaddress
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from server.vision import addresses
from server.vision.addresses import AddressPolicy
from server.vision.browser import find_browser
from server.vision.capture import Browser
from server.vision.guard import Failure, Guard
from server.vision.page import CaptureError, Image, Page
from server.vision.upstream import Upstream, UpstreamError
from tests.vision.runner import Runner
from tests.vision.site import Site

PUBLIC = "93.184.216.34"


class Proxy:
    """Speaks CONNECT or SOCKS5, whichever it is spoken to in, and connects everybody to the site.

    `asked` holds the addresses it was asked for; with `login` it wants just these credentials; `answer` is what it
    says to CONNECT.
    """

    def __init__(self, site: Site, login: tuple[str, str] | None = None, answer: str = "200 Fine") -> None:
        self.asked: list[str] = []
        self._site, self._login, self._answer = site, login, answer

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(1)
        if await (self._socks(reader, writer) if first == b"\x05" else self._http(reader, writer)):
            there, here = await asyncio.open_connection("127.0.0.1", self._site.port)
            await asyncio.gather(self._pour(reader, here), self._pour(there, writer))
            here.close()
        writer.close()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request, *headers = (b"C" + await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        self.asked.append(request.removeprefix("CC").split()[1])
        given = next((h.split()[-1] for h in headers if h.lower().startswith("proxy-auth")), "")
        if self._login and base64.b64decode(given).decode() != ":".join(self._login):
            writer.write(b"HTTP/1.1 407 Who are you\r\n\r\n")
            return False
        writer.write(f"HTTP/1.1 {self._answer}\r\nVia: a proxy\r\n\r\n".encode())
        return self._answer.startswith("200")

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        wanted = 2 if self._login else 0
        writer.write(bytes((5, wanted if wanted in methods else 255)))
        if wanted not in methods:
            return False
        if self._login:
            await reader.readexactly(1)
            given = [await reader.readexactly((await reader.readexactly(1))[0]) for _ in range(2)]
            right = [part.decode() for part in given] == list(self._login)
            writer.write(bytes((1, 0 if right else 1)))
            if not right:
                return False
        kind = (await reader.readexactly(4))[3]
        address = ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16))
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.asked.append(f"[{address}]:{port}" if kind == 4 else f"{address}:{port}")
        # The bound address as a name, which a client must skip in its own length.
        writer.write(b"\x05\x00\x00\x03\x05proxy\x00\x00")
        return True

    async def _pour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            writer.write(chunk)
        writer.write_eof()


def ask(
    site: Site, upstream: str, host: str, proxy: dict[str, Any] | None = None, port: int = 80
) -> tuple[bytes, list[str], list[Failure]]:
    """What a request for `host` through guard and proxy is answered, what the proxy was asked, and what failed."""

    async def talk() -> tuple[bytes, list[str], list[Failure]]:
        async with AsyncExitStack() as stack:
            there = await stack.enter_async_context(Proxy(site, **(proxy or {})))
            way = Upstream.parse(upstream.format(port=there.port))
            policy = AddressPolicy(allow=(site.host,))
            guard = await stack.enter_async_context(Guard(policy, upstream=way))
            reader, writer = await asyncio.open_connection("127.0.0.1", int(guard.url.rpartition(":")[2]))
            writer.write(b"\x05\x01\x00\x05\x01\x00\x03" + bytes((len(host),)) + host.encode())
            writer.write(port.to_bytes(2, "big") + b"GET /clock.html HTTP/1.0\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer, there.asked, guard.failures

    return asyncio.run(asyncio.wait_for(talk(), 10))


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize(
    ("host", "asked"), [(PUBLIC, f"{PUBLIC}:80"), ("2606:4700::1111", "[2606:4700::1111]:80")]
)
@pytest.mark.parametrize("login", [None, ("ada", "p@ss:wörd")])
def test_a_public_address_is_reached_through_the_proxy(
    scheme: str, host: str, asked: str, login: tuple[str, str] | None, site: Site
) -> None:
    credentials = "ada:p%40ss%3Aw%C3%B6rd@" if login else ""
    answer, seen, failures = ask(site, f"{scheme}://{credentials}127.0.0.1:{{port}}", host, {"login": login})

    assert b"200 OK" in answer
    assert seen == [asked]
    assert failures == []


def test_the_proxy_is_asked_for_an_address_and_never_for_a_name(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name could answer the proxy differently than it answered us."""

    async def resolve(host: str, *_: object) -> list[addresses.Address]:
        return [ipaddress.ip_address(PUBLIC)]

    monkeypatch.setattr("server.vision.guard.addresses_of", resolve)

    assert ask(site, "http://127.0.0.1:{port}", "rebind.example")[1] == [f"{PUBLIC}:80"]


def test_what_is_refused_does_not_get_to_the_proxy(site: Site) -> None:
    answer, asked, failures = ask(site, "http://127.0.0.1:{port}", "169.254.169.254")

    assert b"HTTP" not in answer
    assert asked == []
    assert failures[0].kind == "refused"


def test_what_the_allow_list_opens_is_reached_without_the_proxy(site: Site) -> None:
    """127.0.0.1 is another machine for the proxy."""
    answer, asked, _ = ask(site, "http://127.0.0.1:{port}", "127.0.0.1", port=site.port)

    assert b"200 OK" in answer
    assert asked == []


@pytest.mark.parametrize(
    ("url", "proxy", "words"),
    [
        ("http://ada:sesame@127.0.0.1:{port}", {"login": ("ada", "other")}, "wants other credentials"),
        ("socks5://ada:sesame@127.0.0.1:{port}", {"login": ("ada", "other")}, "wants other credentials"),
        ("socks5://127.0.0.1:{port}", {"login": ("ada", "other")}, "wants other credentials"),
        ("http://ada:sesame@127.0.0.1:{port}", {"answer": "403 No"}, "must permit CONNECT to addresses"),
        ("http://ada:sesame@127.0.0.1:{port}", {"answer": "502 Gone"}, "answered '502 Gone'"),
        ("http://ada:sesame@127.0.0.1:1", {}, "http://127.0.0.1:1 cannot be reached"),
    ],
)
def test_a_proxy_that_does_not_connect_is_told_without_credentials(
    url: str, proxy: dict[str, Any], words: str, site: Site
) -> None:
    _, _, failures = ask(site, url, PUBLIC, proxy)

    assert failures[0].kind == "unreachable"
    assert words in failures[0].reason
    assert "sesame" not in failures[0].reason + repr(Upstream.parse(url.format(port=1)))


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("says", [b"", b"SSH-2.0-server\r\n\r\n", b"HTTP/1.1"])
def test_what_is_no_proxy_is_told(scheme: str, says: bytes) -> None:
    async def talk() -> None:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(says)
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            upstream = Upstream(scheme, "127.0.0.1", server.sockets[0].getsockname()[1])
            await upstream.connect(ipaddress.ip_address(PUBLIC), 80)

    with pytest.raises(UpstreamError, match="is no such proxy"):
        asyncio.run(asyncio.wait_for(talk(), 5))


@pytest.mark.parametrize(
    "url", ["ftp://host:1", "http://host", "host:3128", "http://:3128", "http://host:port", "http://host:1/x"]
)
def test_a_setting_it_cannot_read_is_an_error_without_the_setting(url: str) -> None:
    with pytest.raises(ValueError, match="it ") as caught:
        Upstream.parse(url.replace("host", "ada:sesame@host"))
    assert "sesame" not in str(caught.value)


def test_no_setting_is_no_proxy() -> None:
    assert Upstream.parse("") is None


@pytest.mark.browser
def test_a_page_is_captured_through_the_proxy(run: Runner, site: Site, capture: Callable[..., Image]) -> None:
    executable = find_browser()
    assert executable is not None

    async def visit() -> tuple[Image, list[str]]:
        async with Proxy(site) as proxy:
            upstream = Upstream.parse(f"http://127.0.0.1:{proxy.port}")
            async with Browser(executable, upstream=upstream) as browser, browser.session() as session:
                image = await session.capture(Page(f"http://{PUBLIC}/clock.html", 800, 600, timeout_s=10))
                with pytest.raises(CaptureError, match="RETESTR_CAPTURE_ALLOW"):
                    await session.capture(Page(f"{site.url}/clock.html", 800, 600, timeout_s=10))
            return image, proxy.asked

    image, asked = run(visit())

    assert set(asked) == {f"{PUBLIC}:80"}
    assert image.sha256 == capture("clock.html").sha256
