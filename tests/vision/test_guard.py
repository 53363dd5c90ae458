"""Nothing that the policy forbids is reached, by whatever way a page or a name tries."""

import asyncio
import ipaddress
import itertools
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest

from server.vision import addresses
from server.vision.addresses import AddressPolicy, Verdict, parse_entry, why_not_public
from server.vision.capture import Browser
from server.vision.guard import Guard
from server.vision.page import CaptureError, Image, Page
from tests.vision import ways
from tests.vision.runner import Runner, browsing
from tests.vision.site import Secret, Site


def judge(policy: AddressPolicy, host: str, port: int, *answers: str) -> Verdict:
    return asyncio.run(policy.judge(host, port, [ipaddress.ip_address(answer) for answer in answers]))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "192.88.99.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:808:808::",
        "2001::1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert judge(AddressPolicy(), "name.example", 80, address).refusal


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_what_is_public_is_not(address: str) -> None:
    assert judge(AddressPolicy(), "name.example", 80, address).addresses


def test_a_name_with_public_and_private_answers_is_refused() -> None:
    assert judge(AddressPolicy(), "rebind.example", 80, "8.8.8.8", "127.0.0.1").refusal


@pytest.mark.parametrize(
    ("entry", "host", "address", "port", "allowed"),
    [
        ("10.0.0.0/8", "a.example", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "a.example", "11.1.2.3", 80, True),  # public anyway
        ("10.0.0.0/8:8080", "a.example", "10.1.2.3", 80, False),
        ("10.0.0.0/8:8080", "a.example", "10.1.2.3", 8080, True),
        ("10.0.0.0/8", "a.example", "192.168.0.1", 80, False),
        ("staging-2", "staging-2", "10.0.0.2", 80, True),
        ("Staging-2:3000", "STAGING-2", "10.0.0.2", 3000, True),
        ("staging-2:3000", "staging-2", "10.0.0.2", 80, False),
        ("staging-2", "other", "10.0.0.2", 80, False),
        ("localhost:3000", "localhost", "127.0.0.1", 3000, True),
        ("localhost:3000", "127.0.0.1", "127.0.0.1", 3000, True),
        ("[::1]:3000", "::1", "::1", 3000, True),
        ("::1", "::1", "::1", 4000, True),
        ("[fd00::/8]:80", "a.example", "fd00::1", 80, True),
        ("fd00::/8", "a.example", "fd00::1", 80, True),
        ("127.0.0.1:3000", "a.example", "::ffff:127.0.0.1", 3000, True),
    ],
)
def test_the_allow_list_opens_exactly_what_it_names(
    entry: str, host: str, address: str, port: int, allowed: bool
) -> None:
    assert bool(judge(AddressPolicy(allow=(entry,)), host, port, address).addresses) == allowed


