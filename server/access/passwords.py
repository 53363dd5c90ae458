"""Passwords: which are good enough, how they are kept, checked, changed and reset."""

from __future__ import annotations

import secrets
from datetime import timedelta
from functools import cache

from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from server.access import audit, limits, mailboxes, tokens
from server.access.audit import Actor
from server.access.limits import Limit
from server.database import db, now, writing
from server.models import LoginSession, Membership, PasswordReset, User
from server.problems import Conflict, Invalid, NotFound

MIN_LENGTH, MAX_LENGTH = 12, 200
RESET_LASTS = timedelta(hours=1)
BY_ADDRESS = Limit("login-address", 30, 900)
BY_PERSON_AND_ADDRESS = Limit("login-person-address", 8, 900)
BY_PERSON = Limit("login-person", 60, 900)
RESETS = Limit("password-reset", 5, 3600)
CHANGES = Limit("password-change", 10, 900)


def hashed(password: str, *about: str) -> str:
    """A password as it is kept: Werkzeug's scrypt.

    Raises `Invalid` for one that is short, long, or easy to guess by zxcvbn's estimate (Wheeler, USENIX
    Security 2016); `about` are words that belong to the person, such as their address.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise Invalid(
            "password-invalid",
            f"The password has {len(password)} characters; use {MIN_LENGTH} to {MAX_LENGTH}.",
        )
    from zxcvbn import zxcvbn  # 100 ms of word lists, only needed here

    guess = zxcvbn(password, user_inputs=[part for text in about for part in (text, *text.split("@"))])
    if guess["score"] < 2:
        why = guess["feedback"]["warning"] or "This password is easy to guess"
        raise Invalid(
            "password-invalid", f"{why.rstrip('.')}. Use several unrelated words, or a password manager."
        )
    return generate_password_hash(password)


def check(email: str, password: str, address: str) -> User | None:
    """The person with that email address and password; the same time is taken where there is none.

    Slows an attacker down without locking out the owner: failures count for the address, for person and address
    together, and for the person, the last only against addresses where the person has no session. Raises `TooMany`.
    """
    email = email.strip().lower()
    user = _user(email)
    counted = [(BY_ADDRESS, address), (BY_PERSON_AND_ADDRESS, f"{email} {address}")]
    if not _is_known(user, address):
        counted.append((BY_PERSON, email))
    for limit, who in counted:
        left = limits.look(limit, who)
        if left.remaining <= 0:
            raise limits.too_often("Too many failed log-ins", left)
    if is_right(user, password) and user is not None:
        limits.forget(BY_PERSON_AND_ADDRESS, f"{email} {address}")
        return user
    for limit, who in counted:
        limits.hit(limit, who)
    return None


def is_right(user: User | None, password: str) -> bool:
    """Whether this is the person's password; the same time is taken for nobody and for one who has none."""
    stored = user.password_hash if user is not None else None
    matches = check_password_hash(stored or _nobodys_hash(), password[: MAX_LENGTH + 1])
    return matches and stored is not None


def change(user: User, old: str, new: str, keep_session: str | None, address: str | None = None) -> None:
    """Sets a new password; every other session of the person ends.

    Raises `Invalid`, and `TooMany` where the current password is guessed too often: whoever finds an open browser
    shall not find out the password with it.
    """
    left = limits.look(CHANGES, user.id)
    if left.remaining <= 0:
        raise limits.too_often("The current password was wrong too often", left)
    if user.password_hash is not None and not is_right(user, old):
        limits.hit(CHANGES, user.id)
        raise Invalid(
            "password-wrong",
            "The current password is not right. Log out and choose “Forgot the password?” if it is lost.",
        )
    _set(user, new, keep_session, "PASSWORD_CHANGE", address)


def count_reset(address: str) -> None:
    """Counts that somebody at an address asks for a new password. Raises `TooMany`."""
    left = limits.hit(RESETS, address)
    if left.exceeded:
        raise limits.too_often("Too many requests for a new password", left)


