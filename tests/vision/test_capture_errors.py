"""What cannot be captured is told in words, with what to do; nothing hangs and nothing stays behind."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Error as BrowserError
from playwright.async_api import Page as Tab

from server.vision import capture as capture_module
from server.vision import rooms
from server.vision.browser import find_browser
from server.vision.capture import Browser, Session
from server.vision.guard import AddressPolicy
from server.vision.page import CaptureError, Image, Page, Step
from tests.vision.runner import Runner, browsing
from tests.vision.site import Secret, Site

pytestmark = pytest.mark.browser


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


@pytest.mark.parametrize(
    ("status", "kind", "words", "retry"),
    [
        (None, "http-status", "HTTP 503; if that is what the test is about", True),
        (404, "http-status", "HTTP 503 where the suite expects 404", True),
        (503, "suite", "HTTP 503 without a body: there is nothing to picture", False),
    ],
)
def test_an_error_status_without_a_body_is_no_network_error(
    status: int | None,
    kind: str,
    words: str,
    retry: bool,
    error: Callable[..., CaptureError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Full Chromium shows a page of its own then, and Playwright takes that for a failure; the shell does not."""
    goto = Tab.goto

    async def as_full_chromium(tab: Tab, url: str, **asked: Any) -> None:
        await goto(tab, url, **asked)
        raise BrowserError(f"Page.goto: net::ERR_HTTP_RESPONSE_CODE_FAILURE at {url}")

    monkeypatch.setattr(Tab, "goto", as_full_chromium)
    told = error("status?code=503", status=status)

    assert (told.kind, told.retry) == (kind, retry)
    assert words in told.message


def test_a_slow_page_runs_out_of_time(error: Callable[..., CaptureError]) -> None:
    started = time.monotonic()
    told = error("slow?ms=9000", timeout_s=3.0)

    assert (told.kind, told.retry) == ("timeout", True)
    assert "longer than 3 s, while loading" in told.message
    assert told.message.endswith("/slow?…")
    assert time.monotonic() - started < 8


def test_time_does_not_run_out_while_others_are_visited(run: Runner, session: Session, site: Site) -> None:
    site.pages["waits"] = "<script src='slow?ms=5000'></script>"
    slow, quick = Page(f"{site.url}/waits", 800, 600), Page(f"{site.url}/steps.html", 800, 600, timeout_s=4)

    async def together() -> list[Image]:
        return await asyncio.gather(*map(session.capture, [slow] * 4 + [quick]))

    assert all(image.http_status == 200 for image in run(together()))


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({"element": "#absent"}, "suite", "'#absent' is not on the page"),
        ({"element": "p >>> ["}, "suite", "selector"),
        ({"ignore_selectors": ("p[",)}, "suite", "'p['"),
        ({"wait_for": ("#absent",), "timeout_s": 3.0}, "timeout", 'wait "#absent"'),
        ({"steps": (Step("click", "#absent"),), "timeout_s": 3.0}, "timeout", 'step 1, click "#absent"'),
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


def test_a_page_that_restarts_says_what_was_kept_from_it(
    error: Callable[..., CaptureError], site: Site, secret: Secret
) -> None:
    site.pages["restart"] = (
        f"<img src='{secret.url}'><script>setTimeout(() => location.reload(), 50)</script>"
    )

    told = error("restart", timeout_s=10.0).message

    assert "does not come to rest" in told
    assert "127.0.0.1 is a loopback address" in told
    assert "RETESTR_CAPTURE_ALLOW" in told


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


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_a_browser_that_is_given_up_while_it_starts_leaves_no_process(run: Runner) -> None:
    others = {process for process, _ in processes_of(os.getpid())}

    def driver() -> list[int]:
        return [
            pid for pid, words in processes_of(os.getpid()) if pid not in others and "run-driver" in words
        ]

    async def give_up() -> None:
        executable = find_browser()
        assert executable is not None
        starting = asyncio.create_task(Browser(executable).__aenter__())
        while not driver():
            await asyncio.sleep(0.01)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    run(give_up())
    assert driver() == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_a_browser_that_can_make_no_tab_any_more_has_ended(
    run: Runner, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "TAB_S", 0.5)
    monkeypatch.setattr(capture_module, "CLOSE_S", 0.5)
    others = {process for process, _ in processes_of(os.getpid())}
    with browsing(run, AddressPolicy(allow=(site.host,))) as browser:
        for process, command in list(processes_of(os.getpid())):
            if process not in others and "--type=zygote" in command and "--no-zygote-sandbox" not in command:
                os.kill(process, signal.SIGKILL)

        async def visit() -> None:
            async with browser.session() as session:
                await session.capture(Page(f"{site.url}/clock.html", 800, 600))

        with pytest.raises(CaptureError) as caught:
            run(visit())
        assert (caught.value.kind, caught.value.retry, browser.alive) == ("crash", True, False)


def test_a_missing_browser_is_told_with_the_command_that_installs_one(run: Runner) -> None:
    with pytest.raises(CaptureError, match="install") as caught:
        run(Browser("/nowhere/chromium").__aenter__())
    assert caught.value.kind == "browser-missing"


def test_a_browser_that_does_not_start_is_told(run: Runner) -> None:
    with pytest.raises(CaptureError, match="does not start") as caught:
        run(Browser("/bin/false").__aenter__())
    assert caught.value.kind == "browser-missing"
