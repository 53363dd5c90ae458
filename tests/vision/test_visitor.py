"""Who a page takes us for: headers, cookies, storage, log-in, language and device; and that secrets go nowhere else."""

import io
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image as Picture

from server.vision.capture import Browser
from server.vision.guard import AddressPolicy
from server.vision.page import Box, CaptureError, Cookie, Image, Login, Mask, Page, Step, Visitor
from server.vision.secrets import Secret, Secrets
from tests.vision.runner import Runner, browsing
from tests.vision.visited import Visited

VALUE = "hunter2 & co/+"
PINK = (0xFF, 0x69, 0xB4)
Capture = Callable[..., Image]


@pytest.fixture
def own() -> Iterator[Visited]:
    with Visited() as site:
        site.pages["/"] = "<h1>home</h1>"
        yield site


@pytest.fixture
def other() -> Iterator[Visited]:
    with Visited() as site:
        site.pages["/"] = "<h1>another</h1><input id=field>"
        yield site


@pytest.fixture
def browser(run: Runner, own: Visited, other: Visited) -> Iterator[Browser]:
    with browsing(run, AddressPolicy(allow=(own.host, other.host, f"localhost:{own.host[10:]}"))) as browser:
        yield browser


@pytest.fixture
def capture(run: Runner, browser: Browser, own: Visited) -> Capture:
    """Captures pages of one run; the secret KEY is bound to `own`."""
    secrets = Secrets({"KEY": Secret("KEY", VALUE, frozenset({own.url}))})

    async def taken(page: Page) -> Image:
        async with browser.session("run", secrets) as session:
            return await session.capture(page)

    def capture(url: str, *, visitor: Visitor | None = None, **asked: Any) -> Image:
        return run(taken(Page(url, 400, 300, visitor=visitor or Visitor(), **asked)))

    return capture


def pixel(image: Image, x: int, y: int) -> tuple[int, ...]:
    return Picture.open(io.BytesIO(image.png)).convert("RGB").getpixel((x, y))


def refusal(capture: Capture, *args: Any, **kwargs: Any) -> CaptureError:
    with pytest.raises(CaptureError) as caught:
        capture(*args, **kwargs)
    assert VALUE not in caught.value.message
    assert VALUE not in repr(caught.value.evidence)
    return caught.value


# --- headers ---------------------------------------------------------------------------------------------


def test_headers_go_to_the_pages_own_origin_and_not_along_a_redirect(
    capture: Capture, own: Visited, other: Visited
) -> None:
    own.pages["/"] = (
        f"<img src=/in><img src=/out><img src={other.url}/direct><iframe src={other.url}/frame></iframe>"
        f"<script>fetch('/fetched'); fetch('{other.url}/fetched', {{mode: 'no-cors'}})</script>"
    )
    own.pages["/out"] = f"{other.url}/redirected"
    other.pages["/frame"] = f"<img src={own.url}/back>"
    visitor = Visitor(headers=(("X-Preview", "yes"), ("Accept-Language", "tlh")), credentials=("ada", "pass"))
    capture(f"{own.url}/", visitor=visitor)
    assert {"/", "/in", "/out", "/fetched"} <= set(own.asked_paths())
    assert set(own.sent("x-preview").values()) == {"yes"}
    assert set(own.sent("authorization").values()) == {"Basic YWRhOnBhc3M="}
    assert set(own.sent("accept-language").values()) == {"tlh"}
    assert {"/direct", "/redirected", "/frame", "/fetched"} <= set(other.asked_paths())
    assert set(other.sent("x-preview").values()) == {None}
    assert set(other.sent("authorization").values()) == {None}


def test_a_page_that_is_redirected_elsewhere_takes_no_header_along(
    capture: Capture, own: Visited, other: Visited
) -> None:
    own.pages["/away"] = f"{other.url}/"
    capture(f"{own.url}/away", visitor=Visitor(headers=(("X-Key", "${{ secrets.KEY }}"),)))
    assert own.sent("x-key") == {"/away": VALUE}
    assert other.sent("x-key")["/"] is None
    assert "hunter2" not in other.everything()


