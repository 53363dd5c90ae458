"""Whose an account is: whether its address was ever shown to be its holder's, and what ends once it is.

Whoever holds an invitation's link makes the account of the invited address, and Admins see the links that they make.
So somebody may sit in an account with another person's address, waiting for its owner to come ("account
pre-hijacking", Sudhodanan and Paverd, USENIX Security 2022).
"""

from __future__ import annotations

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from server.access import audit
from server.access.audit import Actor
from server.models import AuditEvent, ExternalLogin, LoginSession, Membership, PasswordReset, User


def is_proven(session: Session, user: User) -> bool:
    """Whether a provider has verified that the account's address is its holder's, or who set up the server made it.

    That is the command line, or somebody who was nobody yet (the set-up page), as `people.found_organization` records.
    Who sets up the server is trusted with its first accounts, and their password is the way in when a provider fails.
    """
    verified = select(ExternalLogin.subject).where(
        ExternalLogin.user_id == user.id, ExternalLogin.email == user.email
    )
    founded = (
        select(AuditEvent.id)
        .join(Membership, Membership.organization_id == AuditEvent.organization_id)
        .where(
            Membership.user_id == user.id,
            AuditEvent.target_id == user.id,
            AuditEvent.action == "MEMBER_ADD",
            or_(
                AuditEvent.actor_kind == "cli",
                (AuditEvent.actor_kind == "user") & AuditEvent.actor_id.is_(None),
            ),
        )
    )
    return any(session.scalar(found.limit(1)) is not None for found in (verified, founded))


def reclaim(session: Session, user: User, actor: Actor) -> bool:
    """Ends every way into an account that was there before its owner; False where there was none.

    Its password, its sessions, its reset links, and the accounts elsewhere that do not prove its address.
    """
    had_password = user.password_hash is not None
    user.password_hash = None
    sessions = delete(LoginSession).where(LoginSession.user_id == user.id).returning(LoginSession.id)
    resets = delete(PasswordReset).where(PasswordReset.user_id == user.id).returning(PasswordReset.token_hash)
    ended, links = len(session.scalars(sessions).all()), len(session.scalars(resets).all())
    logins = forget_unproven_logins(session, user)
    if not (had_password or ended or links or logins):
        return False
    audit.record_everywhere(
        session,
        user,
        actor,
        "ACCOUNT_RECLAIM",
        passwordRemoved=had_password,
        sessionsEnded=ended,
        loginsRemoved=logins,
    )
    return True


def forget_unproven_logins(session: Session, user: User) -> int:
    """Disconnects the accounts elsewhere whose verified address is not the account's; returns how many."""
    unproven = delete(ExternalLogin).where(
        ExternalLogin.user_id == user.id, ExternalLogin.email != user.email
    )
    return len(session.scalars(unproven.returning(ExternalLogin.subject)).all())
