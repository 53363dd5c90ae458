"""/projects/<slug>/suite."""

from __future__ import annotations

from collections.abc import Callable

from server.models import Project
from tests.dashboard.conftest import Site, suite_of

PATH = "/projects/tea-shop/suite"


def test_an_editor_changes_the_suite(site: Site) -> None:
    visitor = site.visit(site.editor)
    answer = visitor.send(PATH, {"suite": suite_of(["Journal"]).replace("\n", "\r\n")})
    assert (answer.status_code, answer.location) == (303, PATH)
    assert site.get(Project, site.shop.id).suite == suite_of(["Journal"])
    assert "The suite is saved." in visitor.page(PATH)


def test_who_saves_after_somebody_else_is_told_and_loses_nothing(site: Site) -> None:
    ada, ed = site.visit(), site.visit(site.editor)
    seen = {"seen": seen_on(ed.page(PATH))}
    assert ada.send(PATH, {"suite": suite_of(["Ada's"]), "seen": seen_on(ada.page(PATH))}).status_code == 303
    wrong = ed.send(PATH, seen | {"suite": "tests: ["})
    assert (wrong.status_code, seen_on(wrong.text)) == (422, seen["seen"])
    answer = ed.send(PATH, seen | {"suite": suite_of(["Ed's"])})
    assert answer.status_code == 409
    assert "saved this meanwhile" in answer.text
    assert "Ed&#39;s" in answer.text
    assert site.get(Project, site.shop.id).suite == suite_of(["Ada's"])
    knowingly = {"seen": seen_on(answer.text), "suite": suite_of(["Ed's"])}
    assert ed.send(PATH, knowingly).status_code == 303


def seen_on(page: str) -> str:
    return page.partition('name="seen" value="')[2].partition('"')[0]


def test_what_is_wrong_is_shown_at_its_line_and_the_stored_suite_stays(
    site: Site, text_of: Callable[[str], str]
) -> None:
    wrong = "baseUrl: https://a.example\ntests:\n  - name: Home\n    path: [\n"
    answer = site.visit().send(PATH, {"suite": wrong})
    assert answer.status_code == 422
    assert "The suite is not saved" in answer.text
    assert 'data-line="' in answer.text
    assert "path: [" in answer.text
    assert site.get(Project, site.shop.id).suite == suite_of(["Home", "Prices"])
    empty = site.visit().send(PATH, {"suite": "  "})
    assert empty.status_code == 422


def test_a_viewer_reads_it(site: Site, text_of: Callable[[str], str]) -> None:
    page = site.visit(site.viewer).page(PATH)
    assert "<textarea" not in page
    assert "name: Prices" in text_of(page)


def test_each_test_shows_how_it_shall_look(site: Site) -> None:
    site.run({"Home": "white"})
    site.run({"Home": "blue"}, "feature/x")
    page = site.visit(site.viewer).page("/projects/tea-shop/suite")
    baseline = site.snapshots(site.run({"Home": "white"}))[0].baseline_id
    assert f'href="/baselines/{baseline}">Home</a>' in page
    assert f'src="/baselines/{baseline}/image.png"' in page
    assert page.count("/image.png") == 1  # Prices has none yet