# --- secrets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "visitor"),
    [
        ("the header X-Key", Visitor(headers=(("X-Key", "Bearer ${{ secrets.KEY }}"),))),
        ("basicAuth", Visitor(credentials=("ada", "${{secrets.KEY}}"))),
        ("the cookie sid", Visitor(cookies=(Cookie("sid", "${{ secrets.KEY }}"),))),
        ("localStorage (token)", Visitor(local_storage=(("token", "${{ secrets.KEY }}"),))),
    ],
)
def test_a_secret_is_not_sent_to_a_base_url_that_it_is_not_bound_to(
    capture: Capture, own: Visited, other: Visited, use: str, visitor: Visitor
) -> None:
    error = refusal(capture, f"{other.url}/", visitor=visitor)
    assert error.kind == "refused"
    assert (
        f"{use} uses the secret KEY, which may not be sent to {other.url}: it is for {own.url}"
        in error.message
    )
    assert other.asked == []
    capture(f"{own.url}/", visitor=visitor)
    assert own.asked


def test_a_secret_that_the_project_does_not_have_is_named(capture: Capture, own: Visited) -> None:
    error = refusal(capture, f"{own.url}/", visitor=Visitor(headers=(("X", "${{ secrets.NOPE }}"),)))
    assert "the secret NOPE, which the project does not have" in error.message
    assert own.asked == []


def test_a_secret_is_typed_only_where_it_may_go(capture: Capture, own: Visited, other: Visited) -> None:
    form = "<form method=post action=/sent><input id=field name=p type=password></form>"
    own.pages["/form"], own.pages["/sent"], own.pages["/away"] = form, "thanks", f"{other.url}/"
    own.pages["/framed"] = f"<iframe src={other.url}/></iframe>"
    own.pages["/blank"] = "<iframe srcdoc='<input id=field>'></iframe>"
    fill = Step("fill", "#field", "${{ secrets.KEY }}")
    inside = Step("fill", "iframe >> internal:control=enter-frame >> #field", "${{ secrets.KEY }}")
    capture(f"{own.url}/form", steps=(fill, Step("press", "#field", "Enter")))
    assert [body for method, _, _, body in own.asked if method == "POST"] == ["p=hunter2+&+co/+"]
    for path, step in (("away", fill), ("framed", inside), ("blank", inside)):
        error = refusal(capture, f"{own.url}/{path}", steps=(step,))
        assert error.kind == "refused"
        assert "uses the secret KEY, which may not be sent to" in error.message
    assert "hunter2" not in other.everything()


def test_a_cookie_with_a_secret_reaches_no_other_port_of_its_host(
    capture: Capture, own: Visited, other: Visited
) -> None:
    own.pages["/"] = (
        f"<img src=/in><img src={other.url}/out><script>new WebSocket('ws://{other.host}/')</script>"
    )
    image = capture(f"{own.url}/", visitor=Visitor(cookies=(Cookie("sid", "x${{ secrets.KEY }}"),)))
    assert own.sent("cookie")["/in"] == f"sid=x{VALUE}"
    assert other.asked == []
    reasons = {failed["url"]: failed["reason"] for failed in image.evidence["failedRequests"]}
    assert "cookies know no ports" in reasons[f"{other.url}/out"]
    error = refusal(
        capture,
        f"{own.url}/",
        visitor=Visitor(cookies=(Cookie("sid", "${{ secrets.KEY }}", ".example.com"),)),
    )
    assert "leave its domain out" in error.message


