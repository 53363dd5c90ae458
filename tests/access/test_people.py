"""Organisations, passwords and log-ins."""

from __future__ import annotations

import pytest
from sqlalchemy import update
from werkzeug.security import generate_password_hash

from server.access import passwords, people
from server.access.audit import CLI
from server.database import db, writing
from server.models import LoginSession, Membership, User
from server.problems import Conflict, Invalid
from tests.conftest import World


def test_founding_twice_says_so_and_changes_nothing(world: World) -> None:
    organization, user, is_new = people.found_organization("Acme", "ADA@acme.example ", "another password 1")
    assert (organization.id, is_new) == (world.acme.id, False)
    assert passwords.check("ada@acme.example", "correct horse battery", "127.0.0.1") == user


def test_blanks_around_an_organisation_s_name_make_no_second_one(world: World) -> None:
    organization, _, is_new = people.found_organization(" Acme ", "ada@acme.example", "another password 1")
    assert (organization.id, is_new) == (world.acme.id, False)


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "Acme\rBcc: eve@other.example"])
def test_an_organisation_s_name_is_one_line(world: World, name: str) -> None:
    with pytest.raises(Invalid, match="An organisation's name has 1 to 200 characters on one line"):
        people.found_organization(name, "ada@acme.example", "correct horse battery")
    with pytest.raises(Invalid, match="on one line"):
        people.rename_organization(world.acme, name, CLI)


def test_an_organisation_of_others_cannot_be_taken_over(world: World) -> None:
    with pytest.raises(Invalid, match="not a member"):
        people.found_organization("Acme", "eve@other.example", "correct horse battery")


@pytest.mark.parametrize(
    ("email", "password"),
    [("nobody", "correct horse battery"), ("a@b.example", "short"), ("a@b.example", "aaaaaaaaaaaaaaa")],
)
def test_a_wrong_address_or_short_password_is_refused(world: World, email: str, password: str) -> None:
    with pytest.raises(Invalid):
        people.found_organization("New", email, password)
    assert people.organization_named("New") is None


def test_a_password_is_kept_at_the_full_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        passwords, "generate_password_hash", generate_password_hash
    )  # tests have a cheaper one
    assert passwords.hashed("correct horse battery").startswith("scrypt:32768:8:1$")


def test_only_the_right_password_logs_in(world: World) -> None:
    assert passwords.check("ada@acme.example", "correct horse battery", "127.0.0.1") is not None
    assert passwords.check("ada@acme.example", "correct horse batterx", "127.0.0.1") is None
    assert passwords.check("nobody@acme.example", "correct horse battery", "127.0.0.1") is None


def test_a_session_ends_with_log_out_and_its_token_is_not_stored(world: World) -> None:
    user = passwords.check("ada@acme.example", "correct horse battery", "127.0.0.1")
    token = people.log_in(user, "127.0.0.1", "a browser")
    assert people.visitor(token).user == user
    assert db.session.query(LoginSession).one().token_hash != token
    people.log_out(token)
    assert people.visitor(token) is None


def test_a_lowered_role_counts_from_the_next_request_on(world: World) -> None:
    user = db.session.query(User).filter_by(email="ada@acme.example").one()
    token = people.log_in(user, "127.0.0.1", "a browser")
    assert people.visitor(token).may(people.ADMIN)
    with writing() as session:
        session.query(Membership).filter_by(user_id=user.id).update({"role": people.VIEWER})
    assert not people.visitor(token).may(people.EDITOR)
    with writing() as session:
        session.query(Membership).filter_by(user_id=user.id).delete()
    assert people.visitor(token) is None


def test_a_log_in_checked_before_the_password_changed_makes_no_session(world: World) -> None:
    user = passwords.check("ada@acme.example", "correct horse battery", "127.0.0.1")
    with db.engine.begin() as elsewhere:
        elsewhere.execute(update(User).where(User.id == user.id).values(password_hash="another"))
    with pytest.raises(Conflict, match="just been changed"):
        people.log_in(user, "127.0.0.1", "a browser")
    assert db.session.query(LoginSession).count() == 0
