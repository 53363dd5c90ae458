"""Organisations, the people in them, their roles, and their sessions. Passwords are in `passwords`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from server.access import audit, passwords, tokens
from server.access.audit import CLI, Actor
from server.database import db, now, writing
from server.models import LoginSession, Membership, Organization, User
from server.problems import Conflict, Invalid, NotFound

ADMIN, EDITOR, VIEWER = "Admin", "Editor", "Viewer"
ROLES = {
    ADMIN: "Everything: members, API keys, the audit log.",
    EDITOR: "Projects, suites, runs, approving baselines.",
    VIEWER: "Reads.",
}
_RANK = {VIEWER: 0, EDITOR: 1, ADMIN: 2}
LOGIN_LASTS = timedelta(days=14)
SEEN_EVERY = timedelta(minutes=1)


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
        return audit.person(self.user, address, request_id)


# ------------------------------------------------------------------------------------------- organisations


def organization_named(name: str) -> Organization | None:
    """The organisation with a name or ID."""
    return db.session.scalar(
        select(Organization).where((Organization.name == name) | (Organization.id == name))
    )


def found_organization(
    name: str, email: str, password: str, actor: Actor = CLI
) -> tuple[Organization, User, bool]:
    """Makes an organisation and its first Admin; returns both, and False where they were there already.

    Somebody who has an account already is asked for its password, so that an organisation is never handed to whoever
    made an account with that address before. Raises `Invalid` for a bad name, address or password, or an organisation
    of others.
    """
    name, email = clean_name(name, "An organisation's name"), clean_email(email)
    organization = organization_named(name)
    if organization is not None:
        member = db.session.scalar(
            select(User)
            .join(Membership, Membership.user_id == User.id)
            .where(Membership.organization_id == organization.id, User.email == email)
        )
        if member is None:
            raise Invalid(
                "organization-exists",
                f"The organisation {name!r} exists and {email} is not a member of it. Choose another name, or ask an "
                "Admin of it for an invitation.",
            )
        return organization, member, False
    with writing() as session:
        user = session.scalar(select(User).where(User.email == email))
        if user is None:
            user = add_user(session, email, password)
        elif not passwords.is_right(user, password):
            raise Invalid(
                "password-wrong",
                f"{email} has an account already, and this is not its password. Use that one, or another address.",
            )
        organization = Organization(name=name)
        session.add(organization)
        session.flush()
        session.add(Membership(organization_id=organization.id, user_id=user.id, role=ADMIN))
        target = ("organization", organization.id, organization.name)
        audit.record(organization.id, actor, "ORGANIZATION_CREATE", target)
        audit.record(organization.id, actor, "MEMBER_ADD", ("user", user.id, user.email), role=ADMIN)
    return organization, user, True


def rename_organization(organization: Organization, name: str, actor: Actor) -> None:
    """Gives an organisation another name. Raises `Invalid` and `Conflict`."""
    name = clean_name(name, "An organisation's name")
    with writing() as session:
        session.refresh(organization)
        before, taken = organization.name, organization_named(name)
        if taken is not None and taken.id != organization.id:
            raise Conflict(
                "organization-exists", f"There is an organisation {name!r} already; choose another name."
            )
        organization.name = name
        target = ("organization", organization.id, name)
        audit.record(organization.id, actor, "ORGANIZATION_UPDATE", target, before=before, after=name)


def clean_name(name: str, what: str = "A name") -> str:
    """A name of a person or an organisation without blanks around it. Raises `Invalid` for what cannot be one."""
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise Invalid("name-invalid", f"{what} has 1 to 200 characters on one line.")
    return name


def clean_email(email: str) -> str:
    """An email address in lower case. Raises `Invalid` for what cannot be one."""
    email = email.strip().lower()
    user, at, host = email.rpartition("@")
    if not at or not user or "." not in host.strip(".") or len(email) > 254 or not email.isprintable():
        raise Invalid("email-invalid", f"{email!r} is no email address such as ada@example.com.")
    return email


# ------------------------------------------------------------------------------------------- members


def add_user(session: Session, email: str, password: str | None, name: str | None = None) -> User:
    """Makes a person; without a password they log in through a provider. Raises `Invalid`."""
    email = clean_email(email)
    stored = passwords.hashed(password, email) if password is not None else None
    user = User(email=email, name=name or email.split("@")[0], password_hash=stored)
    session.add(user)
    session.flush()
    return user


def members(organization_id: str) -> list[tuple[User, Membership]]:
    """Everybody in an organisation, by address."""
    rows = db.session.execute(
        select(User, Membership)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.organization_id == organization_id)
        .order_by(User.email)
    )
    return [(row[0], row[1]) for row in rows]


def organizations_of(user: User) -> list[Organization]:
    """The organisations that a person belongs to, by name."""
    return list(
        db.session.scalars(
            select(Organization)
            .join(Membership, Membership.organization_id == Organization.id)
            .where(Membership.user_id == user.id)
            .order_by(Organization.name)
        )
    )


def rename_person(user: User, name: str, actor: Actor) -> None:
    """Gives a person another name. Raises `Invalid`."""
    name = clean_name(name)
    with writing() as session:
        session.refresh(user)
        before, user.name = user.name, name
        if before != name:
            audit.record_everywhere(session, user, actor, "USER_RENAME", before=before, after=name)


def change_role(organization_id: str, user_id: str, role: str, actor: Actor) -> None:
    """Gives a member another role, from their next request on. The last Admin stays one (`Conflict`)."""
    if role not in ROLES:
        raise Invalid("role-invalid", f"A role is one of {', '.join(ROLES)}.")
    with writing() as session:
        membership, user = _member(session, organization_id, user_id)
        before = membership.role
        if before == role:
            return
        if before == ADMIN:
            _keep_an_admin(session, organization_id)
        membership.role = role
        target = ("user", user.id, user.email)
        audit.record(organization_id, actor, "MEMBER_ROLE_CHANGE", target, before=before, after=role)


def remove_member(organization_id: str, user_id: str, actor: Actor) -> None:
    """Takes a member out of an organisation, from their next request on. The last Admin stays (`Conflict`)."""
    with writing() as session:
        membership, user = _member(session, organization_id, user_id)
        if membership.role == ADMIN:
            _keep_an_admin(session, organization_id)
        session.delete(membership)
        session.execute(
            delete(LoginSession).where(
                LoginSession.user_id == user_id, LoginSession.organization_id == organization_id
            )
        )
        action = "MEMBER_LEAVE" if actor.id == user_id else "MEMBER_REMOVE"
        audit.record(organization_id, actor, action, ("user", user.id, user.email), role=membership.role)


def leave(token: str, organization_id: str, actor: Actor) -> Organization | None:
    """Takes the person of a session out of an organisation. The last Admin stays (`Conflict`).

    The session goes on in another of their organisations, which is returned; where there is none, it ends.
    """
    with writing() as session:
        user = session.get_one(User, actor.id)
        others = [other for other in organizations_of(user) if other.id != organization_id]
        if others:
            switch(token, others[0].id, actor)
        remove_member(organization_id, user.id, actor)
    return others[0] if others else None


def _member(session: Session, organization_id: str, user_id: str) -> tuple[Membership, User]:
    membership = session.get(Membership, (organization_id, user_id), populate_existing=True)
    if membership is None:
        raise NotFound(
            "member-not-found",
            "There is no such member any more; Settings > Members lists those that there are.",
        )
    return membership, session.get_one(User, user_id)


def _keep_an_admin(session: Session, organization_id: str) -> None:
    """Refuses what would leave an organisation without an Admin; two at once wait for each other."""
    admins = session.scalars(
        select(Membership)
        .where(Membership.organization_id == organization_id, Membership.role == ADMIN)
        .with_for_update()
    ).all()
    if len(admins) < 2:
        raise Conflict(
            "last-admin", "The last Admin of an organisation stays; make somebody else Admin first."
        )


# ------------------------------------------------------------------------------------------- sessions


def log_in(user: User, address: str, user_agent: str, organization_id: str | None = None) -> str | None:
    """Starts a session and returns the token for its cookie; None for one who belongs to no organisation.

    Raises `Conflict` where the password has been changed since the person was read: what has just ended their
    sessions shall end this one too.
    """
    checked = user.password_hash
    chosen = select(Membership).where(Membership.user_id == user.id).order_by(Membership.created_at)
    if organization_id is not None:
        chosen = chosen.where(Membership.organization_id == organization_id)
    membership = db.session.scalars(chosen.limit(1)).first()
    if membership is None:
        return None
    token = tokens.new()
    with writing() as session:
        present = session.get(User, user.id, populate_existing=True, with_for_update=True)
        if present is None or present.password_hash != checked:
            raise Conflict("password-changed", "The password has just been changed; log in again.")
        session.execute(delete(LoginSession).where(LoginSession.expires_at < now()))
        login = LoginSession(
            token_hash=tokens.digest(token),
            user_id=user.id,
            organization_id=membership.organization_id,
            expires_at=now() + LOGIN_LASTS,
            address=address[:45],
            user_agent=user_agent[:300],
        )
        session.add(login)
        session.flush()
        _audit(login, audit.person(user, address), "LOGIN", session=login.id)
    return token


def visitor(token: str) -> Visitor | None:
    """Who holds a session's token: read anew on each request, so that a lowered role counts at once."""
    row = db.session.execute(
        select(User, Organization, Membership.role, LoginSession.last_seen_at)
        .join(LoginSession, LoginSession.user_id == User.id)
        .join(Organization, Organization.id == LoginSession.organization_id)
        .join(
            Membership,
            (Membership.user_id == User.id) & (Membership.organization_id == Organization.id),
        )
        .where(LoginSession.token_hash == tokens.digest(token), LoginSession.expires_at > now())
    ).first()
    if row is None:
        return None
    if row[3] < now() - SEEN_EVERY:
        with writing() as session:
            mine = update(LoginSession).where(LoginSession.token_hash == tokens.digest(token))
            session.execute(mine.values(last_seen_at=now()))
    return Visitor(row[0], row[1], row[2])


