"""/login/with/…, and connecting under /settings/account: whole flows with real providers on loopback."""

from __future__ import annotations

import html
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import render_template
from playwright.sync_api import expect, sync_playwright
from sqlalchemy import select
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from server.access import identities, invitations, oauth, people
from server.access.audit import CLI
from server.access.limits import Limit
from server.config import Settings
from server.database import db
from server.models import AuditEvent, ExternalLogin, User
from tests.dashboard.conftest import Site, Visitor
from tests.fake_providers import CLIENT_ID, CLIENT_SECRET, OTHER_KEY, FakeProvider, github_email

Read = Callable[[str], str]
HOME = "http://localhost"


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    with FakeProvider().serving() as fake:
        yield fake


@pytest.fixture
def site(settings: Settings, fake: FakeProvider) -> Iterator[Site]:
    site = Site(
        replace(
            settings,
            oidc_issuer=fake.address,
            oidc_client_id=CLIENT_ID,
            oidc_client_secret=CLIENT_SECRET,
            oidc_name="Acme SSO",
            github_url=fake.address,
            github_client_id=CLIENT_ID,
            github_client_secret=CLIENT_SECRET,
        )
    )
    yield site
    with site.app.app_context():
        db.engine.dispose()


def begin(visitor: Visitor, name: str = "oidc", page: str = "/login", **form: str) -> str:
    """Sends the form; returns the address at the provider to which the answer goes on."""
    path = f"/login/with/{name}" if page == "/login" else f"/settings/account/connect/{name}"
    answer = visitor.send(path, form, page=page)
    assert answer.status_code == 200, answer.text
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', answer.text)
    assert found
    return html.unescape(found[1])


def consent(address: str) -> str:
    """The provider's part: returns the path of ours that it sends the browser to."""
    answer = requests.get(address, allow_redirects=False, timeout=5)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"{HOME}/login/with/")
    return answer.headers["Location"].removeprefix(HOME)


def come(visitor: Visitor, name: str = "oidc", **form: str) -> TestResponse:
    """The whole way there and back."""
    return visitor.get(consent(begin(visitor, name, **form)))


def rows(site: Site, kind: type[Any]) -> list[Any]:
    with site.app.app_context():
        return list(db.session.scalars(select(kind)))


def is_in(visitor: Visitor) -> bool:
    return visitor.get("/").status_code == 200


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


# ------------------------------------------------------------------------------------------- what is forged


def refused(site: Site, answer: TestResponse, visitor: Visitor, says: str, status: int = 502) -> None:
    assert answer.status_code == status, answer.text
    assert says in html.unescape(answer.text)
    assert not is_in(visitor)
    assert rows(site, ExternalLogin) == []


def test_a_state_that_this_browser_did_not_get_is_refused(site: Site, fake: FakeProvider) -> None:
    victim, attacker = site.anonymous(), site.anonymous()
    back = consent(begin(attacker))
    refused(site, victim.get(back), victim, "not begun in this browser", 400)
    for tampered in (back + "x", back.replace("state=", "stat="), re.sub("state=[^&]+", "state=", back)):
        refused(site, attacker.get(tampered), attacker, "not begun in this browser", 400)
    assert "/token" not in fake.asked
    assert attacker.get(back).status_code == 303


def test_what_came_back_counts_once(site: Site, fake: FakeProvider) -> None:
    fake.person["email_verified"] = False
    visitor = site.anonymous()
    back = consent(begin(visitor))
    assert visitor.get(back).status_code == 403
    refused(site, visitor.get(back), visitor, "or is over already", 400)
    assert fake.asked.count("/token") == 1


def test_a_state_is_good_for_its_provider_only(site: Site) -> None:
    visitor = site.anonymous()
    back = consent(begin(visitor, "oidc")).replace("/with/oidc/", "/with/github/")
    refused(site, visitor.get(back), visitor, "not begun in this browser", 400)


def test_a_state_is_good_for_ten_minutes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = site.anonymous()
    back = consent(begin(visitor))
    real = time.time
    monkeypatch.setattr("server.dashboard.social.time.time", lambda: real() + 601)
    refused(site, visitor.get(back), visitor, "took too long", 400)


