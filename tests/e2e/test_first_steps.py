"""A new server in a browser: from the address in its log to the first pictures, a key, and a run that CI triggers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import expect, sync_playwright

from server.vision.browser import find_browser
from tests.e2e.conftest import Server, Site

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


def test_an_empty_server_leads_to_the_first_pictures_within_a_minute_and_on_to_ci(
    make_server: Callable[..., Server], site: Site
) -> None:
    site.page("index.html", "<h1>Tea</h1>")
    server = make_server(RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"))
    server.start()
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page(base_url=server.url)
        refused: list[str] = []
        page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
        began = time.monotonic()
        page.goto("/")
        expect(page.locator("h1")).to_have_text("This server is new")
        found = re.search(r"http\S+/setup/\w+", server.log())
        assert found, server.log()
        page.goto(found[0].replace("localhost", "127.0.0.1"))
        page.fill("input[name=organization]", "Acme")
        page.fill("input[name=email]", "ada@acme.example")
        page.fill("input[name=password]", "correct horse battery")
        page.click("text=Make the organisation")
        page.fill("#address", site.url)
        page.fill("#project", "Tea Shop")
        page.click("text=Take the first pictures")
        picture = page.locator("#snapshots img, .canvas img").first
        expect(picture).not_to_have_js_property(
            "naturalWidth", 0, timeout=60_000
        )  # the list updates itself: ask again
        assert time.monotonic() - began < 60
        expect(page.locator("h1")).to_contain_text("All 2 pages are new", timeout=30_000)

        page.click(".current-project")
        page.click("text=Create key")
        server.key = page.inner_text("#new-key")
        assert "project-id: tea-shop" in page.inner_text("#workflow")
        run = server.finished(server.trigger("tea-shop", commitSha="1" * 40))
        assert (run["status"], run["counts"]["unchanged"]) == ("PASSED", 2)
        page.goto("/projects/tea-shop")
        expect(page.locator("table.runs tbody tr")).to_have_count(2)
        expect(page.locator(".next-steps")).to_have_count(0)
        assert refused == []
        browser.close()
    assert requests.get(found[0].replace("localhost", "127.0.0.1"), timeout=10).url.endswith("/login")
