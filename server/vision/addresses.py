"""Which network addresses a page may be captured from: the policy, and what an address is.

No connections here: `guard.py` asks for a verdict and acts on it.
"""

import asyncio
import functools
import ipaddress
import re
import socket
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# `ipaddress` calls these global (some of them only up to some 3.11.x), yet they lead to a cloud's own
# services, into a tunnel or nowhere.
NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # Azure's platform services
            "192.0.0.0/24",  # protocol assignments, RFC 6890; Oracle's metadata
            "192.88.99.0/24",  # 6to4 relays, RFC 7526
            "2001::/23",  # protocol assignments, RFC 2928; Teredo
            "2002::/16",  # 6to4, RFC 7526
            "3fff::/20",  # documentation, RFC 9637
        ),
    )
)
# All that is public in IPv6 (RFC 4291, 2.4): what lies outside is local, mapped or long withdrawn.
GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last four bytes are an IPv4 address
HOST_NAME = re.compile(r"(?=.*[a-z])[a-z0-9._-]+")
LOCALHOST = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The addresses that may be connected to, or why none may."""

    addresses: tuple[Address, ...] = ()
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the allow list: a name or networks, on one port or (None) on every port."""

    host: str | None
    networks: tuple[Network, ...]
    port: int | None

    def covers(self, host: str, address: Address, port: int) -> bool:
        """Whether this entry speaks of `host` at `address` and `port`."""
        if self.port not in (None, port):
            return False
        return host == self.host or any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Public addresses may be captured from; all others only where `allow` names them.

    `allow` holds hosts, `host:port`, addresses or networks (`10.0.0.0/8`, `10.0.0.0/8:8080`,
    `[::1]:3000`). `never` holds hosts and ports that only an entry with that very port opens: the
    server's own port, its database, broker and store. Raises ValueError for an entry it cannot read.
    """

    allow: tuple[str, ...] = ()
    never: tuple[tuple[str, int], ...] = ()
    _entries: tuple[Entry, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_entries", tuple(parse_entry(entry) for entry in self.allow))

    async def judge(self, host: str, port: int, addresses: Sequence[Address]) -> Verdict:
        """Say which of a host's addresses may be connected to on `port`.

        Addresses that the allow list names win. Without one, a single address that is not public
        refuses the host: a name with public and private answers is an attack or a mistake.
        """
        host = host.lower()
        named: list[Address] = []
        public: list[Address] = []
        refusal: str | None = None
        for address in map(plain, addresses):
            entries = [entry for entry in self._entries if entry.covers(host, address, port)]
            if not any(entry.port for entry in entries) and await self._is_never(host, address, port):
                refusal = refusal or f"{host}:{port} belongs to retestr itself, or to what it works with"
            elif entries:
                named.append(address)
            elif why := why_not_public(address):
                refusal = refusal or (
                    f"{host} is {why}" if host == str(address) else f"{host} is {address}, {why}"
                )
            else:
                public.append(address)
        if named:
            return Verdict(tuple(named))
        return Verdict(refusal=refusal) if refusal else Verdict(tuple(public))

    async def _is_never(self, host: str, address: Address, port: int) -> bool:
        """Whether this is one of `never`, under whatever name or address of the same machine."""
        address = behind_nat64(address)
        for never_host, never_port in self.never:
            if never_port != port:
                continue
            if never_host.strip("[]").lower() == host:
                return True
            try:
                never_addresses = await addresses_of(never_host, port)
            except OSError:
                continue
            if address in never_addresses:
                return True
            if is_this_machine(address) and any(map(is_this_machine, never_addresses)):
                return True
        return False


def parse_entry(text: str) -> Entry:
    """Read one entry of the allow list; raises ValueError with the forms there are."""
    entry = text.strip().lower()
    host, port = entry, ""
    if entry.startswith("[") and "]" in entry:
        host, _, port = entry[1:].partition("]")
    elif entry.count(":") == 1:
        host, _, port = entry.partition(":")
    elif "/" in entry and ":" in entry.partition("/")[2]:
        host, _, port = entry.rpartition(":")
    port = port.removeprefix(":")
    try:
        number = int(port) if port else None
        if HOST_NAME.fullmatch(host):
            return Entry(host, LOCALHOST if host == "localhost" else (), number)
        return Entry(None, (ipaddress.ip_network(host, strict=False),), number)
    except ValueError:
        message = f"{text!r} is not a host, host:port, address or network (10.0.0.0/8, [::1]:3000)"
        raise ValueError(message) from None


async def addresses_of(host: str, port: int, executor: Executor | None = None) -> list[Address]:
    """Resolve a name, or read an address, to every address it has; raises OSError if there is none.

    The system's resolver blocks: it runs in a thread of `executor`, else of the loop's own.
    """
    look_up = functools.partial(socket.getaddrinfo, host.strip("[]"), port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(executor, look_up)
    return [plain(ipaddress.ip_address(address)) for address in dict.fromkeys(entry[4][0] for entry in found)]


def plain(address: Address) -> Address:
    """Unwrap an IPv4 address that was written as IPv6 (`::ffff:127.0.0.1`)."""
    return getattr(address, "ipv4_mapped", None) or address


def behind_nat64(address: Address) -> Address:
    """The IPv4 address that one of the well-known NAT64 prefix leads to; any other as it is."""
    if address.version == 6 and address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def why_not_public(address: Address) -> str | None:
    """Say in words what keeps an address from being public; None for a public one.

    Registries: IANA's special-purpose address registries, as `ipaddress` knows them, and the rules
    above where it is too generous.
    """
    address = behind_nat64(address)
    if address.is_loopback:
        return "a loopback address: the capturing machine itself"
    if address.is_unspecified:
        return "the unspecified address: the capturing machine itself"
    if address.is_link_local:
        return "a link-local address, where clouds serve their metadata"
    if address.is_multicast:
        return "a multicast address"
    if address.is_private:
        return "a private address"
    reserved = any(address in network for network in NOT_PUBLIC)
    if reserved or not address.is_global or (address.version == 6 and address not in GLOBAL_IPV6):
        return "a reserved address"
    return None


def is_this_machine(address: Address) -> bool:
    """Whether an address is one of this machine's own: only those can be bound."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True
