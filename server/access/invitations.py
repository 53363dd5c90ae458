"""Invitations: a link that makes whoever opens it a member, once, within a week."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from server import times
from server.access import audit, mail, passwords, people, tokens
from server.access.audit import Actor
from server.database import db, now, writing
from server.models import Invitation, Membership, Organization, User
from server.problems import Conflict, Invalid, NotFound

LASTS = timedelta(days=7)


def invite(organization: Organization, email: str, role: str, actor: Actor) -> tuple[Invitation, str]:
    """Makes an invitation; returns it and the token of its link, which is shown (and mailed) this once.

    An earlier open invitation of the same address is replaced. Raises `Invalid` for a bad address or role and
    `Conflict` for one who is a member.
    """
    email = people.clean_email(email)
    if role not in people.ROLES:
        raise Invalid("role-invalid", f"A role is one of {', '.join(people.ROLES)}.")
    token = tokens.new()
    with writing() as session:
        is_member = session.scalar(
            select(User.id)
            .join(Membership, Membership.user_id == User.id)
            .where(Membership.organization_id == organization.id, User.email == email)
        )
        if is_member:
            raise Conflict(
                "already-member",
                f"{email} is a member already; their role can be changed in the list of members.",
            )
        for earlier in open_ones(organization.id):
            if earlier.email == email:
                session.delete(earlier)
        invitation = Invitation(
            token_hash=tokens.digest(token),
            organization_id=organization.id,
            email=email,
            role=role,
            invited_by=actor.name,
            expires_at=now() + LASTS,
        )
        session.add(invitation)
        session.flush()
        audit.record(organization.id, actor, "MEMBER_INVITE", ("invitation", invitation.id, email), role=role)
    return invitation, token


def send(invitation: Invitation, organization: Organization, link: str) -> None:
    """Mails an invitation's link, where mail is set up."""
    mail.send(
        invitation.email,
        "invitation",
        inviter=invitation.invited_by,
        organization=organization.name,
        role=invitation.role,
        expires=times.exact(invitation.expires_at),
        link=link,
    )


def open_ones(organization_id: str) -> list[Invitation]:
    """Invitations that can still be accepted, the newest first."""
    return list(
        db.session.scalars(
            select(Invitation)
            .where(
                Invitation.organization_id == organization_id,
                Invitation.accepted_at.is_(None),
                Invitation.expires_at > now(),
            )
            .order_by(Invitation.id.desc())
        )
    )


def find(token: str, *, lock: bool = False) -> tuple[Invitation, Organization] | None:
    """The invitation of a link and the organisation it is for; None for one that is used, expired or unknown."""
    query = (
        select(Invitation, Organization)
        .join(Organization, Organization.id == Invitation.organization_id)
        .where(
            Invitation.token_hash == tokens.digest(token),
            Invitation.accepted_at.is_(None),
            Invitation.expires_at > now(),
        )
    )
    if lock:
        query = query.with_for_update(of=Invitation).execution_options(populate_existing=True)
    row = db.session.execute(query).first()
    return (row[0], row[1]) if row else None


def take_up(token: str) -> tuple[Invitation, Organization]:
    """The invitation that a link is being accepted with: nobody else can have it until the transaction ends.

    Raises `Invalid` for a link that is used, expired or unknown.
    """
    found = find(token, lock=True)
    if found is None:
        raise Invalid("invitation-invalid", "This invitation is used or has expired; ask for a new one.")
    return found


def named(organization_id: str, invitation_id: str) -> Invitation:
    """An open invitation of an organisation. Raises `NotFound`."""
    for invitation in open_ones(organization_id):
        if invitation.id == invitation_id:
            return invitation
    raise NotFound(
        "invitation-not-found",
        "There is no such open invitation; Settings > Members lists those that there are.",
    )


def holder(invitation: Invitation) -> User | None:
    """Who has an account with the address that was invited."""
    return db.session.scalar(select(User).where(User.email == invitation.email))


def withdraw(invitation: Invitation, actor: Actor) -> None:
    """Makes an invitation's link worth nothing."""
    with writing() as session:
        audit.record(
            invitation.organization_id,
            actor,
            "MEMBER_INVITE_WITHDRAW",
            ("invitation", invitation.id, invitation.email),
        )
        session.delete(invitation)


def accept(token: str, user: User, address: str | None) -> Organization:
    """Makes a person a member, once. Raises `Invalid` for a link that is used, expired or unknown."""
    with writing() as session:
        invitation, organization = take_up(token)
        invitation.accepted_at = now()
        passwords.forget_resets(session, user)  # an Admin elsewhere may have made one: it must not open this
        if session.get(Membership, (organization.id, user.id)) is None:
            session.add(Membership(organization_id=organization.id, user_id=user.id, role=invitation.role))
            audit.record(
                organization.id,
                audit.person(user, address),
                "MEMBER_ADD",
                ("user", user.id, user.email),
                role=invitation.role,
                invitedBy=invitation.invited_by,
            )
    return organization


def accept_as_new(token: str, name: str, password: str, address: str | None) -> tuple[Organization, User]:
    """Makes an account with the invited address, and that person a member, once.

    Raises `Invalid` for a link that is worth nothing, a name or password that cannot be used, and `Conflict` where
    there is an account with that address: its owner proves it by logging in.
    """
    with writing() as session:
        invitation, _ = take_up(token)
        if holder(invitation) is not None:
            raise Conflict("account-exists", f"{invitation.email} has an account; log in with it to join.")
        user = people.add_user(session, invitation.email, password, people.clean_name(name))
        return accept(token, user, address), user
