"""Logging in with an account elsewhere: which providers there are, whom one lets in, connecting and disconnecting.

What a provider says of a person comes from `identities`; here is only what follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from server.access import audit, identities, invitations, mailboxes, people, tokens
from server.access.audit import Actor
from server.access.identities import Identity, Provider
from server.config import Settings
from server.database import db, now, writing
from server.models import ExternalLogin, Invitation, User
from server.problems import Conflict, Invalid, NotFound


@dataclass(frozen=True)
class Connection:
    """A provider as one person has it: the addresses of their accounts there, if any."""

    key: str
    label: str
    emails: tuple[str, ...]
    connected: bool
    provider: Provider | None  # None: it is not in the settings any more
    is_last_way_in: bool


def providers() -> list[Provider]:
    """The providers that people can log in with."""
    settings: Settings = current_app.extensions["retestr"]
    return identities.configured(settings)


def provider_named(name: str) -> Provider:
    """The provider with that name. Raises `NotFound`."""
    for provider in providers():
        if provider.name == name:
            return provider
    raise NotFound(
        "provider-not-found",
        "This server has no log-in of that name; the log-in page shows those that it has.",
    )


# ------------------------------------------------------------------------------------------- logging in


def sign_in(
    provider: Provider, identity: Identity, address: str | None, invitation: str | None = None
) -> tuple[User, bool]:
    """The person whom a provider has recognised; `invitation` is the token of a link they are accepting.

    Whoever is connected is let in, whatever their address is by now. An address that the provider has verified leads
    to the account with it, which is connected from then on; one that is not leads nowhere, as anybody can claim it.
    Where nobody had proven that account's address before, all older ways into it end, and True is returned besides.
    Newcomers need an invitation. Raises `Invalid`.
    """
    try:
        return _sign_in(provider, identity, address, invitation)
    except IntegrityError:  # another browser of the same person was quicker: what it wrote is found now
        return _sign_in(provider, identity, address, invitation)


def _sign_in(
    provider: Provider, identity: Identity, address: str | None, invitation: str | None
) -> tuple[User, bool]:
    reclaimed = False
    with writing() as session:
        login = _login(session, provider, identity)
        if login is not None:
            user = session.get_one(User, login.user_id)
            login.email = _verified(identity) or login.email
        elif (holder := _holder(session, identity)) is not None:
            if not identity.email_verified:
                raise _unproven(provider, identity)
            user = holder
            if not mailboxes.is_proven(session, user):
                reclaimed = mailboxes.reclaim(session, user, audit.person(user, address))
            _connect(session, user, provider, identity, audit.person(user, address))
        else:
            return _newcomer(session, provider, identity, address, invitation), False
        if invitation:
            invitations.accept(invitation, user, address)
    return user, reclaimed


def _newcomer(
    session: Session, provider: Provider, identity: Identity, address: str | None, invitation: str | None
) -> User:
    """Makes the account of somebody who is invited: who holds a link, or whose verified address is."""
    email = identity.email
    if invitation:
        invited, _ = invitations.take_up(invitation)
        if email is None or not identity.email_verified:
            email = invited.email  # the link was sent there
            if invitations.holder(invited) is not None:
                raise _unproven(provider, identity)
        links = [invitation]
    elif email is None or not identity.email_verified:
        raise _unproven(provider, identity)
    else:
        links = _links(session, email)
        if not links:
            raise Invalid(
                "not-invited",
                f"Nobody has invited {email} to this server yet. Ask an Admin of your team for an invitation.",
            )
    user = people.add_user(session, email, None, identity.name)
    for link in links:
        invitations.accept(link, user, address)
    _connect(session, user, provider, identity, audit.person(user, address))
    return user


def _links(session: Session, email: str) -> list[str]:
    """Tokens of the open invitations for an address: new ones, as nobody can read the ones that were sent."""
    found = session.scalars(
        select(Invitation).where(
            Invitation.email == email, Invitation.accepted_at.is_(None), Invitation.expires_at > now()
        )
    ).all()
    links = []
    for invitation in found:
        links.append(tokens.new())
        invitation.token_hash = tokens.digest(links[-1])
    session.flush()
    return links


def _unproven(provider: Provider, identity: Identity) -> Invalid:
    """Says the same whether there is an account or not: who has one is nobody else's business."""
    way_on = (
        "If you have an account here, log in with its password first and connect "
        f"{provider.label} under Settings > Account; if not, ask an Admin of your team for an invitation and open its link."
    )
    if identity.email is None:
        return Invalid(
            "email-missing", f"{provider.label} did not tell this server your email address. {way_on}"
        )
    return Invalid(
        "email-unverified", f"{provider.label} has not verified that {identity.email} is yours. {way_on}"
    )


