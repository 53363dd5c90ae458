"""Whom an account elsewhere lets in, connecting and disconnecting: the rules, without a provider."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from sqlalchemy import select

from server.access import identities, invitations, oauth, people
from server.access.audit import CLI, Actor
from server.access.identities import Identity, Provider, github_api
from server.config import Settings
from server.database import db, writing
from server.models import AuditEvent, ExternalLogin, Invitation, Membership, User
from server.problems import Conflict, Invalid, NotFound
from tests.conftest import World

HOST = "192.0.2.7"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(
        settings,
        github_client_id="g",
        github_client_secret="s",
        oidc_issuer="https://sso.example/",
        oidc_client_id="o",
        google_client_id="without its secret",
    )


@pytest.fixture
def github(world: World) -> Provider:
    return oauth.provider_named("github")


def identity(email: str | None = "ada@acme.example", verified: bool = True, subject: str = "42") -> Identity:
    return Identity(subject, email, verified, "Ada L.")


def the(email: str) -> User:
    return db.session.scalars(select(User).where(User.email == email)).one()


def logins() -> list[tuple[str, str, str]]:
    return [(row.provider, row.subject, row.email) for row in db.session.scalars(select(ExternalLogin))]


def events(action: str) -> list[AuditEvent]:
    return list(db.session.scalars(select(AuditEvent).where(AuditEvent.action == action)))


def invite(world: World, email: str) -> str:
    return invitations.invite(world.acme, email, people.EDITOR, CLI)[1]


def roles(user: User) -> dict[str, str]:
    rows = db.session.scalars(select(Membership).where(Membership.user_id == user.id))
    return {row.organization.name: row.role for row in rows}


def test_a_verified_address_joins_the_account_with_it_and_every_organisation_of_theirs_hears_of_it(
    world: World, github: Provider
) -> None:
    ada = the("ada@acme.example")
    with writing() as session:
        session.add(Membership(organization_id=world.other.id, user_id=ada.id, role=people.VIEWER))
    assert oauth.sign_in(github, identity(), HOST) == (ada, False)
    assert logins() == [("github", "42", "ada@acme.example")]
    heard = events("LOGIN_CONNECT")
    assert {event.organization_id for event in heard} == {world.acme.id, world.other.id}
    assert heard[0].details == {"provider": "GitHub", "account": "ada@acme.example"}
    assert heard[0].address == HOST


@pytest.mark.parametrize("email", ["ada@acme.example", "nobody@acme.example"])
def test_an_unverified_address_joins_nothing_and_the_answer_does_not_tell_who_has_an_account(
    world: World, github: Provider, email: str
) -> None:
    invite(world, "nobody@acme.example")
    with pytest.raises(Invalid) as caught:
        oauth.sign_in(github, identity(email, verified=False), HOST)
    assert caught.value.message.replace(email, "…") == (
        "GitHub has not verified that … is yours. If you have an account here, log in with its password first and "
        "connect GitHub under Settings > Account; if not, ask an Admin of your team for an invitation and open its link."
    )
    assert logins() == []


def test_no_address_at_all_joins_nothing(world: World, github: Provider) -> None:
    with pytest.raises(Invalid, match="GitHub did not tell this server your email address"):
        oauth.sign_in(github, identity(None, verified=False), HOST)


@pytest.mark.parametrize(
    ("email", "verified"), [("eve@other.example", True), ("eve@other.example", False), (None, False)]
)
def test_who_is_connected_is_let_in_whatever_their_address_is_by_now(
    world: World, github: Provider, email: str | None, verified: bool
) -> None:
    oauth.sign_in(github, identity(), HOST)
    assert oauth.sign_in(github, identity(email, verified), HOST)[0] == the("ada@acme.example")
    assert len(events("LOGIN_CONNECT")) == 1


def test_the_same_subject_at_another_issuer_is_somebody_else(world: World, github: Provider) -> None:
    oauth.sign_in(github, identity(), HOST)
    for other in (
        replace(github, issuer="https://github.acme.example"),
        replace(oauth.provider_named("oidc"), issuer="https://evil.example"),
        oauth.provider_named("oidc"),
    ):
        with pytest.raises(Invalid):
            oauth.sign_in(other, identity("mallory@evil.example"), HOST)


def test_a_stranger_is_told_to_ask_for_an_invitation(world: World, github: Provider) -> None:
    with pytest.raises(Invalid, match=r"Nobody has invited new@acme\.example .* Ask an Admin"):
        oauth.sign_in(github, identity("new@acme.example"), HOST)
    assert db.session.scalar(select(User).where(User.email == "new@acme.example")) is None


def test_an_open_invitation_of_a_verified_address_makes_an_account_once(
    world: World, github: Provider
) -> None:
    token = invite(world, "new@acme.example")
    user, _ = oauth.sign_in(github, identity("new@acme.example"), HOST)
    assert (user.email, user.name, user.password_hash) == ("new@acme.example", "Ada L.", None)
    assert roles(user) == {"Acme": people.EDITOR}
    assert invitations.find(token) is None
    assert oauth.sign_in(github, identity("new@acme.example"), HOST) == (user, False)
    assert [event.target_name for event in events("MEMBER_ADD")][-1] == "new@acme.example"


@pytest.mark.parametrize("over", ["withdrawn", "expired"])
def test_an_invitation_that_is_over_lets_nobody_in(world: World, github: Provider, over: str) -> None:
    invitation, token = invitations.invite(world.acme, "new@acme.example", people.EDITOR, CLI)
    if over == "withdrawn":
        invitations.withdraw(invitation, CLI)
    else:
        with writing() as session:
            row = session.get_one(Invitation, invitation.id)
            row.expires_at = row.created_at
    with pytest.raises(Invalid, match="Nobody has invited"):
        oauth.sign_in(github, identity("new@acme.example"), HOST)
    with pytest.raises(Invalid, match="used or has expired"):
        oauth.sign_in(github, identity("new@acme.example"), HOST, token)
    assert logins() == []


@pytest.mark.parametrize(
    ("said", "email"),
    [
        (identity("home@ada.example"), "home@ada.example"),
        (identity("home@ada.example", verified=False), "new@acme.example"),
        (identity(None, verified=False), "new@acme.example"),
    ],
)
def test_an_invitations_link_makes_an_account_under_an_address_that_is_proven(
    world: World, github: Provider, said: Identity, email: str
) -> None:
    user, _ = oauth.sign_in(github, said, HOST, invite(world, "new@acme.example"))
    assert user.email == email
    assert roles(user) == {"Acme": people.EDITOR}


def test_an_invitations_link_makes_a_known_person_a_member(world: World, github: Provider) -> None:
    eve, _ = oauth.sign_in(github, identity("eve@other.example"), HOST)
    link = invite(world, "x@acme.example")
    assert oauth.sign_in(github, identity("eve@other.example"), HOST, link) == (eve, False)
    assert roles(eve) == {"Acme": people.EDITOR, "Other": people.ADMIN}


def test_an_invitations_link_does_not_open_the_account_of_the_invited_address(
    world: World, github: Provider
) -> None:
    token = invite(world, "eve@other.example")
    with pytest.raises(Invalid, match="log in with its password first"):
        oauth.sign_in(github, identity("mallory@evil.example", verified=False), HOST, token)
    assert invitations.find(token) is not None


@pytest.mark.parametrize("email", ["\u212aim@acme.example", "kim@acm\u00e9.example"])
def test_an_address_beyond_ascii_counts_as_unverified_for_it_may_turn_into_another(
    world: World, email: str
) -> None:
    said = identities._identity({"sub": "1", "email": email, "email_verified": True})
    assert said.email_verified is False


def test_what_is_said_is_reduced_to_what_can_be_kept() -> None:
    said = identities._identity(
        {"sub": "1", "email": "no address", "email_verified": True, "name": "x" * 300}
    )
    assert said == Identity("1", None, False, "x" * 200)
    assert identities._identity({"sub": "1", "email": "A@b.example", "email_verified": "true"}).email_verified
    for subject in ("", "x" * 256, "a\0b", 7):
        with pytest.raises(ValueError, match="subject"):
            identities._identity({"sub": subject})


# ------------------------------------------------------------------------------------------- connecting


def actor_of(user: User) -> Actor:
    return Actor("user", user.id, user.email, HOST)


def test_a_person_connects_an_account_with_any_address_and_disconnects_it(
    world: World, github: Provider
) -> None:
    ada = the("ada@acme.example")
    oauth.connect(ada, github, identity("home@ada.example", verified=False), actor_of(ada))
    oauth.connect(ada, github, identity("home@ada.example", verified=False), actor_of(ada))
    assert oauth.sign_in(github, identity("home@ada.example", verified=False), HOST) == (ada, False)
    first, _, second = oauth.connections(ada)
    assert (first.label, first.connected, first.emails) == ("GitHub", True, ())
    assert (second.label, second.connected, second.emails) == ("Single sign-on", False, ())
    assert oauth.disconnect(ada, "github", actor_of(ada)) == "GitHub"
    assert logins() == []
    assert (len(events("LOGIN_CONNECT")), len(events("LOGIN_DISCONNECT"))) == (1, 1)
    with pytest.raises(NotFound):
        oauth.disconnect(ada, "github", actor_of(ada))


def test_an_account_of_somebody_else_is_not_connected(world: World, github: Provider) -> None:
    oauth.sign_in(github, identity("eve@other.example"), HOST)
    ada = the("ada@acme.example")
    with pytest.raises(Conflict, match="belongs to somebody else"):
        oauth.connect(ada, github, identity("eve@other.example"), actor_of(ada))
    with pytest.raises(NotFound):
        oauth.disconnect(ada, "github", actor_of(ada))


def test_the_last_way_in_is_not_disconnected(world: World, github: Provider) -> None:
    invite(world, "new@acme.example")
    new, _ = oauth.sign_in(github, identity("new@acme.example"), HOST)
    with pytest.raises(Conflict, match="only way to log in"):
        oauth.disconnect(new, "github", actor_of(new))
    oauth.connect(new, oauth.provider_named("oidc"), identity(None, False, "7"), actor_of(new))
    oauth.disconnect(new, "github", actor_of(new))
    with pytest.raises(Conflict, match="only way to log in"):
        oauth.disconnect(new, "oidc", actor_of(new))


def test_a_provider_that_is_not_set_up_or_not_completely_is_no_way_in_but_can_be_forgotten(
    world: World, github: Provider
) -> None:
    invite(world, "new@acme.example")
    new, _ = oauth.sign_in(github, identity("new@acme.example"), HOST)
    gone = replace(oauth.provider_named("oidc"), issuer="https://former.example")
    oauth.connect(new, gone, identity(None, False, "7"), actor_of(new))
    oauth.connect(new, oauth.provider_named("google"), identity(None, False, "8"), actor_of(new))
    with pytest.raises(Conflict):
        oauth.disconnect(new, "github", actor_of(new))
    oauth.disconnect(new, gone.key, actor_of(new))
    assert sorted(row[0] for row in logins()) == ["github", "google"]


# ------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("https://github.com", "https://api.github.com"),
        ("https://acme.ghe.com", "https://api.acme.ghe.com"),
        ("https://git.acme.example:8443", "https://git.acme.example:8443/api/v3"),
    ],
)
def test_the_api_of_a_github_is_found_from_its_address(url: str, api: str) -> None:
    assert github_api(url) == api


def test_providers_are_those_of_the_settings_and_their_secrets_are_not_shown() -> None:
    assert identities.configured(Settings()) == []
    every = Settings(
        github_client_id="a", github_client_secret="hush", google_client_id="b", google_client_secret="hush",
        oidc_issuer="https://sso.example/", oidc_client_id="c", oidc_client_secret="hush", oidc_name="Acme",
    )  # fmt: skip
    found = identities.configured(every)
    assert [(provider.name, provider.label) for provider in found] == [
        ("github", "GitHub"),
        ("google", "Google"),
        ("oidc", "Acme"),
    ]
    assert [provider.issuer for provider in found] == [
        "https://github.com",
        "https://accounts.google.com",
        "https://sso.example",
    ]
    assert all(provider.missing is None and len(provider.key) <= 40 for provider in found)
    assert "hush" not in repr(every) + repr(found)


def test_authlib_is_imported_by_whom_it_serves_only(world: World) -> None:
    code = (
        "import sys, tempfile; from pathlib import Path; from server import create_app\n"
        "from server.config import Settings; from server.access import oauth\n"
        "app = create_app(Settings(data=Path(tempfile.mkdtemp()), oidc_issuer='https://sso.example'))\n"
        "with app.app_context(): assert oauth.providers()\n"
        "print(*[name for name in ('authlib', 'joserfc', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
