"""Logging in by a provider: who gets in, and by which page."""

from __future__ import annotations

import threading

import pytest
from playwright.sync_api import expect, sync_playwright
from werkzeug.serving import make_server

from server.access import invitations, people
from server.access.audit import CLI
from server.models import AuditEvent, ExternalLogin, User
from tests.dashboard.conftest import Site
from tests.dashboard.social.flows import HOME, Read, come, is_in, rows
from tests.fake_providers import FakeProvider, github_email

# ------------------------------------------------------------------------------------------- getting in


@pytest.mark.parametrize("name", ["oidc", "github"])
def test_a_verified_address_opens_the_account_with_it(site: Site, fake: FakeProvider, name: str) -> None:
    visitor = site.anonymous()
    answer = come(visitor, name, next="/projects/tea-shop?branch=main")
    assert (answer.status_code, answer.location) == (303, "/projects/tea-shop?branch=main")
    assert "Tea Shop" in visitor.page("/")
    (login,) = rows(site, ExternalLogin)
    assert (login.user_id, login.subject, login.email) == (site.admin.id, "42", "ada@acme.example")
    assert {"LOGIN", "LOGIN_CONNECT"} <= {event.action for event in rows(site, AuditEvent)}
    assert fake.authorized["redirect_uri"] == f"{HOME}/login/with/{name}/callback"
    assert (name == "oidc") == ("nonce" in fake.authorized)
    assert len(fake.authorized["code_challenge"]) == 43


def test_who_proves_an_address_first_reads_that_older_ways_into_the_account_are_gone(
    site: Site, fake: FakeProvider, text_of: Read
) -> None:
    before, visitor = site.visit(), site.anonymous()
    come(visitor)
    assert "Acme SSO says that ada@acme.example is yours, which nobody had shown" in text_of(
        visitor.page("/")
    )
    assert not is_in(before)
    assert "Set a password" in text_of(visitor.page("/settings/account"))
    again = site.anonymous()
    come(again)
    assert "nobody had shown" not in again.page("/")
    assert is_in(visitor)


@pytest.mark.parametrize("name", ["oidc", "github"])
def test_an_unverified_address_opens_nothing(
    site: Site, fake: FakeProvider, name: str, text_of: Read
) -> None:
    fake.person["email_verified"] = False
    fake.emails = [github_email("ada@acme.example", verified=False)]
    visitor = site.anonymous()
    answer = come(visitor, name)
    assert answer.status_code == 403
    assert "log in with its password first and connect" in text_of(answer.text)
    assert not is_in(visitor)
    assert rows(site, ExternalLogin) == []


def test_a_claim_that_is_missing_is_no_verified_one(site: Site, fake: FakeProvider) -> None:
    del fake.person["email_verified"]
    assert come(site.anonymous()).status_code == 403


def test_only_githubs_primary_address_counts(site: Site, fake: FakeProvider) -> None:
    fake.emails = [github_email("ada@acme.example", primary=False), github_email("home@ada.example")]
    answer = come(site.anonymous(), "github")
    assert answer.status_code == 403
    assert "Nobody has invited home@ada.example" in answer.text


@pytest.mark.parametrize("name", ["oidc", "github"])
def test_who_is_connected_gets_in_whatever_their_address_is_by_now(
    site: Site, fake: FakeProvider, name: str
) -> None:
    come(site.anonymous(), name)
    fake.person = {"sub": "42", "email": "eve@other.example", "email_verified": True}
    fake.emails = None
    visitor = site.anonymous()
    assert come(visitor, name).status_code == 303
    assert "Tea Shop" in visitor.page("/")
    fake.person = {"sub": "42"}
    assert come(site.anonymous(), name).status_code == 303


@pytest.mark.parametrize("name", ["oidc", "github"])
def test_a_stranger_is_told_to_ask_for_an_invitation(site: Site, fake: FakeProvider, name: str) -> None:
    fake.person["email"] = "new@acme.example"
    fake.emails = [github_email("new@acme.example")]
    answer = come(site.anonymous(), name)
    assert answer.status_code == 403
    assert "Nobody has invited new@acme.example to this server yet. Ask an Admin" in answer.text
    assert len(rows(site, User)) == 4