@pytest.mark.parametrize("first", ["another page of the session", "the log-in"])
def test_a_cookie_with_a_secret_stays_on_its_port_whatever_was_visited_before(
    run: Runner, browser: Browser, own: Visited, other: Visited, first: str
) -> None:
    near, far = f"http://localhost:{own.host[10:]}", own.url
    secrets = Secrets({"KEY": Secret("KEY", VALUE, frozenset({near, far}))})
    own.pages["/out"] = f"<img src={other.url}/out>"
    cookies = (Cookie("sid", "${{ secrets.KEY }}"),)
    if first == "the log-in":
        visits = [(f"{near}/out", Visitor(cookies=cookies, login=Login(f"{far}/", ())))]
    else:
        visits = [(url, Visitor(cookies=cookies)) for url in (f"{near}/", f"{far}/out")]

    async def captures() -> None:
        async with browser.session("run", secrets) as session:
            for url, visitor in visits:
                await session.capture(Page(url, 400, 300, visitor=visitor))

    run(captures())
    assert own.sent("cookie")["/out"] == f"sid={VALUE}"
    assert other.asked == []


def test_a_secret_that_the_page_shows_is_painted_over_and_told_nowhere(
    capture: Capture, own: Visited
) -> None:
    own.pages["/"] = (
        "<style>body{margin:0} #out, #field{display:block; width:300px; height:40px; border:0}</style>"
        "<input id=field><div id=out></div><div id=rest style='height:40px;background:#0000ff'></div>"
        "<script>field.oninput = () => { out.textContent = `no ${field.value} found`;"
        " console.error('typed ' + field.value); fetch('http://127.0.0.1:1/?q=' + encodeURIComponent(field.value));"
        " setTimeout(() => { throw Error(btoa('me:' + field.value)) }) }</script>"
    )
    image = capture(f"{own.url}/", steps=(Step("fill", "#field", "${{ secrets.KEY }}"),))
    assert [pixel(image, 20, y) for y in (20, 60, 100)] == [PINK, PINK, (0, 0, 255)]
    said = repr(image.evidence)
    assert "typed ***" in said
    assert "hunter2" not in said
    assert "aHVudGVyMi" not in said
    assert "h1bnRlcjIg" not in said


def test_a_secret_in_the_path_of_what_is_on_its_way_is_not_told_in_part(
    capture: Capture, own: Visited
) -> None:
    def never(*_: object) -> str:
        time.sleep(6)
        return ""

    path = "/" + "a" * (97 - len(own.url) - 1 - 4)
    own.pages["/"] = f"<script>fetch('{path}' + encodeURIComponent(localStorage.token))</script>"
    own.pages[path + quote(VALUE, safe="")] = never
    error = refusal(
        capture,
        f"{own.url}/",
        visitor=Visitor(local_storage=(("token", "${{ secrets.KEY }}"),)),
        timeout_s=3.0,
    )
    assert "still on its way" in error.message
    assert "hunt" not in error.message


def test_a_secret_that_is_shown_in_a_frame_of_a_frame_is_painted_over(capture: Capture, own: Visited) -> None:
    frame = "<body style='margin:0'><iframe src={} style='border:0;display:block;margin-top:{}px'></iframe>"
    own.pages["/"], own.pages["/middle"] = frame.format("/middle", 100), frame.format("/inner", 10)
    own.pages["/inner"] = "<body style='background:red'><script>document.write(localStorage.token)</script>"
    visitor = Visitor(local_storage=(("token", "${{ secrets.KEY }}"),))
    image = capture(f"{own.url}/", visitor=visitor)
    assert [pixel(image, 20, y) for y in (50, 205)] == [(255, 255, 255), PINK]


# --- cookies, storage, log-in -------------------------------------------------------------------------------


