"""What cannot be captured is told in words, with what to do; nothing hangs and nothing stays behind."""

import asyncio
import contextlib
import os
import signal
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from vision_runner import Runner, browsing
from vision_site import Site

from server.vision import processes
from server.vision.capture import Browser, Session
from server.vision.guard import AddressPolicy
from server.vision.page import CaptureError, Image, Page, Step

pytestmark = pytest.mark.browser


class Raw:
    """A server that answers whatever it is asked with `answer`, and then with `then` for ever, at full speed.

    Without `then` it says nothing more, and without `tls` it keeps the connection open.
    """

    def __init__(self, answer: bytes, then: bytes = b"", tls: ssl.SSLContext | None = None) -> None:
        raw = self
        self._over = threading.Event()

        class Answer(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    connection = tls.wrap_socket(self.request, server_side=True) if tls else self.request
                    connection.recv(4096)
                    connection.sendall(answer)
                    while then and not raw._over.is_set():
                        connection.sendall(then)
                    if not tls:
                        raw._over.wait()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def error(capture: Callable[..., Image]) -> Callable[..., CaptureError]:
    def error(path: str, **asked: Any) -> CaptureError:
        with pytest.raises(CaptureError) as caught:
            capture(path, **asked)
        return caught.value

    return error


@pytest.mark.parametrize(
    ("path", "kind", "words", "retry"),
    [
        ("status?code=404", "http-status", ["HTTP 404", "status: 404"], False),
        ("status?code=500", "http-status", ["HTTP 500"], True),
        ("status?code=503", "http-status", ["HTTP 503"], True),
        ("redirect?to=/status%3Fcode%3D404", "http-status", ["HTTP 404"], False),
        ("loop", "unreachable", ["redirects in a circle"], False),
        ("further?n=1", "unreachable", ["redirects in a circle"], False),
        ("nothing", "unreachable", ["without an answer"], True),
        ("download", "suite", ["a download"], False),
        ("empty", "suite", ["an empty answer"], False),
        (
            "http://no-such-name.invalid/",
            "unreachable",
            ["the name no-such-name.invalid does not resolve"],
            True,
        ),
        (
            "http://10.11.12.13/",
            "refused",
            ["10.11.12.13 is a private address", "RETESTR_CAPTURE_ALLOW"],
            False,
        ),
        ("file:///etc/passwd", "suite", ["only http and https"], False),
        ("ftp://site.example/", "suite", ["only http and https"], False),
        ("http://[broken/", "suite", ["not an address"], False),
        ("http://%31%32%37.0.0.1/", "suite", ["not an address"], False),
        ("http://site.example:0/", "suite", ["not an address"], False),
    ],
)
def test_it_tells_what_is_wrong(
    path: str, kind: str, words: list[str], retry: bool, error: Callable[..., CaptureError]
) -> None:
    told = error(path)

    assert (told.kind, told.retry) == (kind, retry)
    assert all(word in told.message for word in words), told.message
    assert path.partition("?")[0] in told.message


def test_it_tells_a_closed_port(run: Runner) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"

    with browsing(run, AddressPolicy(allow=("127.0.0.1",))) as browser:

        async def visit() -> None:
            async with browser.session() as session:
                await session.capture(Page(f"http://{host}/", 800, 600))

        with pytest.raises(CaptureError, match=f"nothing listens on {host}") as caught:
            run(visit())
    assert caught.value.kind == "unreachable"


def test_it_tells_a_site_that_speaks_no_tls(error: Callable[..., CaptureError], site: Site) -> None:
    told = error(f"https://{site.host}/clock.html")

    assert told.kind == "unreachable"
    assert "TLS" in told.message or "broke the connection" in told.message


def test_an_expected_status_is_no_error_and_another_is(
    capture: Callable[..., Image], error: Callable[..., CaptureError]
) -> None:
    assert capture("status?code=404", status=404).http_status == 404
    assert "HTTP 200 where the suite expects 404" in error("clock.html", status=404).message


def test_a_slow_page_runs_out_of_time(error: Callable[..., CaptureError]) -> None:
    started = time.monotonic()
    told = error("slow?ms=3000", timeout_s=0.7)

    assert (told.kind, told.retry) == ("timeout", True)
    assert "longer than 0.7 s, while loading" in told.message
    assert "slow?ms=3000" in told.message.partition("still on its way")[2]
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({"element": "#absent"}, "suite", "'#absent' is not on the page"),
        ({"element": "p >>> ["}, "suite", "selector"),
        ({"ignore_selectors": ("p[",)}, "suite", "'p['"),
        ({"wait_for": ("#absent",), "timeout_s": 1.0}, "timeout", 'wait "#absent"'),
        ({"steps": (Step("click", "#absent"),), "timeout_s": 1.0}, "timeout", 'step 1, click "#absent"'),
        ({"steps": (Step("fill", "p", "text"),)}, "suite", 'step 1, fill "p"'),
        ({"steps": (Step("hover"),)}, "suite", "needs a selector"),
    ],
)
def test_a_suite_that_asks_for_what_is_not_there(
    asked: dict[str, Any], kind: str, words: str, error: Callable[..., CaptureError]
) -> None:
    told = error("clock.html", **asked)

    assert told.kind == kind
    assert words in told.message


def test_a_page_that_keeps_sending_the_browser_on(error: Callable[..., CaptureError], site: Site) -> None:
    site.pages["restart"] = "<script>setTimeout(() => location.reload(), 50)</script>"

    assert "does not come to rest" in error("restart", timeout_s=10.0).message


