"""Run by `test_guard_namespace.py` in a network namespace of its own: every way, to every form of private address.

There the names come from a real DNS server and the addresses exist: a site at a public one, which needs no allow
list, and the secret at all others. Prints what reached the secret, as JSON.
"""

import asyncio
import json
import socket
import struct
import threading
from collections import Counter
from ipaddress import ip_address
from urllib.parse import quote

from server.vision.capture import Browser
from server.vision.guard import AddressPolicy
from server.vision.page import CaptureError, Page
from tests.vision import ways
from tests.vision.runner import Runner, browsing
from tests.vision.site import Secret, Site

PUBLIC = "93.184.216.34"
NAMES = {
    "private.test": ["10.0.0.5"],
    "metadata.test": ["169.254.169.254"],
    "six.test": ["fd00::5"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "mixed.test": [PUBLIC, "127.0.0.1"],
    "mixed-six.test": [PUBLIC, "::1"],
}
REBINDING = "{number}.rebinding.test"
FORMS = (
    "127.0.0.1", "127.8.8.8", "localhost", "2130706433", "0177.0.0.1", "0x7f.1", "0.0.0.0", "10.0.0.5",
    "169.254.169.254", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a00:5]", "[fd00::5]", *NAMES, REBINDING,
)  # fmt: skip


class Names:
    """A DNS server on port 53: a name that rebinds is the public address when first asked for, then loopback.

    RFC 1035, 4: one question, and answers that point to its name; a time to live of 0.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            query, sender = self._socket.recvfrom(512)
            self._socket.sendto(self._answer(query), sender)

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode().lower())
            at += 1 + length
        kind = struct.unpack_from(">H", query, at + 1)[0]
        name, version = ".".join(labels), {1: 4, 28: 6}.get(kind)
        addresses = [a for a in map(ip_address, self._addresses(name)) if a.version == version]
        if version == 4:
            self.asked[name] += 1
        records = [struct.pack(">HHHIH", 0xC00C, kind, 1, 0, len(a.packed)) + a.packed for a in addresses]
        flags = 0x8180 if self._addresses(name) else 0x8183  # no such name
        header = query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0)
        return header + query[12 : at + 5] + b"".join(records)

    def _addresses(self, name: str) -> list[str]:
        if name.endswith(REBINDING.partition(".")[2]):
            return ["127.0.0.1"] if self.asked[name] else [PUBLIC]
        return NAMES.get(name, [])


async def visit_all(browser: Browser, form: str, site: Site, secret: Secret, run: int) -> list[str]:
    """Capture the pages of every way to `form`; returns notes and errors."""

    async def visit(number: int, name: str) -> str:
        host = form.format(number=f"{run}-{number}")
        home = f"http://{host}:{site.port}" if form == REBINDING else site.url
        site.pages[name] = ways.page(ways.PAGES[name], f"http://{host}:{secret.port}", site.url)
        page = Page(f"{home}/{quote(name)}", 400, 300, full_page=False, timeout_s=60)
        try:
            async with browser.session() as session:
                return (await session.capture(page)).note or ""
        except CaptureError as error:
            return error.message

    return await asyncio.gather(*(visit(*entry) for entry in enumerate(ways.PAGES)))


def main() -> None:
    """Try all forms behind the guard, then with all addresses allowed."""
    Names()
    runner = Runner()
    found: dict[str, dict[str, list[str]]] = {}
    try:
        with Site(PUBLIC) as site, Secret() as secret:
            for number, (title, allow) in enumerate({"guarded": (), "open": ("0.0.0.0/0", "::/0")}.items()):
                with browsing(runner, AddressPolicy(allow)) as browser:
                    for form in FORMS:
                        secret.asked.clear()
                        told = runner(visit_all(browser, form, site, secret, number), 300)
                        found.setdefault(form, {})[title] = list(secret.asked)
                        found[form][f"{title}, told"] = told
    finally:
        runner.stop()
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main()
