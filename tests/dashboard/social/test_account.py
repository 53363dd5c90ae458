"""Settings > Account: accounts to log in with."""

from __future__ import annotations

import pytest
from flask import render_template

from server.access import oauth
from server.database import db
from server.models import ExternalLogin, User
from tests.dashboard.conftest import Site
from tests.dashboard.social.flows import Read, begin, come, consent, rows
from tests.dashboard.social.test_logging_in import invite
from tests.fake_providers import FakeProvider


@pytest.mark.parametrize("name", ["oidc", "github"])
def test_a_person_connects_an_account_with_any_address_and_logs_in_with_it(
    site: Site, fake: FakeProvider, name: str
) -> None:
    fake.person = {"sub": "42", "email": "home@ada.example", "email_verified": False}
    fake.emails = None
    visitor = site.visit(site.editor)
    answer = visitor.get(consent(begin(visitor, name, page="/")))
    assert (answer.status_code, answer.location) == (303, "/settings/account")
    assert rows(site, ExternalLogin)[0].user_id == site.editor.id
    stranger = site.anonymous()
    assert come(stranger, name).status_code == 303
    assert "ed@acme.example" in stranger.page("/")
    assert visitor.send(f"/settings/account/disconnect/{name}").location == "/settings/account"
    assert rows(site, ExternalLogin) == []


def test_connecting_ends_with_the_person_who_began_it(site: Site) -> None:
    visitor = site.visit(site.editor)
    back = consent(begin(visitor, page="/"))
    with visitor.client.session_transaction() as ours, site.visit().client.session_transaction() as theirs:
        ours["token"] = theirs["token"]
    answer = visitor.get(back)
    assert answer.status_code == 400
    assert "You are not logged in any more as the person who began this" in answer.text
    assert rows(site, ExternalLogin) == []


def test_an_account_of_somebody_else_is_not_connected(site: Site) -> None:
    come(site.anonymous())
    visitor = site.visit(site.editor)
    visitor.get(consent(begin(visitor, page="/")))
    assert "belongs to somebody else" in visitor.page("/")
    assert [row.user_id for row in rows(site, ExternalLogin)] == [site.admin.id]


def test_connecting_and_disconnecting_need_a_log_in_and_the_forms_token(site: Site) -> None:
    for path in ("/settings/account/connect/oidc", "/settings/account/disconnect/oidc"):
        assert site.visit().client.post(path).status_code == 400
        assert site.visit().get(path).status_code == 405
        assert site.anonymous().send(path, page="/login").location.startswith("/login")


def test_the_last_way_in_is_not_disconnected(site: Site, fake: FakeProvider) -> None:
    invite(site, "new@acme.example")
    fake.person["email"] = "new@acme.example"
    visitor = site.anonymous()
    come(visitor)
    visitor.send("/settings/account/disconnect/oidc")
    assert "only way to log in" in visitor.page("/")
    assert len(rows(site, ExternalLogin)) == 1
    assert "There is no such connection" in visitor.send("/settings/account/disconnect/github").text


def test_the_part_for_the_account_page_offers_what_can_be_done(
    site: Site, fake: FakeProvider, text_of: Read
) -> None:
    visitor = site.visit()
    visitor.get(consent(begin(visitor, page="/settings/account")))
    with site.app.test_request_context("/"):
        user = db.session.get_one(User, site.admin.id)
        part = render_template("dashboard/parts/providers.html", connections=oauth.connections(user))
    assert text_of(part) == (
        "Accounts to log in with GitHub not connected Connect GitHub Acme SSO ada@acme.example Disconnect Acme SSO"
    )
