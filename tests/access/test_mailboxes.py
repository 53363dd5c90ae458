"""Accounts whose address was never proven: what is left to whoever sat in one when its owner comes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from server.access import invitations, limits, oauth, passwords, people, tokens
from server.access.audit import CLI, Actor
from server.access.identities import Identity, Provider
from server.access.passwords import BY_PERSON
from server.config import Settings
from server.database import db, writing
from server.models import AuditEvent, ExternalLogin, LoginSession, PasswordReset, User
from server.problems import Invalid
from tests.conftest import World

OWNER, MALLORY = "192.0.2.7", "203.0.113.9"
EMAIL = "victim@acme.example"
SQUATTED, NEW = "seven purple kettles", "staple orange window 7"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(
        settings, github_client_id="g", github_client_secret="s", oidc_issuer="https://sso.example/"
    )


@pytest.fixture
def github(world: World) -> Provider:
    return oauth.provider_named("github")


@pytest.fixture
def squatted(world: World, github: Provider) -> tuple[User, str]:
    """An account that an Admin made with the link of their own invitation, opened in every way; and a session of it."""
    _, link = invitations.invite(world.acme, EMAIL, people.EDITOR, CLI)
    _, user = invitations.accept_as_new(link, "Mallory", SQUATTED, MALLORY)
    mallory = Actor("user", user.id, user.email, MALLORY)
    oauth.connect(user, github, Identity("666", "mallory@evil.example", True, None), mallory)
    oauth.connect(
        user, oauth.provider_named("oidc"), Identity("666", EMAIL, False, None), mallory
    )  # claims the address
    session = people.log_in(user, MALLORY, "a browser")
    passwords.make_reset(user)
    assert session is not None
    return user, session


def owner(subject: str = "42") -> Identity:
    return Identity(subject, EMAIL, True, "Victoria")


def events(action: str) -> list[AuditEvent]:
    return list(db.session.scalars(select(AuditEvent).where(AuditEvent.action == action)))


def test_who_proves_the_address_of_an_account_is_alone_in_it(
    world: World, github: Provider, squatted: tuple[User, str]
) -> None:
    user, session = squatted
    assert oauth.sign_in(github, owner(), OWNER) == (user, True)
    assert passwords.check(EMAIL, SQUATTED, MALLORY) is None
    assert people.visitor(session) is None
    assert db.session.query(PasswordReset).count() == 0
    assert [login.subject for login in db.session.scalars(select(ExternalLogin))] == ["42"]
    for provider in oauth.providers()[::2]:
        with pytest.raises(Invalid):
            oauth.sign_in(provider, Identity("666", EMAIL, False, None), MALLORY)
    [event] = events("ACCOUNT_RECLAIM")
    assert event.details == {"passwordRemoved": True, "sessionsEnded": 1, "loginsRemoved": 2}
    assert (event.actor_id, event.address) == (user.id, OWNER)


def test_an_account_made_through_a_provider_that_verifies_nothing_is_no_better(
    world: World, github: Provider
) -> None:
    _, link = invitations.invite(world.acme, EMAIL, people.EDITOR, CLI)
    sso = oauth.provider_named("oidc")
    user, _ = oauth.sign_in(sso, Identity("666", EMAIL, False, None), MALLORY, link)
    assert oauth.sign_in(github, owner(), OWNER) == (user, True)
    with pytest.raises(Invalid, match="has not verified"):
        oauth.sign_in(sso, Identity("666", EMAIL, False, None), MALLORY)


def test_a_proven_account_keeps_what_its_owner_set_up(
    world: World, github: Provider, squatted: tuple[User, str]
) -> None:
    user, _ = squatted
    oauth.sign_in(github, owner(), OWNER)
    passwords.change(user, "", NEW, None, OWNER)
    session = people.log_in(user, OWNER, "a browser")
    assert oauth.sign_in(oauth.provider_named("oidc"), owner("another"), OWNER) == (user, False)
    assert oauth.sign_in(github, owner(), OWNER) == (user, False)
    assert people.visitor(session) is not None
    assert passwords.check(EMAIL, NEW, OWNER) == user
    assert len(events("ACCOUNT_RECLAIM")) == 1


def test_who_set_up_the_server_keeps_their_password(world: World, github: Provider) -> None:
    ada, reclaimed = oauth.sign_in(github, Identity("1", "ada@acme.example", True, None), OWNER)
    assert reclaimed is False
    assert passwords.check("ada@acme.example", "correct horse battery", OWNER) == ada


def test_founding_another_organisation_hands_it_to_nobody_without_the_password(
    world: World, squatted: tuple[User, str]
) -> None:
    with pytest.raises(Invalid, match="not its password"):
        people.found_organization("New", EMAIL, NEW)
    assert people.organization_named("New") is None
    assert people.found_organization("New", "ada@acme.example", "correct horse battery")[2]


def test_a_reset_leaves_nobody_else_in_the_account(
    world: World, github: Provider, squatted: tuple[User, str]
) -> None:
    _, session = squatted
    passwords.begin_reset(EMAIL, token := tokens.new())
    passwords.reset(token, NEW, OWNER)
    assert people.visitor(session) is None
    assert db.session.query(LoginSession).count() == 0
    assert db.session.query(PasswordReset).count() == 0
    assert db.session.query(ExternalLogin).count() == 0
    [event] = events("PASSWORD_RESET")
    assert event.details == {"sessionsEnded": 1, "loginsRemoved": 2}


def test_a_reset_keeps_the_account_elsewhere_that_proves_the_address(world: World, github: Provider) -> None:
    ada, _ = oauth.sign_in(github, Identity("1", "ada@acme.example", True, None), OWNER)
    passwords.reset(passwords.make_reset(ada), NEW, OWNER)
    assert oauth.sign_in(github, Identity("1", None, False, None), OWNER) == (ada, False)


def test_a_reset_opens_what_the_guessing_of_others_has_closed(world: World) -> None:
    for number in range(BY_PERSON.count):
        passwords.check("ada@acme.example", "a guess", f"203.0.113.{number}")
    with pytest.raises(limits.TooMany):
        passwords.check("ada@acme.example", "correct horse battery", OWNER)
    passwords.begin_reset("ada@acme.example", token := tokens.new())
    ada = passwords.reset(token, NEW, OWNER)
    assert passwords.check("ada@acme.example", NEW, OWNER) == ada


def test_an_unverified_address_is_not_kept_with_a_connection(world: World, github: Provider) -> None:
    with writing() as session:
        user = people.add_user(session, "u@acme.example", None)
    oauth.connect(user, github, Identity("5", "u@acme.example", False, None), CLI)
    oauth.sign_in(github, Identity("5", "u@acme.example", False, None), MALLORY)
    assert [login.email for login in db.session.scalars(select(ExternalLogin))] == [""]