def test_two_windows_can_log_in_side_by_side(site: Site) -> None:
    visitor = site.anonymous()
    first, _, third = begin(visitor), begin(visitor, "github"), begin(visitor)
    assert visitor.get(consent(first)).status_code == 303
    assert visitor.get(consent(third)).status_code == 400, "the first log-in has ended the others"


def forge(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda claims: claims.update(values)


@pytest.mark.parametrize(
    "spoil",
    [
        forge(nonce="of-an-earlier-log-in"),
        lambda claims: claims.pop("nonce"),
        forge(iss="https://evil.example"),
        lambda claims: claims.pop("iss"),
        forge(aud="another-client"),
        forge(aud=["another-client"], azp=CLIENT_ID),
        lambda claims: claims.pop("aud"),
        forge(azp="another-client"),
        forge(iat=int(time.time()) - 1000, exp=int(time.time()) - 500),
        lambda claims: claims.pop("exp"),
        forge(iat=int(time.time()) + 1000),
        lambda claims: claims.pop("sub"),
        forge(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    ],
    ids=[
        "nonce",
        "no-nonce",
        "iss",
        "no-iss",
        "aud",
        "aud-azp",
        "no-aud",
        "azp",
        "exp",
        "no-exp",
        "iat",
        "no-sub",
        "at_hash",
    ],
)
def test_an_id_token_with_a_wrong_claim_is_refused(
    site: Site, fake: FakeProvider, spoil: Callable[[dict[str, Any]], object]
) -> None:
    fake.spoil = spoil
    visitor = site.anonymous()
    refused(site, come(visitor), visitor, "Acme SSO sent a proof that is not valid")


def test_the_id_token_of_an_earlier_log_in_is_refused(site: Site, fake: FakeProvider) -> None:
    seen: list[dict[str, Any]] = []
    fake.spoil = lambda claims: seen.append(dict(claims))
    fake.person["email_verified"] = False
    come(site.anonymous())
    fake.spoil = lambda claims: claims.update(seen[0])
    visitor = site.anonymous()
    refused(site, come(visitor), visitor, "Acme SSO sent a proof that is not valid")


@pytest.mark.parametrize("how", ["other key", "unknown key", "none", "public key as secret"])
def test_an_id_token_that_the_provider_did_not_sign_is_refused(
    site: Site, fake: FakeProvider, how: str
) -> None:
    if how == "other key":
        fake.key = OTHER_KEY
    elif how == "unknown key":
        fake.key, fake.header = OTHER_KEY, {"alg": "RS256", "kid": "two"}
    elif how == "none":
        fake.header = {"alg": "none"}
    else:
        fake.algorithms = ["RS256", "HS256"]
        fake.header = {"alg": "HS256", "kid": "one"}
    visitor = site.anonymous()
    refused(site, come(visitor), visitor, "Acme SSO sent a proof that is not valid")


def test_a_key_that_the_provider_has_only_just_begun_to_use_is_found(
    site: Site, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert come(site.anonymous()).status_code == 303
    fake.key, fake.header = OTHER_KEY, {"alg": "RS256", "kid": "two"}
    fake.keys = [{**OTHER_KEY.as_dict(private=False), "kid": "two"}]
    assert come(site.anonymous()).status_code == 303
    assert fake.asked.count("/jwks") == 2
    assert fake.asked.count("/.well-known/openid-configuration") == 1


@pytest.mark.parametrize("name", ["oidc", "github"])
def test_a_code_without_its_verifier_is_worth_nothing(site: Site, fake: FakeProvider, name: str) -> None:
    visitor = site.anonymous()
    address = begin(visitor, name)
    stolen = re.sub("code_challenge=[^&]+", "code_challenge=" + "A" * 43, address)
    answer = visitor.get(consent(stolen))
    refused(site, answer, visitor, "did not accept this log-in")


def test_a_form_of_another_site_starts_nothing(site: Site, fake: FakeProvider) -> None:
    visitor = site.anonymous()
    answer = visitor.client.post("/login/with/oidc")
    assert answer.status_code == 400
    assert fake.asked == []
    page = visitor.page("/login/with/oidc?next=/projects/tea-shop")
    assert fake.asked == []
    assert "Continue to Acme SSO" in page
    assert 'value="/projects/tea-shop"' in page


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"]
)
def test_it_never_leads_to_another_site(site: Site, address: str) -> None:
    assert come(site.anonymous(), next=address).location == "/"
    assert "evil" not in site.anonymous().page(f"/login/with/oidc?next={address}")


# ------------------------------------------------------------------------------------------- what fails


def test_who_says_no_at_the_provider_reads_that_they_are_not_logged_in(
    site: Site, fake: FakeProvider
) -> None:
    fake.denies = True
    visitor = site.anonymous()
    refused(site, come(visitor), visitor, "Acme SSO did not log you in", 403)


def test_a_slow_provider_is_given_up(site: Site, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    assert identities.TIMEOUT_S == 10
    monkeypatch.setattr(identities, "TIMEOUT_S", 0.2)
    visitor = site.anonymous()
    back = consent(begin(visitor, "github"))
    fake.delay_s = 0.6
    refused(site, visitor.get(back), visitor, "GitHub did not answer within 0.2 seconds")
    answer = visitor.send("/login/with/oidc", page="/login")
    refused(site, answer, visitor, "Acme SSO did not answer within 0.2 seconds")


def test_a_provider_that_is_down_or_talks_nonsense_is_named(
    tmp_path: Path, site: Site, fake: FakeProvider
) -> None:
    visitor = site.anonymous()
    back = consent(begin(visitor, "github"))
    fake.is_broken = True
    refused(site, visitor.get(back), visitor, "GitHub sent an answer that cannot be used")
    answer = visitor.send("/login/with/oidc", page="/login")
    refused(site, answer, visitor, "Acme SSO sent an answer that cannot be used")
    down = Site(Settings(data=tmp_path / "down", oidc_issuer="http://127.0.0.1:9", oidc_client_id="x"))
    answer = down.anonymous().send("/login/with/oidc", page="/login")
    assert answer.status_code == 502
    assert "Single sign-on cannot be reached" in answer.text
    with down.app.app_context():
        db.engine.dispose()


def test_metadata_of_another_issuer_is_refused(site: Site, fake: FakeProvider) -> None:
    fake.issuer = "https://evil.example"
    answer = site.anonymous().send("/login/with/oidc", page="/login")
    assert answer.status_code == 502
    assert "Acme SSO sent an answer that cannot be used" in answer.text


def test_a_secret_goes_in_the_body_where_the_provider_takes_it_nowhere_else(
    site: Site, fake: FakeProvider
) -> None:
    fake.authentication = ["client_secret_post"]
    assert come(site.anonymous()).status_code == 303


def test_a_provider_without_its_secret_says_so_to_the_log_and_not_to_the_world(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(Settings(data=tmp_path, google_client_id="x"))
    answer = site.anonymous().send("/login/with/google", page="/login")
    assert answer.status_code == 502
    assert "is not set up completely; tell an Admin" in answer.text
    assert "RETESTR_GOOGLE_CLIENT_SECRET is empty" in caplog.text
    with site.app.app_context():
        db.engine.dispose()


def test_nothing_secret_is_logged(site: Site, fake: FakeProvider, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    visitor = site.anonymous()
    address = begin(visitor)
    with visitor.client.session_transaction() as session:
        (pending,) = session["logins"].values()
    back = consent(address)
    caplog.clear()  # until here the test itself has spoken to the provider
    fake.spoil = forge(aud="another-client")
    visitor.get(back)
    come(visitor, "github")
    code = parse_qs(urlsplit(back).query)["code"][0]
    theirs = [r for r in caplog.records if not r.name.startswith("werkzeug")]  # the fake's own
    said = "\n".join(f"{r.getMessage()} {r.exc_text}" for r in theirs)
    assert "Acme SSO sent an ID token that is not valid" in said
    for secret in (CLIENT_SECRET, code, pending["nonce"], pending["verifier"], "an-access-token"):
        assert secret not in said


def test_starting_over_and_over_is_slowed_down(
    site: Site, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.dashboard.social.STARTS", Limit("login-provider", 1, 900))
    visitor = site.anonymous()
    begin(visitor)
    answer = visitor.send("/login/with/oidc", page="/login")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


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
            page.set_default_timeout(5000)
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


# ------------------------------------------------------------------------------------------- Settings > Account


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
        part = render_template("dashboard/_providers.html", connections=oauth.connections(user))
    assert text_of(part) == (
        "Accounts to log in with GitHub not connected Connect GitHub Acme SSO ada@acme.example Disconnect Acme SSO"
    )