def test_without_an_address_nobody_new_gets_in(site: Site, fake: FakeProvider) -> None:
    fake.person = {"sub": "42"}
    fake.emails = None
    for name, label in (("oidc", "Acme SSO"), ("github", "GitHub")):
        answer = come(site.anonymous(), name)
        assert answer.status_code == 403
        assert f"{label} did not tell this server your email address." in answer.text


def test_an_address_that_only_the_userinfo_tells_is_taken_with_what_it_says_of_it(
    site: Site, fake: FakeProvider
) -> None:
    fake.spoil = lambda claims: claims.pop("email")
    assert come(site.anonymous()).status_code == 303
    fake.person["sub"] = "43"
    fake.userinfo = {"sub": "43", "email": "ed@acme.example"}  # the ID token says verified, of no address
    assert come(site.anonymous()).status_code == 403
    fake.userinfo = {"sub": "44", "email": "ed@acme.example", "email_verified": True}
    assert come(site.anonymous()).status_code == 502


def invite(site: Site, email: str) -> str:
    with site.app.app_context():
        return invitations.invite(site.organization, email, people.EDITOR, CLI)[1]


def test_who_was_invited_gets_in_by_the_address_alone(site: Site, fake: FakeProvider) -> None:
    invite(site, "new@acme.example")
    fake.person["email"] = "new@acme.example"
    visitor = site.anonymous()
    assert come(visitor).status_code == 303
    assert "Tea Shop" in visitor.page("/")


def test_an_invitations_link_is_accepted_on_the_way(site: Site, fake: FakeProvider) -> None:
    token = invite(site, "new@acme.example")
    fake.person["email"] = "home@new.example"
    visitor = site.anonymous()
    assert come(visitor, invitation=token).status_code == 303
    assert "Tea Shop" in visitor.page("/")
    with site.app.app_context():
        assert invitations.find(token) is None
    assert "used or has expired" in come(site.anonymous(), invitation=token).text


def test_who_accepts_an_invitation_enters_that_organisation(site: Site, fake: FakeProvider) -> None:
    fake.person["email"] = "eve@other.example"
    visitor = site.anonymous()
    come(visitor, invitation=invite(site, "eve@other.example"))
    assert "Tea Shop" in visitor.page("/")


def test_who_belongs_nowhere_any_more_is_told(site: Site, fake: FakeProvider) -> None:
    with site.app.app_context():
        people.remove_member(site.organization.id, site.viewer.id, CLI)
    fake.person["email"] = "vi@acme.example"
    answer = come(site.anonymous())
    assert answer.status_code == 403
    assert "not a member of any organisation" in answer.text


# ------------------------------------------------------------------------------------------- pages


def test_the_log_in_page_has_a_button_for_each_provider(site: Site, text_of: Read) -> None:
    page = site.anonymous().page("/login")
    assert "Continue with GitHub Continue with Acme SSO" in text_of(page)
    assert site.anonymous().get("/login/with/google").status_code == 404


def test_no_page_may_send_a_form_elsewhere(site: Site) -> None:
    visitor = site.anonymous()
    answer = visitor.send("/login/with/oidc", page="/login")
    assert "form-action 'self';" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.location is None
    assert "<script>" not in answer.text


@pytest.mark.browser
def test_a_real_browser_goes_there_and_back_under_the_policy(site: Site, browser_path: str) -> None:
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    complaints: list[str] = []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
            page = browser.new_page(java_script_enabled=False)
            page.set_default_timeout(20_000)
            page.on("console", lambda message: complaints.append(message.text))
            # another host than the provider's: cookies meet SameSite as in life
            page.goto(f"http://localhost:{server.server_port}/projects/tea-shop")
            page.get_by_role("button", name="Continue with Acme SSO").click()
            expect(page.get_by_role("heading", name="Tea Shop")).to_be_visible()
            assert page.url == f"http://localhost:{server.server_port}/projects/tea-shop"
            browser.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert complaints == []
