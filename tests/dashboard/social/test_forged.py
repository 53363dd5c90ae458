"""Logging in by a provider: what is forged, replayed or stolen is refused."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.dashboard.conftest import Site
from tests.dashboard.social.flows import begin, come, consent, forge, refused
from tests.fake_providers import CLIENT_ID, OTHER_KEY, FakeProvider


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