@pytest.mark.parametrize(
    "entry", ["", "http://localhost:3000", "10.0.0.0/99", "host:port", "a b", "[::1", "1.2.3"]
)
def test_an_entry_it_cannot_read_is_an_error(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        parse_entry(entry)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
@pytest.mark.parametrize("asked", ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"])
def test_retestrs_own_ports_need_an_entry_with_the_port(host: str, asked: str) -> None:
    never = ((host, 8000),)

    assert judge(AddressPolicy(("127.0.0.0/8", "::1"), never), asked, 8000, asked).refusal
    assert judge(AddressPolicy(("127.0.0.0/8", "::1"), never), asked, 8001, asked).addresses
    assert judge(AddressPolicy(("127.0.0.0/8:8000", "[::1]:8000"), never), asked, 8000, asked).addresses


def test_never_holds_for_public_addresses_too() -> None:
    never = (("8.8.8.8", 5432),)

    assert judge(AddressPolicy((), never), "database.example", 5432, "8.8.8.8").refusal
    assert judge(AddressPolicy((), never), "database.example", 443, "8.8.8.8").addresses


def test_never_holds_behind_nat64_too() -> None:
    assert judge(AddressPolicy((), (("8.8.8.8", 5432),)), "a.example", 5432, "64:ff9b::808:808").refusal


def test_every_refusal_says_what_the_address_is() -> None:
    assert "link-local" in (why_not_public(ipaddress.ip_address("169.254.169.254")) or "")
    assert why_not_public(ipaddress.ip_address("1.1.1.1")) is None


def test_a_name_is_resolved_once_and_never_again(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    """A name that answers with a permitted address first and another one later (DNS rebinding)."""
    answers = iter(["127.0.0.1", "127.0.0.9", "127.0.0.9"])

    async def resolve(*_: object) -> list[addresses.Address]:
        return [ipaddress.ip_address(next(answers))]

    monkeypatch.setattr("server.vision.guard.addresses_of", resolve)

    async def ask() -> bytes:
        async with Guard(AddressPolicy(allow=(f"127.0.0.1:{site.port}",))) as guard:
            port = int(guard.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"\x05\x01\x00\x05\x01\x00\x03\x06rebind" + site.port.to_bytes(2, "big"))
            writer.write(b"GET /clock.html HTTP/1.0\r\n\r\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer

    assert b"200 OK" in asyncio.run(ask())
    assert next(answers) == "127.0.0.9"


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x05",
        b"\x04\x01\x00\x50",
        b"\x05\x01\x00\x05\x03\x00\x01\x7f\x00\x00\x01\x00\x50",
    ],
)
def test_what_is_not_a_socks_request_is_hung_up_on(garbage: bytes) -> None:
    async def ask() -> bytes:
        async with Guard(AddressPolicy()) as guard:
            port = int(guard.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(garbage)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer

    assert len(asyncio.run(asyncio.wait_for(ask(), 5))) <= 12


def test_it_ends_though_a_server_does_not_read_what_it_is_sent() -> None:
    async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.transport.abort()

    async def send() -> None:
        server = await asyncio.start_server(never_read, "127.0.0.1", 0, limit=1024)
        port: int = server.sockets[0].getsockname()[1]
        async with Guard(AddressPolicy(allow=("127.0.0.1",))) as guard:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(guard.url.rpartition(":")[2]))
            writer.write(b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
            await reader.readexactly(12)
            writer.write(bytes(20_000_000))
            await asyncio.sleep(0.2)
            writer.transport.abort()
        over.set()
        server.close()

    over = asyncio.Event()
    asyncio.run(asyncio.wait_for(send(), 5))


# --- with the browser -------------------------------------------------------------------------------------


def try_all_ways(
    run: Runner, browser: Browser, site: Site, secret: Secret, *, wait_s: float = 0
) -> dict[str, str]:
    """Capture pages that try every way to reach the secret: the note or error of each.

    What outlives its page, as a beacon does, has `wait_s` to arrive before the session ends.
    """
    told = {}

    async def visit(name: str) -> None:
        site.pages[name] = ways.page(ways.PAGES[name], secret.url, site.url)
        try:
            asked = Page(f"{site.url}/{quote(name)}", 400, 300, full_page=False, timeout_s=20)
            async with browser.session() as session:
                told[name] = (await session.capture(asked)).note or ""
                until = time.monotonic() + wait_s
                while ways.missing(secret.asked, ways.PAGES[name]) and time.monotonic() < until:
                    await asyncio.sleep(0.05)
        except CaptureError as error:
            told[name] = error.message

    async def visits() -> None:
        await asyncio.gather(*map(visit, ways.PAGES))

    run(visits())
    return told


@pytest.mark.browser
def test_a_page_reaches_no_secret_in_any_way(
    run: Runner, browser: Browser, site: Site, secret: Secret
) -> None:
    told = try_all_ways(run, browser, site, secret)

    assert secret.asked == []
    for name, note in told.items():
        assert "127.0.0.1 is a loopback address" in note, name
        assert "RETESTR_CAPTURE_ALLOW" in note, name


@pytest.mark.browser
def test_every_way_leads_to_the_secret_where_it_is_allowed(run: Runner, site: Site, secret: Secret) -> None:
    """The proof that the test above can fail."""
    with browsing(run, AddressPolicy(allow=(site.host, f"127.0.0.1:{secret.port}"))) as browser:
        told = try_all_ways(run, browser, site, secret, wait_s=10)

    assert ways.missing(secret.asked, ways.WAYS) == []
    assert not any(told.values())


@pytest.mark.browser
@pytest.mark.parametrize(
    "form",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "[::]",
        "0.0.0.0",
        "0",
        "0x7f000001",
        "017700000001",
        "①②⑦.⓪.⓪.①",
        "127.0.0.1.",
        "LOCALHOST",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
def test_no_spelling_of_an_address_reaches_it(
    form: str, capture: Callable[..., Image], secret: Secret
) -> None:
    with pytest.raises(CaptureError) as caught:
        capture(f"http://{form}:{secret.port}/")

    assert caught.value.kind == "refused"
    assert f":{secret.port} to RETESTR_CAPTURE_ALLOW" in caught.value.message
    assert secret.asked == []


@pytest.mark.browser
def test_a_redirect_reaches_no_secret(capture: Callable[..., Image], secret: Secret) -> None:
    with pytest.raises(CaptureError) as caught:
        capture(f"redirect?to={secret.url}/")

    assert caught.value.kind == "refused"
    assert secret.asked == []


@pytest.mark.browser
def test_a_name_that_answers_differently_later_reaches_no_secret(
    run: Runner, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the page's own name leads to the site first, then to the secret, and back again."""
    answers = itertools.cycle(["127.0.0.1", "127.0.0.9"])

    async def resolve(*_: object) -> list[addresses.Address]:
        return [ipaddress.ip_address(next(answers))]

    monkeypatch.setattr("server.vision.guard.addresses_of", resolve)
    site.pages["rebinding"] = """<script>
        for (let i = 0; i < 9; i++) fetch("/clock.html?" + i, {cache: "no-store"})</script>"""
    site.hits.clear()
    with Secret("127.0.0.9", site.port) as secret, browsing(run, AddressPolicy((site.host,))) as browser:

        async def visit() -> Image:
            async with browser.session() as session:
                return await session.capture(Page(f"http://rebind.example:{site.port}/rebinding", 400, 300))

        note = run(visit()).note

    assert "rebind.example is 127.0.0.9, a loopback address" in (note or "")
    assert any("clock.html" in hit for hit in site.hits)
    assert secret.asked == []