@pytest.mark.parametrize(
    "never",
    [
        "<script>for (;;);</script>",
        "<script>setTimeout(() => { for (;;); }, 100)</script>",
        "<script>addEventListener('scroll', () => { for (;;); })</script><div style='height: 3000px'>",
        "<script>(function again() { Promise.resolve().then(again); })()</script>",
        "<script>onload = () => { const x = new XMLHttpRequest(); x.open('GET', '/slow?ms=9000', false); x.send() }"
        "</script>",
    ],
    ids=["script", "timer", "scrolling", "promises", "synchronous request"],
)
def test_a_page_that_never_gives_the_browser_back_runs_out_of_time(
    never: str, error: Callable[..., CaptureError], site: Site
) -> None:
    site.pages["never"] = never
    started = time.monotonic()

    told = error("never", timeout_s=2.0)

    assert (told.kind, told.retry) == ("timeout", True)
    assert "longer than 2 s" in told.message
    assert time.monotonic() - started < 8  # the browser is given 5 s to close what hangs


@pytest.mark.parametrize(
    "asks",
    [
        "alert(1); confirm(2); prompt(3)",
        "print()",
        "onbeforeunload = (event) => { event.preventDefault(); return 'stay'; }",
        "setTimeout(() => alert(1), 500)",
        "const a = document.createElement('a'); a.href = '/download'; a.download = 'a.zip'; a.click()",
        "Notification.requestPermission(); navigator.geolocation.getCurrentPosition(() => {})",
        "document.documentElement.requestFullscreen(); document.documentElement.requestPointerLock()",
        "close()",
    ],
)
def test_what_asks_the_person_before_the_screen_is_passed_over(
    asks: str, capture: Callable[..., Image], site: Site
) -> None:
    plain = "<h1>a page</h1>"
    site.pages["plain"], site.pages["asks"] = plain, f"{plain}<script>{asks}</script>"

    assert capture("asks", timeout_s=10.0).sha256 == capture("plain").sha256


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
    assert took_s < 10
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


def visit_all(run: Runner, server: Raw, *urls: str, timeout_s: float = 10.0) -> list[Image | CaptureError]:
    """Capture pages side by side in one session that may reach this machine; what came of each."""

    async def visit(session: Session, url: str) -> Image | CaptureError:
        try:
            return await session.capture(Page(url, 800, 600, timeout_s=timeout_s))
        except CaptureError as error:
            return error

    async def visits() -> list[Image | CaptureError]:
        async with browser.session() as session:
            return await asyncio.gather(*(visit(session, url) for url in urls))

    with browsing(run, AddressPolicy(allow=("127.0.0.1",))) as browser:
        return run(visits())


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS with a certificate of its own making."""
    file = folder / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-days", "2", "-keyout", file, "-out", file]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_a_script_redirect_is_followed(capture: Callable[..., Image], site: Site) -> None:
    site.pages["hop"] = "<script>setTimeout(() => location = '/hover.html', 50)</script>"

    assert capture("hop").sha256 == capture("hover.html").sha256


def test_a_cancelled_capture_closes_its_page(run: Runner, browser: Browser, site: Site) -> None:
    async def cancel() -> tuple[float, int]:
        async with browser.session() as session:
            task = asyncio.create_task(session.capture(Page(f"{site.url}/slow?ms=2500", 800, 600)))
            while not any("ms=2500" in hit for hit in site.hits):
                await asyncio.sleep(0.01)
            started = time.monotonic()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
            assert browser._chromium is not None
            return time.monotonic() - started, len(browser._chromium.contexts)

    took_s, contexts_left = run(cancel())

    assert took_s < 1
    assert contexts_left == 0


def processes_of(parent: int) -> Iterator[tuple[int, str]]:
    """Every descendant of a process, as (process id, command line)."""
    for folder in Path("/proc").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if folder.name.isdigit() and int(fields[1]) == parent:
                yield int(folder.name), (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                yield from processes_of(int(folder.name))
        except (OSError, IndexError):
            continue


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize(
    ("which", "alive"), [("--type=renderer", True), ("--remote-debugging-pipe", False), ("run-driver", False)]
)
def test_a_crash_is_told_and_worth_another_try(which: str, alive: bool, run: Runner, site: Site) -> None:
    others = {process for process, _ in processes_of(os.getpid())}
    with browsing(run, AddressPolicy(allow=(site.host,))) as browser:

        async def crash(session: Session) -> None:
            site.hits.clear()
            site.pages["doomed"] = "<img src='/green.png?ms=900'>"
            task = asyncio.create_task(session.capture(Page(f"{site.url}/doomed", 800, 600)))
            while "/green.png?ms=900" not in site.hits:
                await asyncio.sleep(0.01)
            for process, command in list(processes_of(os.getpid())):
                if process not in others and which in command and "zygote" not in command:
                    os.kill(process, signal.SIGKILL)
            await task

        async def visits() -> tuple[CaptureError, bool]:
            async with browser.session() as session:
                with pytest.raises(CaptureError) as caught:
                    await crash(session)
                still = browser.alive
                if still:
                    await session.capture(Page(f"{site.url}/clock.html", 800, 600))
                return caught.value, still

        error, still_alive = run(visits())

    assert (error.kind, error.retry) == ("crash", True)
    assert still_alive == alive


def test_a_missing_browser_is_told_with_the_command_that_installs_one(run: Runner) -> None:
    with pytest.raises(CaptureError, match="install") as caught:
        run(Browser("/nowhere/chromium").__aenter__())
    assert caught.value.kind == "browser-missing"


def test_a_browser_that_does_not_start_is_told(run: Runner) -> None:
    with pytest.raises(CaptureError, match="does not start") as caught:
        run(Browser("/bin/false").__aenter__())
    assert caught.value.kind == "browser-missing"