def switch(token: str, organization_id: str, actor: Actor) -> None:
    """Turns a session to another organisation of the same person. Raises `NotFound` where they are no member.

    Both organisations hear of it, and neither which the other one is: where a person belongs is not theirs to know.
    """
    with writing() as session:
        login = session.scalar(select(LoginSession).where(LoginSession.token_hash == tokens.digest(token)))
        if login is None or session.get(Membership, (organization_id, login.user_id)) is None:
            raise NotFound(
                "organization-not-found",
                "There is no such organisation, or you are no member of it; the bar on top has those that you belong to.",
            )
        if login.organization_id == organization_id:
            return
        left = session.get_one(Organization, login.organization_id)
        entered = session.get_one(Organization, organization_id)
        _audit(login, actor, "ORGANIZATION_SWITCH", session=login.id, before=left.name)
        login.organization_id = entered.id
        _audit(login, actor, "ORGANIZATION_SWITCH", session=login.id, after=entered.name)


def sessions_of(user: User) -> list[LoginSession]:
    """A person's sessions, the last seen first."""
    return list(
        db.session.scalars(
            select(LoginSession)
            .where(LoginSession.user_id == user.id, LoginSession.expires_at > now())
            .order_by(LoginSession.last_seen_at.desc())
        )
    )


def end_session(user: User, session_id: str, actor: Actor) -> None:
    """Ends one of a person's own sessions. Raises `NotFound` for one that is over or another's."""
    own = delete(LoginSession).where(LoginSession.id == session_id, LoginSession.user_id == user.id)
    with writing() as session:
        login = session.scalar(own.returning(LoginSession))
        if login is None:
            raise NotFound("session-not-found", "This session is over already.")
        _audit(login, actor, "SESSION_END", session=login.id, address=login.address)


