"""From an empty server to the first run: /setup/<token>, a project from an address, a key and a workflow."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select

from server import create_app
from server.access import founding, mailboxes
from server.config import Settings
from server.dashboard.first_steps import page_of
from server.database import db
from server.models import AuditEvent, Membership, Organization, Project, Run, Snapshot, User
from server.problems import Invalid
from server.runs.suite import parse
from tests.dashboard.conftest import PASSWORD, Site, Visitor

FOUNDER = {"organization": "Acme", "email": "ada@acme.example", "password": PASSWORD}


@pytest.fixture
def empty(settings: Settings) -> Iterator[Visitor]:
    """Somebody who visits a server without an organisation."""
    app = create_app(settings)
    yield Visitor(app.test_client())
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def setup(settings: Settings) -> str:
    return f"/setup/{founding.token(settings)}"


def test_an_empty_server_says_where_the_address_is_that_sets_it_up(
    empty: Visitor, text_of: Callable[[str], str]
) -> None:
    page = text_of(empty.page("/login"))
    assert "This server is new" in page
    assert "http://localhost/setup/" in page
    assert "retestr init" in page


def test_the_address_in_the_log_makes_organisation_and_admin_and_logs_them_in(
    empty: Visitor, setup: str, text_of: Callable[[str], str]
) -> None:
    answer = empty.send(setup, FOUNDER, page=setup)
    assert (answer.status_code, answer.location) == (303, "/")
    page = empty.page("/")
    assert "Acme" in page
    assert "See your first pictures within a minute" in text_of(page)
    with empty.client.application.app_context():
        assert db.session.scalars(select(Membership.role)).all() == ["Admin"]
        event = db.session.scalars(select(AuditEvent)).first()
        assert (event.action, event.actor_kind, event.actor_name) == (
            "ORGANIZATION_CREATE",
            "user",
            "ada@acme.example",
        )


def test_who_set_up_the_server_keeps_their_password_when_they_come_with_github(
    empty: Visitor, setup: str
) -> None:
    empty.send(setup, FOUNDER, page=setup)
    with empty.client.application.app_context():
        ada = db.session.scalars(select(User)).one()
        assert mailboxes.is_proven(db.session(), ada)


def test_without_the_token_nobody_takes_the_server(empty: Visitor, setup: str) -> None:
    assert empty.get("/setup/guessed").status_code == 404
    assert empty.send("/setup/guessed", FOUNDER, page=setup).status_code == 404
    with empty.client.application.app_context():
        assert founding.is_empty()


def test_what_is_wrong_is_said_and_what_was_typed_stays(empty: Visitor, setup: str) -> None:
    answer = empty.send(setup, FOUNDER | {"password": "short"}, page=setup)
    assert answer.status_code == 422
    assert "The password has 5 characters" in answer.text
    assert 'value="ada@acme.example"' in answer.text
    assert "short" not in re.findall(r'value="([^"]*)"', answer.text)


def test_a_server_that_has_an_organisation_is_not_set_up_again(site: Site) -> None:
    setup = f"/setup/{founding.token(site.settings)}"
    visitor = site.anonymous()
    assert visitor.get(setup).location == "/login"
    assert visitor.send(setup, FOUNDER | {"organization": "Mine"}, page="/login").location == "/login"
    with site.app.app_context():
        assert db.session.scalar(select(Organization).where(Organization.name == "Mine")) is None
    assert "This server is new" not in site.anonymous().page("/login")


def test_a_pasted_address_becomes_a_project_and_its_first_run(site: Site) -> None:
    answer = site.visit(site.editor).send(
        "/projects/from-address", {"address": "staging.example.com/prices?all=1", "project": ""}
    )
    assert answer.status_code == 303
    run = site.get(Run, answer.location.removeprefix("/runs/"))
    project = site.get(Project, run.project_id)
    assert (project.name, project.slug, run.branch) == (
        "staging.example.com",
        "staging-example-com",
        "main",
    )
    assert run.triggered_by == "ed@acme.example"
    assert {(s.test, s.viewport, s.page_url) for s in site.snapshots(run.id)} == {
        ("prices", viewport, "https://staging.example.com/prices?all=1") for viewport in ("desktop", "phone")
    }
    parse(project.suite)


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("https://a.example", ("https://a.example", "/")),
        ("a.example:8080/x", ("https://a.example:8080", "/x")),
        ("http://127.0.0.1:3000/a?b=c#d", ("http://127.0.0.1:3000", "/a?b=c")),
    ],
)
def test_an_address_is_read_as_people_write_it(address: str, page: tuple[str, str]) -> None:
    assert page_of(address) == page


@pytest.mark.parametrize(
    "address", ["", "ftp://a.example", "javascript:alert(1)", "https://u:p@a.example", "http://[x", "a:b:c"]
)
def test_what_is_no_address_is_said_beside_the_form(site: Site, address: str) -> None:
    with pytest.raises(Invalid):
        page_of(address)
    answer = site.visit().send("/projects/from-address", {"address": address, "project": "Shop"})
    assert answer.status_code == 422
    assert "is no address of a page" in html.unescape(answer.text)
    assert 'value="Shop"' in answer.text


def test_a_name_that_is_taken_is_a_conflict(site: Site) -> None:
    answer = site.visit().send("/projects/from-address", {"address": "a.example", "project": "Tea Shop"})
    assert answer.status_code == 409
    assert "exists already" in answer.text


def test_until_a_key_was_used_a_project_leads_to_key_and_workflow(
    site: Site, text_of: Callable[[str], str]
) -> None:
    site.run({"Home": "white"})
    visitor = site.visit()
    page = visitor.page("/projects/tea-shop")
    assert "Have every push checked" in page
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page[page.index("next-steps") :]))
    created = visitor.send("/settings/api-keys", form | {"scopes": ["run:read", "run:write"]})
    assert created.status_code == 200
    said = text_of(created.text)
    assert "vts_" in said
    assert "project-id: tea-shop" in said
    key = re.search(r"vts_\w+", said)
    assert key
    answer = visitor.client.get("/api/projects/tea-shop", headers={"Authorization": f"Bearer {key[0]}"})
    assert answer.status_code == 403  # the key reads runs only
    assert "Have every push checked" not in visitor.page("/projects/tea-shop")


def test_run_now_captures_the_default_branch(site: Site) -> None:
    site.run({"Home": "white"})
    visitor = site.visit(site.editor)
    assert 'action="/projects/tea-shop/run"' in visitor.page("/projects/tea-shop")
    answer = visitor.send("/projects/tea-shop/run")
    run = site.get(Run, answer.location.removeprefix("/runs/"))
    assert (run.status, run.branch, run.total) == ("PENDING", "main", 2)
    with site.app.app_context():
        assert db.session.scalars(select(Snapshot.test).where(Snapshot.run_id == run.id)).all() == [
            "Home",
            "Prices",
        ]
