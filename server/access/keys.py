"""API keys: their format, making, finding and revoking. What a key may do is in `scopes`."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from server.access import audit
from server.access.audit import Actor
from server.access.scopes import SCOPES
from server.database import db, now, writing
from server.models import ApiKey, Project
from server.problems import Invalid

PREFIX = "vts_"
PATTERN = r"vts_[0-9A-Za-z]{36}"
"""What secret scanners look for; `is_well_formed` then tells a real key from a look-alike offline."""

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SHAPE = re.compile(PATTERN)


@dataclass(frozen=True)
class Holder:
    """Who is calling with an API key: what the hot path needs of its row, no more."""

    id: str
    name: str
    organization_id: str
    scopes: tuple[str, ...]
    project_ids: tuple[str, ...] | None
    expires_at: datetime | None
    revoked_at: datetime | None

    def actor(self, address: str | None, request_id: str | None) -> Actor:
        """This key as the one who acts, for the audit log."""
        return Actor("key", self.id, self.name, address, request_id)

    def may_see(self, project_id: str) -> bool:
        """Whether the key is not limited to other projects."""
        return self.project_ids is None or project_id in self.project_ids


def new_key() -> str:
    """`vts_`, 30 random base62 characters (178 bits), and 6 of CRC-32 over what precedes them."""
    body = PREFIX + "".join(secrets.choice(_BASE62) for _ in range(30))
    return body + _checksum(body)


def is_well_formed(text: str) -> bool:
    """Whether a text has a key's shape and checksum: tells a mistyped key without the database."""
    return bool(_SHAPE.fullmatch(text)) and _checksum(text[:-6]) == text[-6:]


def digest(key: str) -> str:
    """The SHA-256 under which a key is kept; enough for 178 random bits, no salt needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def find(key: str) -> Holder | None:
    """The holder of a key, revoked and expired ones included; None where there is none.

    One indexed look-up and no cache, so that a revoked key is refused from the next request on.
    """
    if not is_well_formed(key):
        return None
    table = ApiKey.__table__.c
    row = db.session.execute(
        select(
            table.id,
            table.name,
            table.organization_id,
            table.scopes,
            table.project_ids,
            table.expires_at,
            table.revoked_at,
        ).where(table.key_hash == digest(key))
    ).first()
    if row is None:
        return None
    limit = None if row.project_ids is None else tuple(row.project_ids)
    return Holder(
        row.id, row.name, row.organization_id, tuple(row.scopes), limit, row.expires_at, row.revoked_at
    )


def create(
    organization_id: str,
    name: str,
    scopes: Sequence[str],
    actor: Actor,
    expires_at: datetime | None = None,
    project_ids: Sequence[str] | None = None,
) -> tuple[ApiKey, str]:
    """Makes a key and returns its row and the full key, which nobody can read again.

    Raises `Invalid` for an unknown scope or project, no scope, or a date that is past.
    """
    name = name.strip()
    if not name:
        raise Invalid(
            "key-invalid", 'A key needs a name that tells where it is used, such as "GitHub Actions CI".'
        )
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        wrong = f"Unknown scope {unknown[0]!r}." if unknown else "A key needs at least one scope."
        raise Invalid("key-invalid", f"{wrong} Scopes are {', '.join(SCOPES)}.")
    if expires_at is not None and expires_at <= now():
        raise Invalid("key-invalid", "The expiry date is past; choose one in the future, or none.")
    if project_ids is not None:
        project_ids = _known_projects(organization_id, project_ids)
    key = new_key()
    row = ApiKey(
        organization_id=organization_id,
        name=name,
        hint=f"{key[:8]}…{key[-4:]}",
        key_hash=digest(key),
        scopes=[scope for scope in SCOPES if scope in scopes],
        project_ids=project_ids,
        expires_at=expires_at,
    )
    with writing() as session:
        session.add(row)
        session.flush()
        audit.record(
            organization_id,
            actor,
            "API_KEY_CREATE",
            ("key", row.id, row.name),
            scopes=row.scopes,
            expiresAt=expires_at.isoformat() if expires_at else None,
            projectIds=row.project_ids,
        )
    return row, key


def revoke(row: ApiKey, actor: Actor) -> None:
    """Invalidates a key from the next request on; revoking twice changes nothing."""
    with writing() as session:
        row = session.merge(row)
        session.refresh(row)
        if row.revoked_at is None:
            row.revoked_at = now()
            audit.record(row.organization_id, actor, "API_KEY_REVOKE", ("key", row.id, row.name))


def _known_projects(organization_id: str, asked: Sequence[str]) -> list[str]:
    found = db.session.execute(
        select(Project.id, Project.slug).where(Project.organization_id == organization_id)
    ).all()
    ids = {name: row.id for row in found for name in (row.id, row.slug)}
    missing = [name for name in asked if name not in ids]
    if missing or not asked:
        wrong = f"There is no project {missing[0]!r}." if missing else "The list of projects is empty."
        raise Invalid("key-invalid", f"{wrong} Name projects by ID or slug, or leave the limit out.")
    return [ids[name] for name in asked]


def _checksum(body: str) -> str:
    number, text = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        text = _BASE62[digit] + text
    return text
