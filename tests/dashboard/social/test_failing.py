"""Logging in by a provider: what people are told when it fails."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from server.access import identities
from server.access.limits import Limit
from server.config import Settings
from server.database import db
from tests.dashboard.conftest import Site
from tests.dashboard.social.flows import begin, come, consent, forge, refused
from tests.fake_providers import CLIENT_SECRET, FakeProvider


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