def test_cookies_and_storage_are_there_before_the_page_and_gone_with_it(
    run: Runner, browser: Browser, own: Visited
) -> None:
    own.pages["/"] = "<script>fetch('/saw?' + localStorage.theme); localStorage.mine = 1</script>"
    with_both = Visitor(
        cookies=(Cookie("a", "1"), Cookie("b", "2", path="/")), local_storage=(("theme", "dark"),)
    )

    async def two() -> None:
        async with browser.session() as session:
            for visitor in (with_both, with_both, Visitor()):
                await session.capture(Page(f"{own.url}/", 400, 300, visitor=visitor))

    run(two())
    assert [path for path in own.asked_paths() if path.startswith("/saw")] == [
        "/saw?dark", "/saw?dark", "/saw?undefined"
    ]  # fmt: skip
    cookies = [headers.get("cookie") for _, path, headers, _ in own.asked if path == "/"]
    assert cookies == ["a=1; b=2", "a=1; b=2", None]


def login(own: Visited) -> Login:
    steps = (Step("fill", "#field", "${{ secrets.KEY }}"), Step("press", "#field", "Enter"))
    return Login(f"{own.url}/login", steps, ("#welcome",))


def test_a_login_is_done_once_for_all_pages_and_windows_of_a_run(
    run: Runner, browser: Browser, capture: Capture, own: Visited
) -> None:
    own.pages["/login"] = "<form method=post action=/session><input id=field name=p type=password></form>"
    own.pages["/session"] = "<script>localStorage.token = 'T'</script><p id=welcome>hello"
    own.pages["/"] = "<script>fetch('/saw?' + localStorage.token)</script>"
    own.cookies["/session"] = "sid=abc; Path=/; HttpOnly"
    visitor = Visitor(login=login(own))
    capture(f"{own.url}/", visitor=visitor)
    capture(f"{own.url}/", visitor=visitor)
    capture(
        f"{own.url}/", visitor=Visitor(login=login(own), user_agent="phone", is_mobile=True, has_touch=True)
    )
    assert own.asked_paths().count("/session") == 1
    assert own.sent("cookie")["/"] == "sid=abc"
    assert own.asked_paths().count("/saw?T") == 3


def test_a_login_that_fails_is_one_clear_error_for_each_page(capture: Capture, own: Visited) -> None:
    own.pages["/login"] = "<p>no form here"
    visitor = Visitor(login=Login(f"{own.url}/login", (Step("click", "<<"),)))
    for _ in range(2):
        error = refusal(capture, f"{own.url}/", visitor=visitor)
        assert error.message.startswith(f"login failed: {own.url}/login, step 1, click")
    assert own.asked_paths() == ["/login"]


# --- how the page is seen ------------------------------------------------------------------------------------


def test_the_page_is_told_scheme_language_zone_and_device(capture: Capture, own: Visited) -> None:
    own.pages["/"] = (
        "<meta name=viewport content='width=device-width'><script>fetch('/saw?' + [navigator.language,"
        "Intl.DateTimeFormat().resolvedOptions().timeZone, matchMedia('(prefers-color-scheme: dark)').matches,"
        "navigator.userAgent, navigator.maxTouchPoints > 0, innerWidth])</script>"
    )
    visitor = Visitor(
        colour_scheme="dark", locale="de-CH", timezone="Africa/Nairobi", user_agent="Pocket", is_mobile=True,
        has_touch=True,
    )  # fmt: skip
    capture(f"{own.url}/", visitor=visitor)
    assert own.asked_paths()[-1] == "/saw?de-CH,Africa/Nairobi,true,Pocket,true,400"


def test_pages_of_different_visitors_share_nothing_in_one_session(
    run: Runner, browser: Browser, own: Visited
) -> None:
    own.pages["/"] = "<script>fetch('/saw?' + navigator.language)</script>"

    async def both() -> None:
        async with browser.session() as session:
            for visitor in (Visitor(locale="de-CH"), Visitor()):
                await session.capture(Page(f"{own.url}/", 400, 300, visitor=visitor))

    run(both())
    assert [path for path in own.asked_paths() if "saw" in path] == ["/saw?de-CH", "/saw?en-US"]


