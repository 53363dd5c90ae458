"""The image tools and the keyboard of the review, in a real Chromium under the real content security policy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import update
from werkzeug.serving import make_server

from server.database import writing
from server.models import Baseline, Image, Run, Snapshot
from tests.dashboard.conftest import CHANGED_BOX, Site, Visitor

pytestmark = pytest.mark.browser


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    """Where the site is served."""
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def _visit(site: Site, browser: Browser, address: str, **options: Any) -> Iterator[Page]:
    """A page in a browser where the Admin is logged in; fails if the browser complains or asks anybody else."""
    complaints: list[str] = []
    asked: list[str] = []
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 800}, **options)
    context.add_cookies([{"name": "retestr", "value": _cookie(site.visit()), "url": address}])
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    page.wait_for_load_state("load")  # what is still loading would complain that it was torn down
    assert complaints == []
    context.close()
    assert [url for url in asked if not url.startswith(f"{address}/")] == []


@pytest.fixture
def page(site: Site, browser: Browser, address: str) -> Iterator[Page]:
    with _visit(site, browser, address) as page:
        yield page


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


def _press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_a_run_is_reviewed_without_the_mouse(site: Site, page: Page) -> None:
    run = site.changed(3)
    _, second, third, _ = site.snapshots(run)
    page.goto(f"/runs/{run}")
    page.evaluate("window.loadedOnce = true")
    subject = page.locator("#subject")
    expect(subject).to_contain_text("Page000")
    _press(page, "j")
    expect(subject).to_contain_text("Page001")
    assert page.url.endswith(f"?snapshot={second.id}")
    _press(page, "k")
    expect(subject).to_contain_text("Page000")
    _press(page, "a")
    expect(subject).to_contain_text("Page001")
    expect(subject).to_be_focused()
    expect(page.locator("#announced")).to_have_text("Approved Page000 · desktop. Page001 desktop: changed.")
    _press(page, "r")
    page.keyboard.type("jar: too dark")  # typed as text, not taken for keys
    _press(page, "Enter")
    expect(subject).to_contain_text("Page002")
    _press(page, "a")
    expect(page.locator(".decided")).to_contain_text("Approved by ada@acme.example")
    expect(page.locator("h1")).to_contain_text("3 of 4 pages changed")
    assert [s.review for s in site.snapshots(run)[:3]] == ["APPROVED", "REJECTED", "APPROVED"]
    assert site.snapshots(run)[1].review_reason == "jar: too dark"
    assert page.evaluate("window.loadedOnce"), "the page was reloaded"
    assert page.url.endswith(f"?snapshot={third.id}")
    _press(page, "k")
    expect(subject).not_to_contain_text("Page002")
    page.go_back()
    expect(subject).to_contain_text("Page002")
    expect(page.locator("#stage.live")).to_be_visible()
    assert site.get(Run, run).status == "FAILED"


def test_a_decision_is_undone_with_u_and_a_reason_is_put_away_with_escape(site: Site, page: Page) -> None:
    run = site.changed(2)
    page.goto(f"/runs/{run}")
    _press(page, "a")
    expect(page.locator("#undo-words")).to_have_text("Approved Page000 · desktop.")
    _press(page, "u")
    expect(page.locator("#said")).to_contain_text("Undone. Page000 · desktop is to be reviewed again.")
    expect(page.locator("#subject")).to_contain_text("Page000")
    assert [s.review for s in site.snapshots(run)] == ["UNREVIEWED"] * 3
    _press(page, "r")
    reason = page.get_by_label("Why?")
    expect(reason).to_be_focused()
    _press(page, "Escape")
    expect(reason).to_be_hidden()
    expect(page.locator("#reject-button")).to_be_focused()
    assert [s.review for s in site.snapshots(run)] == ["UNREVIEWED"] * 3


def test_a_group_is_opened_decided_and_undone_without_the_mouse(site: Site, page: Page) -> None:
    run = site.changed(4)
    site.group(run, 3)
    page.goto(f"/runs/{run}")
    expect(page.get_by_role("button", name="Approve 3 pages")).to_be_visible()
    _press(page, "g")
    expect(page.locator(".member")).to_have_count(3)
    expect(page.get_by_role("button", name="Approve a")).to_be_visible()
    _press(page, "j")
    expect(page.locator("#subject")).to_contain_text("Page001")
    _press(page, "g")
    expect(page.locator(".member")).to_have_count(0)
    _press(page, "a")
    expect(page.locator("#subject")).to_contain_text("Page003")
    assert [s.review for s in site.snapshots(run)] == ["APPROVED"] * 3 + ["UNREVIEWED"] * 2
    _press(page, "u")
    expect(page.locator("#said")).to_contain_text("Undone. 3 changes")
    assert [s.review for s in site.snapshots(run)] == ["UNREVIEWED"] * 5


def test_the_second_reviewer_is_told_and_nothing_is_overwritten(site: Site, page: Page) -> None:
    run = site.changed(2)
    first = site.snapshots(run)[0]
    page.goto(f"/runs/{run}")
    form = {"reason": "Wrong font", "seen": "UNREVIEWED"}
    site.visit(site.editor).send(f"/snapshots/{first.id}/reject", form)
    _press(page, "a")
    expect(page.locator("#said")).to_contain_text("ed@acme.example has rejected this snapshot")
    expect(page.locator("#said")).to_contain_text("Wrong font")
    expect(page.locator(".decided")).to_contain_text("Rejected by ed@acme.example")
    assert site.get(Snapshot, first.id).review == "REJECTED"


def test_a_key_pressed_twice_or_held_down_decides_once(site: Site, page: Page) -> None:
    run = site.changed(3)
    page.goto(f"/runs/{run}")
    page.evaluate(
        """() => { for (const repeat of [false, true, true]) for (const key of ["a", "a"])
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key, repeat, bubbles: true })); }"""
    )
    expect(page.locator("#subject")).to_contain_text("Page001")
    expect(page.locator("#undo-words")).to_have_text("Approved Page000 · desktop.")
    expect(page.locator("#said")).to_be_empty()
    assert [s.review for s in site.snapshots(run)][:3] == ["APPROVED", "UNREVIEWED", "UNREVIEWED"]


def test_filters_are_set_by_hand_and_stand_in_the_address(site: Site, page: Page) -> None:
    run = site.changed(12)
    with site.app.app_context(), writing() as session:
        session.execute(
            update(Snapshot).where(Snapshot.run_id == run, Snapshot.position < 3).values(viewport="phone")
        )
    page.goto(f"/runs/{run}")
    page.get_by_label("Viewport").select_option("phone")
    expect(page.locator(".row")).to_have_count(3)
    assert page.url.endswith(f"/runs/{run}?viewport=phone")
    _press(page, "/")
    page.keyboard.type("page001")
    expect(page.locator(".row")).to_have_count(1)
    expect(page.get_by_label("Find a page")).to_be_focused()
    assert page.url.endswith("?name=page001&viewport=phone")
    page.goto(page.url)
    expect(page.locator(".row")).to_have_count(1)


def test_without_javascript_everything_but_the_image_tools_works(
    site: Site, browser: Browser, address: str
) -> None:
    run = site.changed(10)
    site.group(run, 3)
    with _visit(site, browser, address, java_script_enabled=False) as page:
        page.goto(f"/runs/{run}")
        expect(page.get_by_alt_text("Actual of Page000 in desktop")).to_be_visible()
        page.get_by_role("button", name="Approve 3 pages").click()
        expect(page.locator("#subject")).to_contain_text("Page003")
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#said")).to_contain_text("Undone. 3 changes")
        page.get_by_role("button", name="Open the group of 3 pages").click()
        page.get_by_label("Why?").fill("Wrong font")
        page.get_by_role("button", name="Reject").click()
        expect(page.locator("#subject")).to_contain_text("Page001")
        page.get_by_label("Find a page").fill("page009")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator(".row")).to_have_count(1)
        page.get_by_role("link", name="All 1").click()
        page.goto(f"/runs/{run}")
        page.get_by_role("link", name="Approve all 9").click()
        page.get_by_role("button", name="Approve 9 changes").click()
        expect(page.locator("#undo-words")).to_have_text("Approved 9 changes.")
    assert [s.review for s in site.snapshots(run)] == ["REJECTED"] + ["APPROVED"] * 9 + ["UNREVIEWED"]
    assert site.snapshots(run)[0].review_reason == "Wrong font"


def test_the_modes_show_what_they_say(site: Site, page: Page) -> None:
    page.goto(f"/runs/{site.changed(1)}")
    assert _seen(page) == ["baseline", "actual", "difference"]
    _press(page, "d")
    assert _seen(page) == ["difference"]
    _press(page, "d")
    assert _seen(page) == ["baseline", "actual", "difference"]
    _press(page, " ")
    assert _seen(page) == ["actual"]
    expect(page.locator(".flip-name")).to_have_text("Actual")
    _press(page, " ")
    assert _seen(page) == ["baseline"]
    _press(page, "o")
    assert _seen(page) == ["baseline", "actual"]
    _press(page, "ArrowRight")
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
    _press(page, "s")
    assert _seen(page) == ["baseline", "actual", "difference"]


def test_the_panes_zoom_and_pan_in_step(site: Site, page: Page) -> None:
    page.goto(f"/runs/{site.changed(1)}")
    _press(page, "1")
    assert _corner(page, "actual")["width"] == pytest.approx(160, abs=1)
    _press(page, *"+++++++++")
    expect(page.locator("[data-scale]")).to_have_text("745 %")
    before = {kind: _corner(page, kind) for kind in ("baseline", "actual", "difference")}
    canvas_of_actual = page.locator('[data-kind="actual"] .canvas')
    drawn = canvas_of_actual.get_attribute("style") or ""
    window = page.locator('[data-kind="actual"] .window').bounding_box()
    assert window is not None
    page.mouse.move(window["x"] + 100, window["y"] + 100)
    page.mouse.down()
    page.mouse.move(window["x"] + 60, window["y"] + 80)
    page.mouse.up()
    expect(canvas_of_actual).not_to_have_attribute("style", drawn)
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
    _press(page, "b")
    expect(page.locator('[data-kind="actual"] .boxes')).to_be_hidden()
    _press(page, "f")
    expect(page.get_by_role("button", name="Fit")).to_have_attribute("aria-pressed", "true")
    _press(page, "v")
    expect(page.get_by_role("button", name="Width")).to_have_attribute("aria-pressed", "true")


def test_n_goes_from_one_changed_place_to_the_next(site: Site, page: Page) -> None:
    run = site.changed(1)
    with site.app.app_context(), writing() as session:
        session.get_one(Snapshot, site.snapshots(run)[0].id).regions = [CHANGED_BOX, [10, 100, 5, 5]]
    page.goto(f"/runs/{run}")
    said = page.locator("[data-place]")
    expect(said).to_have_text("2 places")
    for key, words in (("n", "1 of 2"), ("n", "2 of 2"), ("n", "1 of 2"), ("p", "2 of 2")):
        _press(page, key)
        expect(said).to_have_text(words)
    assert page.locator('[data-kind="actual"] .pulsing').get_attribute("y") == "98"


def test_rows_that_moved_stand_beside_what_they_were(site: Site, page: Page) -> None:
    """20 rows inserted at y = 10 of the actual image, 30 removed at its y = 60."""
    run = site.changed(1)
    with site.app.app_context(), writing() as session:
        snapshot = session.get_one(Snapshot, site.snapshots(run)[0].id)
        snapshot.shifts, snapshot.regions = [[10, 20], [60, -30]], [[0, 10, 160, 20], [0, 60, 160, 1]]
        before = session.get_one(Image, session.get_one(Baseline, snapshot.baseline_id).image)
        before.height = 130  # the actual one has 120
    page.goto(f"/runs/{run}")
    heights = "e => [...e.querySelectorAll('.slice, .gap')].map(part => part.style.height)"
    baseline, actual = (page.locator(f'[data-kind="{kind}"] .canvas') for kind in ("baseline", "actual"))
    percent = [
        f"{rows / 150 * 100:.4f}" for rows in (10, 20, 120)
    ]  # a gap of the baseline between two slices
    assert [f"{float(h[:-1]):.4f}" for h in baseline.evaluate(heights)] == percent
    percent = [f"{rows / 150 * 100:.4f}" for rows in (60, 30, 60)]
    assert [f"{float(h[:-1]):.4f}" for h in actual.evaluate(heights)] == percent
    assert _corner(page, "baseline")["height"] == _corner(page, "actual")["height"]
    gone = page.locator('[data-kind="actual"] .region').nth(1)
    assert (gone.get_attribute("y"), gone.get_attribute("height")) == ("58", "34")
    _press(page, "l")
    expect(page.locator(".slice")).to_have_count(0)
    assert (gone.get_attribute("y"), gone.get_attribute("height")) == ("58", "5")
    assert _corner(page, "baseline")["height"] > _corner(page, "actual")["height"]


def test_a_long_run_loads_only_the_images_in_view_and_more_rows_when_they_are_reached(
    site: Site, page: Page
) -> None:
    run = site.changed(130)
    loaded: set[str] = set()
    page.on("request", lambda r: loaded.add(r.url.split("/")[-2]) if r.url.endswith("/listed.png") else None)
    page.goto(f"/runs/{run}")
    page.wait_for_load_state("networkidle")
    rows = page.locator(".row")
    expect(rows).to_have_count(40)
    in_view = 800 // 48
    assert 5 <= len(loaded) <= in_view + 2, f"{len(loaded)} images for a window of {in_view} rows"
    rows.nth(39).scroll_into_view_if_needed()
    page.locator("#snapshots").evaluate("list => list.scrollTo(0, list.scrollHeight)")
    expect(rows).to_have_count(80)


def test_the_column_of_facts_folds_and_decisions_stay(site: Site, page: Page) -> None:
    page.goto(f"/runs/{site.changed(2)}")
    _press(page, "i")
    expect(page.locator(".facts-list").first).to_be_hidden()
    expect(page.locator("#fold")).to_have_attribute("aria-expanded", "false")
    page.get_by_role("button", name="Approve a").click()
    expect(page.locator('.row[aria-current="true"]')).to_contain_text("Page001")
    expect(page.locator(".facts-list").first).to_be_hidden()


def test_questions_open_in_a_dialog_and_keep_the_page(site: Site, page: Page) -> None:
    run = site.changed(2)
    page.goto(f"/runs/{run}")
    _press(page, "?")
    expect(page.get_by_role("dialog")).to_contain_text("flip between baseline and actual")
    _press(page, "Escape")
    _press(page, "A")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Approve all 2 changes?")
    _press(page, "a")  # nothing is approved behind an open question
    dialog.get_by_role("link", name="Go on reviewing").click()
    expect(dialog).to_have_count(0)
    assert page.url.endswith(f"/runs/{run}")
    _press(page, "A")
    dialog.get_by_role("button", name="Approve 2 changes").click()
    expect(page.locator("#undo-words")).to_have_text("Approved 2 changes.")
    assert site.get(Run, run).status == "PASSED"


def test_an_unfinished_run_updates_itself_and_then_stops(site: Site, page: Page) -> None:
    run = site.trigger()
    page.goto("/projects/tea-shop")
    row = page.locator(f"#run-{run}")
    expect(row).to_contain_text("pending")
    site.visit().send(f"/runs/{run}/cancel")
    expect(row).to_contain_text("cancelled")
    expect(row).not_to_have_attribute("hx-trigger", "every 2s")
