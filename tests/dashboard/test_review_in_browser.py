"""The image tools and the keyboard of the review, in a real Chromium under the real content security policy."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

from server.models import Run
from tests.dashboard.conftest import Site, Visitor

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(site: Site, browser: Browser) -> Iterator[Page]:
    """A page in a browser where the Admin is logged in; the test fails if the browser complains."""
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    complaints: list[str] = []
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 800})
    context.add_cookies([{"name": "retestr", "value": _cookie(site.visit()), "url": address}])
    page = context.new_page()
    page.set_default_timeout(5000)
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    server.shutdown()
    thread.join()
    server.server_close()
    assert complaints == []


def _cookie(visitor: Visitor) -> str:
    cookie = visitor.client.get_cookie("retestr")
    assert cookie is not None
    return cookie.value


def _seen(page: Page) -> list[str]:
    """The kinds of images that can be seen, in their order."""
    kinds: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('.pane')]
            .filter(pane => getComputedStyle(pane).visibility !== 'hidden').map(pane => pane.dataset.kind)"""
    )
    return kinds


def _corner(page: Page, kind: str) -> dict[str, float]:
    box = page.locator(f'[data-kind="{kind}"] .canvas').bounding_box()
    assert box is not None
    return dict(box)


def test_a_run_is_reviewed_without_the_mouse(site: Site, page: Page) -> None:
    run = site.changed(3)
    _, second, third, _ = site.snapshots(run)
    page.goto(f"/runs/{run}")
    page.evaluate("window.loadedOnce = true")
    heading = page.locator(".facts h2")
    expect(heading).to_contain_text("Page000")
    page.keyboard.press("j")
    expect(heading).to_contain_text("Page001")
    assert page.url.endswith(f"?snapshot={second.id}")
    page.keyboard.press("k")
    expect(heading).to_contain_text("Page000")
    page.keyboard.press("a")
    expect(heading).to_contain_text("Page001")
    page.keyboard.press("r")
    page.keyboard.type("jar: too dark")  # typed as text, not taken for keys
    page.keyboard.press("Enter")
    expect(heading).to_contain_text("Page002")
    page.keyboard.press("a")
    expect(page.locator(".decided")).to_contain_text("Approved by ada@acme.example")
    expect(page.locator("h1")).to_contain_text("3 of 4 pages changed")
    assert [s.review for s in site.snapshots(run)[:3]] == ["APPROVED", "REJECTED", "APPROVED"]
    assert site.snapshots(run)[1].review_reason == "jar: too dark"
    assert page.evaluate("window.loadedOnce"), "the page was reloaded"
    assert page.url.endswith(f"?snapshot={third.id}")
    page.keyboard.press("k")
    expect(heading).to_contain_text("Page001")
    page.go_back()
    expect(heading).to_contain_text("Page002")
    assert site.get(Run, run).status == "FAILED"


def test_the_modes_show_what_they_say(site: Site, page: Page) -> None:
    page.goto(f"/runs/{site.changed(1)}")
    assert _seen(page) == ["baseline", "actual", "difference"]
    page.keyboard.press("d")
    assert _seen(page) == ["difference"]
    page.keyboard.press(" ")
    assert _seen(page) == ["actual"]
    expect(page.locator(".flip-name")).to_have_text("Actual")
    page.keyboard.press(" ")
    assert _seen(page) == ["baseline"]
    page.keyboard.press("o")
    assert _seen(page) == ["baseline", "actual"]
    page.keyboard.press("ArrowRight")
    opacity = page.locator('[data-kind="actual"] .canvas').evaluate("e => getComputedStyle(e).opacity")
    assert float(opacity) == pytest.approx(0.55)
    page.get_by_role("button", name="Swipe").click()
    line = page.get_by_role("slider", name="Swipe line")
    box = line.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 12, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 12 + 150, box["y"] + 200)
    page.mouse.up()
    assert int(line.get_attribute("aria-valuenow") or 0) > 60
    page.keyboard.press("s")
    assert _seen(page) == ["baseline", "actual", "difference"]


def test_the_panes_zoom_and_pan_in_step(site: Site, page: Page) -> None:
    page.goto(f"/runs/{site.changed(1)}")
    page.keyboard.press("1")
    assert _corner(page, "actual")["width"] == pytest.approx(160, abs=1)
    for _ in range(9):
        page.keyboard.press("+")
    before = {kind: _corner(page, kind) for kind in ("baseline", "actual", "difference")}
    window = page.locator('[data-kind="actual"] .window').bounding_box()
    assert window is not None
    page.mouse.move(window["x"] + 100, window["y"] + 100)
    page.mouse.down()
    page.mouse.move(window["x"] + 60, window["y"] + 80)
    page.mouse.up()
    moved = {
        kind: (_corner(page, kind)["x"] - corner["x"], _corner(page, kind)["y"] - corner["y"])
        for kind, corner in before.items()
    }
    assert moved["actual"][0] == pytest.approx(-40, abs=2)
    assert moved["baseline"] == pytest.approx(moved["actual"], abs=1)
    assert moved["difference"] == pytest.approx(moved["actual"], abs=1)
    region = page.locator('[data-kind="actual"] .region').bounding_box()
    canvas = _corner(page, "actual")
    assert region is not None
    scale = canvas["width"] / 160
    assert (region["x"] - canvas["x"]) / scale == pytest.approx(38, abs=1.5)
    page.keyboard.press("b")
    expect(page.locator('[data-kind="actual"] .boxes')).to_be_hidden()
    page.keyboard.press("f")
    expect(page.get_by_role("button", name="Fit")).to_have_attribute("aria-pressed", "true")


def test_questions_open_in_a_dialog_and_keep_the_page(site: Site, page: Page) -> None:
    run = site.changed(2)
    page.goto(f"/runs/{run}")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("flip between baseline and actual")
    page.keyboard.press("Escape")
    page.keyboard.press("A")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Approve all 2 changes?")
    page.keyboard.press("a")  # nothing is approved behind an open question
    dialog.get_by_role("link", name="Go on reviewing").click()
    expect(dialog).to_have_count(0)
    assert page.url.endswith(f"/runs/{run}")
    page.keyboard.press("A")
    dialog.get_by_role("button", name="Approve 2 changes").click()
    expect(page.locator("#said")).to_contain_text("2 changes approved.")
    assert site.get(Run, run).status == "PASSED"


def test_an_unfinished_run_updates_itself_and_then_stops(site: Site, page: Page) -> None:
    run = site.trigger()
    page.goto("/projects/tea-shop")
    row = page.locator(f"#run-{run}")
    expect(row).to_contain_text("pending")
    site.visit().send(f"/runs/{run}/cancel")
    expect(row).to_contain_text("cancelled")
    expect(row).not_to_have_attribute("hx-trigger", "every 2s")
