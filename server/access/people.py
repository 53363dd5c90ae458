"""Organisations, the people in them, their roles, passwords and log-ins."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from sqlalchemy import delete, select
from werkzeug.security import check_password_hash, generate_password_hash

from server.access import audit
from server.access.audit import CLI, Actor
from server.database import db, now, writing
from server.models import LoginSession, Membership, Organization, User
from server.problems import Invalid

ADMIN, EDITOR, VIEWER = "Admin", "Editor", "Viewer"
_RANK = {VIEWER: 0, EDITOR: 1, ADMIN: 2}
MIN_PASSWORD = 12
LOGIN_LASTS = timedelta(days=14)


@dataclass(frozen=True)
class Visitor:
    """Who is logged in, and to which organisation with which role."""

    user: User
    organization: Organization
    role: str

    def may(self, role: str) -> bool:
        """Whether this person's role is at least that one."""
        return _RANK[self.role] >= _RANK[role]

    def actor(self, address: str | None, request_id: str | None) -> Actor:
        """This person as the one who acts, for the audit log."""
        return Actor("user", self.user.id, self.user.email, address, request_id)


def organization_named(name: str) -> Organization | None:
    """The organisation with a name or ID."""
    return db.session.scalar(
        select(Organization).where((Organization.name == name) | (Organization.id == name))
    )


def found_organization(name: str, email: str, password: str) -> tuple[Organization, User, bool]:
    """Makes an organisation and its first Admin; returns both, and False where they were there already.

    Raises `Invalid` for an address that is none, a short password, or an organisation of others.
    """
    email = email.strip().lower()
    organization = organization_named(name)
    if organization is not None:
        member = db.session.scalar(
            select(User)
            .join(Membership, Membership.user_id == User.id)
            .where(Membership.organization_id == organization.id, User.email == email)
        )
        if member is None:
            raise Invalid(
                "person-invalid", f"The organisation {name!r} exists and {email} is not a member of it."
            )
        return organization, member, False
    if not name.strip() or email.count("@") != 1 or email.startswith("@") or email.endswith("@"):
        raise Invalid(
            "person-invalid",
            "An organisation needs a name, and its Admin an email address such as ada@example.com.",
        )
    with writing() as session:
        organization = Organization(name=name.strip())
        user = session.scalar(select(User).where(User.email == email))
        if user is None:
            user = User(email=email, name=email.split("@")[0], password_hash=hash_password(password))
        session.add_all([organization, user])
        session.flush()
        session.add(Membership(organization_id=organization.id, user_id=user.id, role=ADMIN))
        audit.record(
            organization.id, CLI, "ORGANIZATION_CREATE", ("organization", organization.id, organization.name)
        )
        audit.record(organization.id, CLI, "MEMBER_ADD", ("user", user.id, user.email), role=ADMIN)
    return organization, user, True


def hash_password(password: str) -> str:
    """Werkzeug's scrypt; raises `Invalid` where the password is too short."""
    if len(password) < MIN_PASSWORD:
        raise Invalid(
            "person-invalid", f"The password has {len(password)} characters; use {MIN_PASSWORD} or more."
        )
    return generate_password_hash(password)


def check_login(email: str, password: str) -> User | None:
    """The person with that address and password; takes the same time where there is no such person."""
    user = db.session.scalar(select(User).where(User.email == email.strip().lower()))
    stored = user.password_hash if user and user.password_hash else _nobodys_hash()
    matches = check_password_hash(stored, password)
    return user if user is not None and user.password_hash and matches else None


@cache
def _nobodys_hash() -> str:
    return generate_password_hash(secrets.token_hex(16))


def log_in(user: User, address: str, user_agent: str) -> str | None:
    """Starts a session and returns the token for its cookie; None for one who belongs to no organisation."""
    membership = db.session.scalar(
        select(Membership).where(Membership.user_id == user.id).order_by(Membership.created_at)
    )
    if membership is None:
        return None
    token = secrets.token_urlsafe(32)
    with writing() as session:
        session.execute(delete(LoginSession).where(LoginSession.expires_at < now()))
        session.add(
            LoginSession(
                token_hash=_token_hash(token),
                user_id=user.id,
                organization_id=membership.organization_id,
                expires_at=now() + LOGIN_LASTS,
                address=address[:45],
                user_agent=user_agent[:300],
            )
        )
        actor = Actor("user", user.id, user.email, address)
        audit.record(membership.organization_id, actor, "LOGIN", ("user", user.id, user.email))
    return token


def visitor(token: str) -> Visitor | None:
    """Who holds a session's token: read anew on each request, so that a lowered role counts at once."""
    row = db.session.execute(
        select(User, Organization, Membership.role)
        .join(LoginSession, LoginSession.user_id == User.id)
        .join(Organization, Organization.id == LoginSession.organization_id)
        .join(
            Membership,
            (Membership.user_id == User.id) & (Membership.organization_id == Organization.id),
        )
        .where(LoginSession.token_hash == _token_hash(token), LoginSession.expires_at > now())
    ).first()
    return Visitor(row[0], row[1], row[2]) if row else None


def log_out(token: str) -> None:
    """Ends a session; its cookie is worth nothing from then on."""
    with writing() as session:
        session.execute(delete(LoginSession).where(LoginSession.token_hash == _token_hash(token)))


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
