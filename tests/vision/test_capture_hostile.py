"""Sites that hang, flood or eat memory: one error each, and no harm to other pages."""

import contextlib
import os
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from server.vision import guard, processes
from server.vision.guard import AddressPolicy
from server.vision.page import CaptureError, Image, Page
from tests.vision.raw import Raw, visit_all
from tests.vision.runner import Runner, browsing
from tests.vision.site import Site

pytestmark = pytest.mark.browser

AUTOGROUP = Path("/proc/self/autogroup")  # where the kernel shares the processor among sessions


def test_a_certificate_that_nobody_signed_is_told(run: Runner, tmp_path: Path) -> None:
    with Raw(b"HTTP/1.1 200 OK\r\n\r\nhidden", tls=self_signed(tmp_path)) as server:
        told = visit_all(run, server, f"https://{server.host}/")[0]

    assert isinstance(told, CaptureError)
    assert told.kind == "unreachable"
    assert "its TLS certificate is signed by nobody the browser trusts" in told.message


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        (b"", b""),
        (HEAD % b"text/html", b""),
        (HEAD % b"text/html" + b"\r\n<p>begins", b""),
        (HEAD % b"text/html" + b"\r\n<p>begins", b"<p>goes on and on and on"),
        (HEAD % b"text/html" + b"Content-Length: 5000000000\r\n\r\n", b"<!-- five gigabytes -->" * 50_000),
        (HEAD % b"text/html" + b"X-Long: ", b"x" * 1000),
        (HEAD % b"text/plain" + b"Content-Length: 5000000000\r\n\r\n", b"five gigabytes" * 50_000),
    ],
    ids=["silence", "half a head", "half a page", "no end", "5 GB", "endless head", "5 GB of text"],
)
def test_an_answer_that_does_not_end_is_one_error_and_harms_no_other_page(
    answer: bytes, then: bytes, run: Runner, site: Site, capture: Callable[..., Image]
) -> None:
    with Raw(answer, then) as server:
        started = time.monotonic()
        told, *others = visit_all(
            run, server, f"http://{server.host}/", *[f"{site.url}/hover.html"] * 3, timeout_s=4.0
        )
        took_s = time.monotonic() - started

    assert isinstance(told, CaptureError)
    assert told.kind in ("timeout", "unreachable")
    assert server.host in told.message
    assert took_s < 15
    assert {image.sha256 for image in others} == {capture("hover.html").sha256}


def test_a_page_that_loads_without_bounds_is_one_error_and_harms_no_other_page(
    run: Runner, site: Site, capture: Callable[..., Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MOST_BYTES", 20 * 1024**2)
    part = HEAD % b"image/png" + b"Connection: close\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000
    with Raw(part) as server:
        site.pages["greedy"] = f"""<script>
          let n = 0; const more = () => fetch("http://{server.host}/" + n++, {{mode: "no-cors"}}).then(more, more);
          for (let at = 0; at < 4; at++) more();
        </script>"""
        told, *others = visit_all(
            run, server, f"{site.url}/greedy", *[f"{site.url}/hover.html"] * 3, timeout_s=20.0
        )

    assert isinstance(told, CaptureError)
    assert (told.kind, told.retry) == ("suite", False)
    assert f"{site.url}/greedy loads more than" in told.message
    assert {image.sha256 for image in others} == {capture("hover.html").sha256}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="memory is watched where there is /proc")
@pytest.mark.parametrize(
    "eats",
    [
        "const all = []; setTimeout(() => { for (;;) all.push(new Array(10000).fill(Math.random())) })",
        "const all = []; setTimeout(() => { for (;;) all.push(new Uint8Array(2 ** 24).fill(1)) })",
    ],
    ids=["objects", "buffers"],
)
def test_a_page_that_eats_memory_is_ended_and_harms_no_other_page(
    eats: str, run: Runner, site: Site, capture: Callable[..., Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MOST_PAGE_BYTES", 300 * 1024**2)
    site.pages["eats"] = f"<script>{eats}</script>"
    with Raw(b"") as server:
        told, *others = visit_all(
            run, server, f"{site.url}/eats", *[f"{site.url}/hover.html"] * 3, timeout_s=15.0
        )

    assert isinstance(told, CaptureError)
    assert told.kind == "crash"
    assert {image.sha256 for image in others} == {capture("hover.html").sha256}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="memory is seen where there is /proc")
def test_the_memory_that_a_browser_keeps_is_seen(run: Runner) -> None:
    before = processes.kept_bytes()
    with browsing(run, AddressPolicy()):
        kept = processes.kept_bytes() - before

    assert 20 * 1024**2 < kept < 1024**3


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="priorities are seen where there is /proc")
def test_all_of_the_browser_makes_way_for_others(run: Runner, site: Site) -> None:
    before = {process.pid for process in processes.processes()}

    def priorities() -> set[int]:
        found = set()
        for process in processes.processes():
            with contextlib.suppress(OSError):
                if process.pid not in before and os.getpgid(process.pid) != os.getpgrp():
                    found.add(os.getpriority(os.PRIO_PROCESS, process.pid))
                    if AUTOGROUP.exists():
                        found.add(int(Path(f"/proc/{process.pid}/autogroup").read_text().split()[-1]))
        return found

    async def draw_something() -> None:
        async with browser.session() as session:
            await session.capture(Page(f"{site.url}/hover.html", 800, 600))

    with browsing(run, AddressPolicy(allow=(site.host,))) as browser:
        run(draw_something())
        deadline = time.monotonic() + 10
        while priorities() != {processes.NICENESS} and time.monotonic() < deadline:
            time.sleep(0.1)

        assert priorities() == {processes.NICENESS}


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS with a certificate of its own making."""
    file = folder / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-days", "2", "-keyout", file, "-out", file]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
