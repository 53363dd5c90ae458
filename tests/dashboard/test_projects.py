"""/ and /projects/new."""

from __future__ import annotations

from collections.abc import Callable

from server.access.audit import CLI
from server.dashboard.projects import EXAMPLE_SUITE
from server.models import Project
from server.runs import projects
from tests.dashboard.conftest import Site


def test_each_project_tells_its_last_verdict_and_branch(site: Site, text_of: Callable[[str], str]) -> None:
    site.changed(2, "feature/x")
    page = text_of(site.visit().page("/"))
    assert "Tea Shop failed 2 of 3 changed feature/x" in page
    assert "#1 passed" in page


def test_without_projects_it_says_how_to_make_one(site: Site, text_of: Callable[[str], str]) -> None:
    with site.app.app_context():
        projects.remove(site.shop, CLI)
    page = text_of(site.visit().page("/"))
    assert "Paste the address of a page" in page
    assert "Take the first pictures" in page
    assert "Take the first pictures" not in site.visit(site.viewer).page("/")


def test_the_number_of_queries_does_not_grow_with_the_projects(site: Site) -> None:

    visitor = site.visit()
    with site.app.app_context():
        for number in range(15):
            projects.create(site.organization.id, f"Project {number}", CLI)
    site.changed(1)
    with site.queries() as seen:
        visitor.page("/")
    assert len([s for s in seen if s.startswith("SELECT")]) <= 4


def test_a_new_project_starts_from_an_example(site: Site) -> None:
    visitor = site.visit(site.editor)
    assert "staging.example.com" in visitor.page("/projects/new")
    form = {"name": "Blog", "default_branch": "trunk", "suite": EXAMPLE_SUITE.replace("\n", "\r\n")}
    answer = visitor.send("/projects/new", form)
    assert (answer.status_code, answer.location) == (303, "/projects/blog")
    with site.app.app_context():
        project = Project.query.filter_by(slug="blog").one()
        assert (project.name, project.default_branch, project.suite) == ("Blog", "trunk", EXAMPLE_SUITE)


def test_a_wrong_suite_is_told_by_line_and_nothing_is_lost(site: Site, text_of: Callable[[str], str]) -> None:
    form = {"name": "Blog", "default_branch": "main", "suite": "tests:\n  - name: Home\n    pth: /\n"}
    answer = site.visit().send("/projects/new", form)
    assert answer.status_code == 422
    assert 'value="Blog"' in answer.text
    assert "pth: /" in answer.text
    assert 'Line 3, column 5 : "pth" is not known here' in text_of(answer.text)


def test_a_name_that_is_taken_or_missing_is_told_at_its_field(site: Site) -> None:
    taken = site.visit().send("/projects/new", {"name": "Tea Shop", "default_branch": "main", "suite": ""})
    assert taken.status_code == 409
    assert 'id="name-wrong"' in taken.text
    missing = site.visit().send("/projects/new", {"name": " ", "default_branch": "", "suite": "tests: x"})
    assert missing.status_code == 422
    assert 'id="name-wrong"' in missing.text
    assert 'id="branch-wrong"' in missing.text
    assert "tests: x" in missing.text


def test_names_are_shown_as_text_never_as_markup(site: Site) -> None:
    visitor = site.visit()
    visitor.send("/projects/new", {"name": "<b>&bold", "default_branch": "main", "suite": ""})
    assert "&lt;b&gt;&amp;bold" in visitor.page("/")
