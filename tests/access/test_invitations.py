"""Invitations, members and password resets."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.access import invitations, passwords, people, tokens
from server.access.audit import CLI, Actor
from server.database import db, now, writing
from server.models import AuditEvent, Invitation, PasswordReset, User
from server.problems import Conflict, Invalid
from tests.conftest import World

PASSWORD = "seven purple kettles"


def join(world: World, email: str, role: str) -> User:
    _, token = invitations.invite(world.acme, email, role, CLI)
    with writing() as session:
        user = people.add_user(session, email, PASSWORD)
    invitations.accept(token, user, "10.0.0.1")
    return user


def of(user: User) -> Actor:
    return Actor("user", user.id, user.email, "10.0.0.1")


def role_of(world: World, user: User) -> str | None:
    db.session.expire_all()
    return {member.id: membership.role for member, membership in people.members(world.acme.id)}.get(user.id)


def test_an_invitation_makes_a_member_once(world: World) -> None:
    grace = join(world, "grace@acme.example", people.EDITOR)
    assert role_of(world, grace) == people.EDITOR
    assert invitations.open_ones(world.acme.id) == []
    actions = [event.action for event in db.session.query(AuditEvent).order_by(AuditEvent.id)]
    assert actions[-2:] == ["MEMBER_INVITE", "MEMBER_ADD"]


def test_a_used_expired_withdrawn_or_replaced_link_is_worth_nothing(world: World) -> None:
    grace = db.session.query(User).filter_by(email="eve@other.example").one()
    _, used = invitations.invite(world.acme, "a@acme.example", people.VIEWER, CLI)
    invitations.accept(used, grace, None)
    _, replaced = invitations.invite(world.acme, "b@acme.example", people.VIEWER, CLI)
    withdrawn, token = invitations.invite(world.acme, "b@acme.example", people.VIEWER, CLI)
    invitations.withdraw(withdrawn, CLI)
    _, expired = invitations.invite(world.acme, "c@acme.example", people.VIEWER, CLI)
    with writing() as session:
        session.query(Invitation).filter_by(email="c@acme.example").update(
            {"expires_at": now() - timedelta(1)}
        )
    for worthless in (used, replaced, token, expired, "made-up", ""):
        assert invitations.find(worthless) is None
        with pytest.raises(Invalid, match="used or has expired"):
            invitations.accept(worthless, grace, None)


def test_the_tokens_of_links_are_not_stored(world: World) -> None:
    _, token = invitations.invite(world.acme, "grace@acme.example", people.VIEWER, CLI)
    reset = passwords.make_reset(db.session.query(User).first())
    dump = (
        "\n".join(db.engine.raw_connection().driver_connection.iterdump())
        if db.engine.name == "sqlite"
        else ""
    )
    assert token not in dump
    assert reset not in dump


@pytest.mark.parametrize(
    ("email", "role"), [("nobody", "Viewer"), ("a@acme.example", "Owner"), ("", "Admin")]
)
def test_a_senseless_invitation_is_refused(world: World, email: str, role: str) -> None:
    with pytest.raises(Invalid):
        invitations.invite(world.acme, email, role, CLI)


def test_a_member_is_not_invited_again(world: World) -> None:
    with pytest.raises(Conflict, match="member already"):
        invitations.invite(world.acme, "Ada@acme.example", people.VIEWER, CLI)


def test_the_last_admin_stays(world: World) -> None:
    ada = db.session.query(User).filter_by(email="ada@acme.example").one()
    for attempt in (
        lambda: people.remove_member(world.acme.id, ada.id, CLI),
        lambda: people.change_role(world.acme.id, ada.id, people.VIEWER, CLI),
    ):
        with pytest.raises(Conflict, match="last Admin"):
            attempt()
    grace = join(world, "grace@acme.example", people.ADMIN)
    people.change_role(world.acme.id, ada.id, people.VIEWER, CLI)
    assert role_of(world, ada) == people.VIEWER
    with pytest.raises(Conflict, match="last Admin"):
        people.remove_member(world.acme.id, grace.id, CLI)


def test_a_removed_member_is_out_from_the_next_request_on(world: World) -> None:
    grace = join(world, "grace@acme.example", people.EDITOR)
    token = people.log_in(grace, "10.0.0.1", "a browser")
    assert people.visitor(token).role == people.EDITOR
    people.change_role(world.acme.id, grace.id, people.VIEWER, CLI)
    assert people.visitor(token).role == people.VIEWER
    people.remove_member(world.acme.id, grace.id, CLI)
    assert people.visitor(token) is None
    assert people.log_in(grace, "10.0.0.1", "a browser") is None


def test_a_person_of_several_organisations_can_switch_between_those_only(world: World) -> None:
    eve = db.session.query(User).filter_by(email="eve@other.example").one()
    token = people.log_in(eve, "10.0.0.1", "a browser")
    with pytest.raises(Exception, match="no member"):
        people.switch(token, world.acme.id, of(eve))
    _, invitation = invitations.invite(world.acme, "eve@other.example", people.VIEWER, CLI)
    invitations.accept(invitation, eve, None)
    people.switch(token, world.acme.id, of(eve))
    seen = people.visitor(token)
    assert (seen.organization.name, seen.role) == ("Acme", people.VIEWER)
    assert [organization.name for organization in people.organizations_of(eve)] == ["Acme", "Other"]


def test_a_changed_password_ends_all_other_sessions(world: World) -> None:
    ada = db.session.query(User).filter_by(email="ada@acme.example").one()
    here, there = (people.log_in(ada, "10.0.0.1", "a browser") for _ in range(2))
    with pytest.raises(Invalid, match="not right"):
        passwords.change(ada, "a wrong password", PASSWORD, here)
    passwords.change(ada, "correct horse battery", PASSWORD, here)
    assert people.visitor(here) is not None
    assert people.visitor(there) is None
    assert passwords.check("ada@acme.example", PASSWORD, "10.0.0.1") == ada


def test_a_reset_link_sets_a_password_once_and_ends_all_sessions(world: World) -> None:
    ada = passwords.begin_reset("ADA@acme.example", token := tokens.new())
    session = people.log_in(ada, "10.0.0.1", "a browser")
    with pytest.raises(Invalid, match="characters"):
        passwords.reset(token, "short")
    passwords.reset(token, PASSWORD)
    assert people.visitor(session) is None
    with pytest.raises(Invalid, match="used or has expired"):
        passwords.reset(token, PASSWORD)
    assert passwords.begin_reset("nobody@acme.example", tokens.new()) is None


def test_a_reset_link_expires(world: World) -> None:
    passwords.begin_reset("ada@acme.example", token := tokens.new())
    with writing() as session:
        session.query(PasswordReset).update({"expires_at": now() - timedelta(seconds=1)})
    with pytest.raises(Invalid):
        passwords.reset(token, PASSWORD)


@pytest.mark.parametrize(
    "password", ["short", "aaaaaaaaaaaaaa", "password1234", "qwertyuiop12", "ada@acme.example", "x" * 201]
)
def test_a_password_that_is_easy_to_guess_is_refused(world: World, password: str) -> None:
    with pytest.raises(Invalid):
        passwords.hashed(password, "ada@acme.example")