def begin_reset(email: str, token: str) -> User | None:
    """Lets a token set a new password for the person with that address, once, within an hour; None for nobody.

    It takes longer for somebody than for nobody: whoever asked must not wait for it.
    """
    user = _user(email.strip().lower())
    if user is not None:
        make_reset(user, token)
    return user


def make_reset(user: User, token: str | None = None) -> str:
    """The token of a link that sets a new password: this one, or a new one."""
    token = token or tokens.new()
    with writing() as session:
        session.execute(delete(PasswordReset).where(PasswordReset.expires_at < now()))
        session.add(
            PasswordReset(token_hash=tokens.digest(token), user_id=user.id, expires_at=now() + RESET_LASTS)
        )
    return token


def make_reset_link(organization_id: str, user_id: str, actor: Actor) -> tuple[User, str]:
    """The person and the token of a link that an Admin hands to a member who cannot log in.

    Raises `NotFound` for one who is no member, and `Conflict` for one who belongs to other organisations too: the
    link opens the person's account, and with it what an Admin of this organisation has no say in.
    """
    with writing() as session:
        found = select(User).join(Membership, Membership.user_id == User.id)
        here = found.where(User.id == user_id, Membership.organization_id == organization_id)
        user = session.scalar(here)
        if user is None:
            raise NotFound(
                "member-not-found",
                "There is no such member any more; Settings > Members lists those that there are.",
            )
        memberships = select(Membership.organization_id).where(Membership.user_id == user.id)
        if len(session.scalars(memberships).all()) > 1:
            raise Conflict(
                "member-elsewhere",
                f"{user.email} belongs to other organisations too, and a reset link would open their account there. "
                "They can ask for one themselves on the log-in page, where this server sends mail.",
            )
        token = make_reset(user)
        audit.record(organization_id, actor, "PASSWORD_RESET_LINK", ("user", user.id, user.email))
    return user, token


def forget_resets(session: Session, user: User) -> None:
    """Makes a person's open reset links worth nothing."""
    session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id))


def who_resets(token: str) -> User | None:
    """The person whom a reset's token is for; None for one that is used, expired or unknown."""
    return db.session.scalar(
        select(User)
        .join(PasswordReset, PasswordReset.user_id == User.id)
        .where(PasswordReset.token_hash == tokens.digest(token), PasswordReset.expires_at > now())
    )


def reset(token: str, password: str, address: str | None = None) -> User:
    """Sets a new password and ends every other way into the account but those that prove its address.

    What failed log-ins by others have blocked is open again. Raises `Invalid`.
    """
    with writing() as session:
        user = who_resets(token)
        if user is None:
            raise Invalid("reset-invalid", "This link is used or has expired; ask for a new one.")
        removed = mailboxes.forget_unproven_logins(session, user)
        _set(user, password, None, "PASSWORD_RESET", address, loginsRemoved=removed)
        limits.forget(BY_PERSON, user.email)
    return user


def _set(
    user: User, password: str, keep_session: str | None, action: str, address: str | None, **details: int
) -> None:
    new_hash = hashed(password, user.email, user.name)
    with writing() as session:
        session.refresh(user)
        user.password_hash = new_hash
        forget_resets(session, user)
        others = delete(LoginSession).where(
            LoginSession.user_id == user.id, LoginSession.token_hash != tokens.digest(keep_session or "")
        )
        ended = len(session.scalars(others.returning(LoginSession.id)).all())
        actor = audit.person(user, address)
        audit.record_everywhere(session, user, actor, action, sessionsEnded=ended, **details)


def _user(email: str) -> User | None:
    known = email.isprintable() and len(email) <= 254  # a database may refuse NUL
    return db.session.scalar(select(User).where(User.email == email)) if known else None


def _is_known(user: User | None, address: str) -> bool:
    """Whether a person has a session at an address; asked for nobody too, who shall take as long."""
    user_id = user.id if user is not None else ""
    theirs = (LoginSession.user_id == user_id, LoginSession.address == address)
    return db.session.scalar(select(LoginSession.id).where(*theirs).limit(1)) is not None


@cache
def _nobodys_hash() -> str:
    return generate_password_hash(secrets.token_hex(16))
