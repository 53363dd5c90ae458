"""What people do on the pages around the review, with mouse and keyboard in a real Chromium.

`served` fails a test where the browser complains (the content security policy included) or a request leaves the server.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from sqlalchemy import select, update

from server.access.audit import CLI
from server.database import db, writing
from server.models import ApiKey, Project, Run
from server.runs import lifecycle
from tests.dashboard.browsing import Served
from tests.dashboard.conftest import Site, picture
from tests.dashboard.test_baselines import approve

pytestmark = pytest.mark.browser
WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def test_runs_are_filtered_and_the_address_can_be_shared(site: Site, served: Served) -> None:
    site.changed(1, "feature/x")
    page = served.page()
    page.goto("/projects/tea-shop")
    expect(page.locator("table.runs tbody tr")).to_have_count(2)
    page.select_option("select[name=branch]", "feature/x")
    page.click("text=Filter")
    expect(page.locator("table.runs tbody tr")).to_have_count(1)
    other = served.page(site.viewer)
    other.goto(page.url)
    expect(other.locator("table.runs tbody tr")).to_contain_text("1 of 2 changed")


def test_a_runs_progress_updates_by_itself(site: Site, served: Served) -> None:
    run, others = site.trigger(), [site.trigger("other"), site.trigger("other")]
    page = served.page()
    page.goto("/projects/tea-shop")
    row = page.locator(f"#run-{run}")
    expect(row).to_contain_text("waiting for a worker")
    with site.app.app_context(), writing() as session:
        lifecycle.start(session, run)
        session.execute(update(Run).where(Run.id == run).values(done=1))
    expect(row).to_contain_text("1 of 2 done")
    expect(row.locator("progress")).to_have_attribute("value", "1")
    row.locator(".verdict a").focus()
    with site.app.app_context():
        lifecycle.cancel(db.session.get_one(Run, run), CLI)
    expect(row).to_contain_text("cancelled")
    expect(row.locator(".verdict a")).to_be_focused()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert 1 <= sum("/rows?" in url for url in asked) <= 2, "one request for all runs that are left"
    with site.app.app_context():
        for other in others:
            lifecycle.cancel(db.session.get_one(Run, other), CLI)
    expect(page.locator("table.runs .tone-grey")).to_have_count(3)
    expect(page.locator("#unfinished[hx-get]")).to_have_count(0)


def test_new_runs_are_told_over_the_list_and_nothing_moves(site: Site, served: Served) -> None:
    site.changed(1)
    page = served.page(site.viewer)
    page.goto("/projects/tea-shop?branch=feature/x")
    table = page.locator("table.runs")
    before = table.bounding_box()
    site.trigger("other")
    for _ in range(2):
        site.trigger("feature/x")
    offer = page.locator("#news a")
    expect(offer).to_have_text("2 new runs: show", timeout=15_000)
    assert table.bounding_box() == before
    expect(table.locator("tbody tr")).to_have_count(1)
    offer.click()
    expect(table.locator("tbody tr")).to_have_count(3)
    expect(offer).to_have_count(0)
    assert page.url.endswith("?branch=feature/x")


def test_cancelling_all_runs_says_how_many_and_can_be_thought_better_of(site: Site, served: Served) -> None:
    runs = [site.trigger("a"), site.trigger("b")]
    page = served.page(site.editor)
    page.goto("/projects/tea-shop")
    page.click("text=Cancel all runs")
    expect(page.locator("dialog[open] h1")).to_have_text("Cancel all 2 unfinished runs?")
    page.click("text=Let them run")
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert {site.get(Run, run).status for run in runs} == {"PENDING"}
    page.click("text=Cancel all runs")
    page.click("dialog >> text=Cancel 2 runs")
    expect(page.locator("#said")).to_contain_text("2 runs are cancelled.")
    assert {site.get(Run, run).status for run in runs} == {"CANCELLED"}


def test_a_baseline_is_rolled_back_from_its_history(site: Site, served: Served) -> None:
    site.run({"Home": "white"})
    approve(site, site.run({"Home": "white/red"}))
    page = served.page(site.editor)
    page.goto("/projects/tea-shop/baselines")
    page.click("text=Home")
    entries = page.locator(".timeline li")
    expect(entries).to_have_count(2)
    page.locator("text=Restore this").click()
    expect(page.locator("dialog[open] h1")).to_have_text("Restore this baseline of Home?")
    page.click("dialog >> button:text('Restore the baseline')")
    expect(entries).to_have_count(3)
    expect(entries.first).to_contain_text("Restored by ed@acme.example")
    source = entries.first.locator("img").get_attribute("src")
    assert page.request.get(f"{served.url}{source}").body() == picture("white")


def test_a_tests_name_shows_how_it_shall_look_to_mouse_and_keyboard(site: Site, served: Served) -> None:
    site.run({"Home": "white"})
    page = served.page()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if request.url.endswith(".png") else None)
    page.goto("/projects/tea-shop/suite", wait_until="networkidle")
    look = page.locator(".peek-picture")
    expect(look).to_be_hidden()
    assert fetched == []
    page.hover(".peek a")
    expect(look).to_be_visible()
    expect(look.locator("img")).to_have_js_property("complete", True)
    assert len(fetched) == 1
    page.hover(".peek-picture")  # one can go there to look closer
    expect(look).to_be_visible()
    page.keyboard.press("Escape")
    expect(look).to_be_hidden()
    page.mouse.move(0, 0)
    page.locator(".suite-columns button").focus()
    page.keyboard.press("Tab")
    expect(look).to_be_visible()


def test_the_suite_editor_leads_to_the_line_that_is_wrong(site: Site, served: Served) -> None:
    page = served.page(site.editor)
    page.goto("/projects/tea-shop/suite")
    page.fill("#suite", "baseUrl: https://a.example\ntests:\n  - name: Home\n    pth: /\n")
    page.click("text=Save suite")
    expect(page.locator("#suite-problems")).to_contain_text('"pth" is not known here')
    expect(page.locator(".gutter .bad")).to_have_text(["3", "4"])
    page.click("text=Line 4, column 5")
    selected = "(() => { const t = document.activeElement; return t.value.slice(t.selectionStart, t.selectionEnd); })()"
    assert page.evaluate(selected) == "pth: /"
    page.fill("#suite", "baseUrl: https://a.example\ntests:\n  - name: Start\n    path: /\n")
    page.click("text=Save suite")
    expect(page.locator("#said")).to_contain_text("The suite is saved")


def test_a_key_is_made_copied_and_revoked(site: Site, served: Served) -> None:
    context = served.context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto("/settings/api-keys")
    page.fill("#key-name", "Nightly Cron Job")
    page.check("text=baseline:read")
    page.select_option("select[name=expires_in]", "90")
    page.click("button:text('Create key')")
    key = page.inner_text("#new-key")
    page.click("[data-copy='#new-key']")
    expect(page.locator("[data-copy='#new-key']")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == key
    assert "uses: retestr/action" in page.inner_text("#workflow")
    headers = {"Authorization": f"Bearer {key}"}
    assert page.request.get("/api/runs", headers=headers).status == 200
    page.click("text=I have kept the key")
    row = page.locator("table.keys tbody tr")
    expect(row).to_contain_text("Nightly Cron Job")
    expect(row.locator("[data-label='Request count']")).to_have_text("1")
    expect(row.locator("[data-label='Last used']")).to_contain_text("UTC")
    assert key not in page.content()
    page.click("[aria-label='Revoke: Nightly Cron Job']")
    expect(page.locator("dialog[open] h1")).to_have_text("Revoke Nightly Cron Job?")
    page.click("dialog >> text=Revoke the key")
    expect(page.locator("#said")).to_contain_text("Nightly Cron Job is revoked.")
    assert page.request.get("/api/runs", headers=headers).status == 401


def test_a_form_that_is_on_its_way_is_not_sent_again(site: Site, served: Served) -> None:
    page = served.page()
    page.goto("/settings/api-keys")
    page.fill("#key-name", "Nightly")
    page.evaluate(
        """() => { window.sent = []; addEventListener("submit", (event) => {
            sent.push(!event.defaultPrevented); event.preventDefault(); }); }"""
    )
    create = page.locator("button:text('Create key')")
    create.dblclick()
    assert page.evaluate("sent") == [True, False]
    page.evaluate("dispatchEvent(new Event('pageshow'))")  # gone back to
    create.dblclick()
    assert page.evaluate("sent.splice(0)") == [True, False, True, False]
    page.evaluate("(later => { Date.now = () => later; })(Date.now() + 31_000)")
    create.click()
    assert page.evaluate("sent") == [True], "long enough after the first"


def test_the_audit_log_is_filtered_and_exported(site: Site, served: Served) -> None:
    site.trigger("topic")
    page = served.page()
    page.goto("/settings/audit-logs")
    page.select_option("select[name=action]", "RUN_TRIGGER")
    page.click("text=Filter")
    expect(page.locator("table.audit tbody tr")).to_have_count(1)
    with page.expect_download() as download:
        page.click("text=CSV")
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 2
    assert "topic" in lines[1]


def test_search_has_a_key_and_leads_to_a_run(site: Site, served: Served) -> None:
    run = site.trigger(commit_sha="deadbeef" * 5)
    page = served.page()
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("deadbeef")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{served.url}/runs/{run}")
    expect(page.locator(".current-project")).to_have_text("Tea Shop")


def test_the_review_leads_to_a_git_server_on_the_same_host(site: Site, served: Served) -> None:
    git = "http://127.0.0.1:9/acme/shop"
    told = {"commit_sha": "deadbeef" * 5, "pull_request": 7, "workflow_url": f"{git}/actions/runs/1"}
    run = site.changed(1, **told)
    page = served.page()
    page.route(f"{git}/**", lambda route: route.fulfill(body="There"))
    for words, address in (
        ("#7", "pull/7"),
        ("deadbee", f"commit/{told['commit_sha']}"),
        ("Workflow", "actions/runs/1"),
    ):
        page.goto(f"/runs/{run}")
        page.locator(f".facts a:has-text('{words}')").click()
        expect(page).to_have_url(f"{git}/{address}")
        assert served.left.pop() == page.url


def test_a_project_is_made_from_an_address(site: Site, served: Served) -> None:
    page = served.page(site.editor)
    page.goto("/projects/new")
    page.click("text=Start with the address of one page instead")
    page.fill("#address", "https://staging.example.com")
    page.click("text=Take the first pictures")
    expect(page.locator("h1")).to_contain_text("Waiting for a worker")
    with site.app.app_context():
        assert db.session.scalar(select(Project.slug).where(Project.name == "staging.example.com"))


def test_on_a_phone_every_page_of_the_bar_can_be_reached(site: Site, served: Served) -> None:
    site.run({"Home": "white"})
    page = served.page(viewport=PHONE)
    page.goto("/")
    for name, heading in (("Settings", "Settings"), ("Projects", "Projects"), ("ada", "Settings")):
        page.click(f".bar >> text={name}")
        expect(page.locator("h1")).to_have_text(heading)
    for tab in ("Members", "Audit Logs", "Organisation", "API Keys"):
        page.click(f".tabs >> text={tab}")
        expect(page.locator(".tabs [aria-current]")).to_have_text(tab)


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_without_javascript_every_question_is_a_page(
    site: Site, served: Served, viewport: dict[str, int]
) -> None:
    site.trigger()
    page = served.page(java_script_enabled=False, viewport=viewport)
    page.goto("/projects/tea-shop")
    page.click("text=Cancel all runs")
    expect(page.locator("h1")).to_have_text("Cancel all 1 unfinished run?")
    page.click("text=Cancel 1 run")
    expect(page.locator("#said")).to_contain_text("1 run is cancelled.")
    page.goto("/settings/api-keys")
    page.fill("#key-name", "By hand")
    page.click("button:text('Create key')")
    expect(page.locator("#new-key")).to_contain_text("vts_")
    with site.app.app_context():
        assert db.session.scalar(select(ApiKey.name)) == "By hand"


def test_colours_follow_the_theme_and_times_say_exactly_when(site: Site, served: Served) -> None:
    site.run({"Home": "white"})
    page = served.page(color_scheme="dark")
    page.goto("/projects/tea-shop")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colour)
    page.emulate_media(color_scheme="light")
    assert (dark, page.evaluate(colour)) == ("rgb(17, 17, 19)", "rgb(250, 250, 250)")
    title = page.locator("td.time time").get_attribute("title")
    assert title is not None
    assert title.endswith("UTC")