def end_other_sessions(user: User, token: str, actor: Actor) -> int:
    """Ends all of a person's sessions but the one with this token; returns how many.

    Each organisation hears how many of those that were turned to it.
    """
    others = delete(LoginSession).where(
        LoginSession.user_id == user.id, LoginSession.token_hash != tokens.digest(token)
    )
    with writing() as session:
        ended = Counter(session.scalars(others.returning(LoginSession.organization_id)))
        for organization_id, count in ended.items():
            target = ("user", user.id, user.email)
            audit.record(organization_id, actor, "SESSIONS_END_OTHERS", target, sessionsEnded=count)
    return ended.total()


def log_out(token: str, address: str | None = None) -> None:
    """Ends a session; its cookie is worth nothing from then on."""
    with writing() as session:
        own = delete(LoginSession).where(LoginSession.token_hash == tokens.digest(token))
        login = session.scalar(own.returning(LoginSession))
        if login is not None:
            user = session.get_one(User, login.user_id)
            _audit(login, audit.person(user, address), "LOGOUT", session=login.id)


def _audit(login: LoginSession, actor: Actor, action: str, **details: str) -> None:
    """Recorded in the organisation that a session is turned to; only its own person acts on a session."""
    target = ("user", actor.id, actor.name)
    audit.record(login.organization_id, actor, action, target, **details)