# ------------------------------------------------------------------------------------------- connecting


def connect(user: User, provider: Provider, identity: Identity, actor: Actor) -> None:
    """Lets a person who is logged in log in with this account too. Raises `Conflict` where it is another person's."""
    with writing() as session:
        login = _login(session, provider, identity)
        if login is None:
            _connect(session, user, provider, identity, actor)
        elif login.user_id != user.id:
            raise Conflict(
                "login-taken",
                f"That {provider.label} account belongs to somebody else on this server. "
                "They can disconnect it under Settings > Account.",
            )


def disconnect(user: User, name: str, actor: Actor) -> str:
    """Forgets a person's accounts at a provider (its name, or a connection's key); returns what it is called.

    Raises `NotFound` where there are none, and `Conflict` where the person could not log in any more.
    """
    with writing() as session:
        # locked, so that two at once cannot each leave the other as the last way in
        person = session.get_one(User, user.id, populate_existing=True, with_for_update=True)
        for connection in connections(person):
            is_named = connection.provider is not None and connection.provider.name == name
            if connection.connected and (is_named or connection.key == name):
                break
        else:
            raise NotFound(
                "login-not-found",
                "There is no such connection; Settings > Account lists those that there are.",
            )
        if connection.is_last_way_in:
            raise Conflict(
                "last-login",
                f"{connection.label} is your only way to log in. Set a password or connect another account first.",
            )
        session.execute(
            delete(ExternalLogin).where(
                ExternalLogin.user_id == person.id, ExternalLogin.provider == connection.key
            )
        )
        _audit(session, person, actor, "LOGIN_DISCONNECT", connection.label, ", ".join(connection.emails))
    return connection.label


def connections(user: User) -> list[Connection]:
    """Every provider that a person has connected or could connect."""
    found: dict[str, list[str]] = {}
    query = select(ExternalLogin).where(ExternalLogin.user_id == user.id).order_by(ExternalLogin.created_at)
    for login in db.session.scalars(query):
        found.setdefault(login.provider, []).append(login.email)
    known = {provider.key: provider for provider in providers()}
    ways = [key for key in found if key in known and not known[key].missing]
    return [
        Connection(
            key,
            known[key].label if key in known else f"{key} (not set up any more)",
            tuple(email for email in found.get(key, ()) if email),
            key in found,
            known.get(key),
            user.password_hash is None and ways == [key],
        )
        for key in dict.fromkeys((*known, *found))
    ]


# ------------------------------------------------------------------------------------------- rows


def _login(session: Session, provider: Provider, identity: Identity) -> ExternalLogin | None:
    return session.get(ExternalLogin, (provider.key, identity.subject), populate_existing=True)


def _holder(session: Session, identity: Identity) -> User | None:
    if identity.email is None:
        return None
    return session.scalar(select(User).where(User.email == identity.email))


def _connect(session: Session, user: User, provider: Provider, identity: Identity, actor: Actor) -> None:
    """Only a verified address is kept with a connection: `mailboxes` takes it for a proof."""
    email = _verified(identity)
    session.add(ExternalLogin(provider=provider.key, subject=identity.subject, user_id=user.id, email=email))
    session.flush()
    _audit(session, user, actor, "LOGIN_CONNECT", provider.label, email)


def _verified(identity: Identity) -> str:
    return (identity.email or "") if identity.email_verified else ""


def _audit(session: Session, user: User, actor: Actor, action: str, provider: str, account: str) -> None:
    """Recorded wherever the person belongs: it tells each organisation who can come in how."""
    audit.record_everywhere(session, user, actor, action, provider=provider, account=account or None)