def test_blocked_hosts_are_not_asked_and_are_no_error(capture: Capture, own: Visited) -> None:
    port = own.host[10:]
    own.pages["/"] = f"<img src=http://localhost:{port}/ad.png><img src=/in.png>"
    image = capture(f"{own.url}/", visitor=Visitor(block_hosts=("local*",)))
    assert set(own.asked_paths()) - {"/favicon.ico"} == {"/", "/in.png"}
    assert image.note is None
    assert [failed["url"] for failed in image.evidence["failedRequests"]] == [f"{own.url}/in.png"]
    error = refusal(capture, f"http://localhost:{port}/", visitor=Visitor(block_hosts=("local*",)))
    assert "localhost is in the suite's blockHosts" in error.message


POLICY = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">"


def test_css_is_laid_over_a_page_whatever_its_security_policy(capture: Capture, own: Visited) -> None:
    own.pages["/"] = f"{POLICY}<body>"
    image = capture(f"{own.url}/", css="html { background: rgb(1, 2, 3) }")
    assert pixel(image, 200, 200) == (1, 2, 3)


def test_what_is_hidden_keeps_its_place_and_what_is_masked_is_painted_over(
    capture: Capture, own: Visited
) -> None:
    own.pages["/"] = (
        "<style>body{margin:0} div{height:50px;background:#00f} div *{visibility:visible;display:block;height:50px;"
        "background:red}</style><div></div><div class=a><b></b></div><div class=m></div><div></div>"
    )
    image = capture(
        f"{own.url}/",
        hide=(".a",),
        mask=(Mask("#102030", ".m"), Mask("#0a0b0c", box=Box(0, 0, 10, 10)), Mask("#000000", ".none")),
        scale=2.0,
    )
    seen = [pixel(image, 400, y * 2) for y in (25, 75, 125, 175)]
    assert seen == [(0, 0, 255), (255, 255, 255), (0x10, 0x20, 0x30), (0, 0, 255)]
    assert (pixel(image, 19, 19), pixel(image, 20, 20)) == ((10, 11, 12), (0, 0, 255))
    assert "the selector '<<' under hide is wrong" in refusal(capture, f"{own.url}/", hide=("<<",)).message


# --- evidence -------------------------------------------------------------------------------------------------


def test_evidence_tells_what_the_browser_reported(capture: Capture, own: Visited) -> None:
    own.pages["/from"] = "/?token=abc"
    own.pages["/"] = (
        "<img src='/gone.png?key=)abc'><img src=http://127.0.0.1:9999/><script>console.error('x'.repeat(900));"
        "console.error('half \\ud83d a sign');"
        "for (let i = 0; i < 80; i++) console.error('see http://u:p@x.example/?a=secret#b ' + i); boom()</script>"
    )
    evidence = capture(f"{own.url}/from").evidence
    assert evidence["httpStatus"] == 200
    assert evidence["redirects"] == [{"status": 302, "from": f"{own.url}/from", "to": f"{own.url}/?…"}]
    failed = {entry["url"]: entry["reason"] for entry in evidence["failedRequests"]}
    assert failed[f"{own.url}/gone.png?…"] == "HTTP 404"
    assert "127.0.0.1 is a loopback address" in failed["http://127.0.0.1:9999/"]
    assert len(evidence["consoleErrors"]) == 50
    assert max(map(len, evidence["consoleErrors"])) == 500
    assert any("see http://x.example/?… 3" in said for said in evidence["consoleErrors"])
    assert "half ? a sign" in repr(evidence["consoleErrors"])
    assert evidence["pageErrors"] == ["ReferenceError: boom is not defined"]
    assert {"navigation", "settling", "shots"} == set(evidence["timingMs"])
    assert "abc" not in repr(evidence)


def test_a_page_that_fails_has_evidence_too(capture: Capture, own: Visited) -> None:
    own.pages["/"] = "<script>boom()</script>"
    error = refusal(capture, f"{own.url}/", element="#none")
    assert error.evidence["pageErrors"] == ["ReferenceError: boom is not defined"]
