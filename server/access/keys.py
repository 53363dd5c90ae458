"""API keys: their format, making, finding and revoking. What a key may do is in `scopes`."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select

from server import times
from server.access import audit
from server.access.audit import Actor
from server.access.scopes import SCOPES, allows
from server.database import Prepared, clock_s, db, now, writing
from server.models import ApiKey, Project, Run, new_id
from server.problems import Conflict, Invalid

PREFIX = "vts_"
OVERLAP = timedelta(hours=24)
MAX_OVERLAP = timedelta(days=30)
LONGEST_LIFE = timedelta(days=36_525)  # 100 years, far from where dates end
PATTERN = r"vts_[0-9A-Za-z]{36}"
"""What secret scanners look for; `is_well_formed` then tells a real key from a look-alike offline."""

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SHAPE = re.compile(PATTERN)

_KEY, _RUN = ApiKey.__table__.c, Run.__table__.c
_HOLDER = [
    column.label(f"key_{column.key}")
    for column in (
        _KEY.id,
        _KEY.name,
        _KEY.organization_id,
        _KEY.scopes,
        _KEY.project_ids,
        _KEY.expires_at,
        _KEY.revoked_at,
        _KEY.window_count,
        (_KEY.window_ends_s - clock_s()).label("window_left_s"),
    )
]
_BY_HASH = Prepared(select(*_HOLDER).where(_KEY.key_hash == bindparam("hash")))
_BY_HASH_WITH_RUN = Prepared(
    select(*_HOLDER, *_RUN)
    .outerjoin_from(
        ApiKey, Run, (_RUN.id == bindparam("run_id")) & (_RUN.organization_id == _KEY.organization_id)
    )
    .where(_KEY.key_hash == bindparam("hash"))
)


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
    window_count: int  # requests of this minute, and
    window_left_s: float  # how much of it is left

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
    return _holder(_BY_HASH(hash=digest(key))) if is_well_formed(key) else None


def find_with_run(key: str, run_id: str) -> tuple[Holder | None, Any]:
    """The holder of a key as `find` tells it and, in the same look-up, a run of its organisation as a plain row.

    The row's `id` is None where there is no such run. For the one route that CI asks again and again: one statement
    of three less in each request.
    """
    row = _BY_HASH_WITH_RUN(hash=digest(key), run_id=run_id) if is_well_formed(key) else None
    return _holder(row), row


def _holder(row: Any) -> Holder | None:
    if row is None:
        return None
    return Holder(
        row.key_id,
        row.key_name,
        row.key_organization_id,
        tuple(row.key_scopes),
        None if row.key_project_ids is None else tuple(row.key_project_ids),
        row.key_expires_at,
        row.key_revoked_at,
        row.key_window_count,
        row.key_window_left_s,
    )


def create(
    organization_id: str,
    name: str,
    scopes: Sequence[str],
    actor: Actor,
    expires_at: datetime | None = None,
    project_ids: Sequence[str] | None = None,
    maker: Holder | None = None,
) -> tuple[ApiKey, str]:
    """Makes a key and returns its row and the full key, which nobody can read again.

    `maker` is the key that asks, if one does: what it makes can do no more than itself, and lives no longer.
    Raises `Invalid` for an unknown scope or project, no scope, a date past or too far off, or more than the maker has.
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
    if expires_at is not None and expires_at > now() + LONGEST_LIFE:
        raise Invalid("key-invalid", "A key lives 100 years at most; choose an earlier expiry date, or none.")
    if project_ids is not None:
        project_ids = _known_projects(organization_id, project_ids)
    if maker is not None:
        _no_more_than(maker, scopes, expires_at)
    row, key = _row(organization_id, name, scopes, project_ids, expires_at, actor)
    with writing() as session:
        session.add(row)
        session.flush()
        audit.record(
            organization_id,
            actor,
            "API_KEY_CREATE",
            ("key", row.id, row.name),
            scopes=row.scopes,
            expiresAt=times.rfc_3339(expires_at) if expires_at else None,
            projectIds=row.project_ids,
        )
    return row, key


def rotate(
    old: ApiKey, actor: Actor, overlap: timedelta = OVERLAP, maker: Holder | None = None
) -> tuple[ApiKey, str]:
    """Makes a successor with the same name, rights and lifetime; the old key lives for `overlap` more.

    Raises `Conflict` for a key that is revoked, expired or has a successor, `Invalid` for an overlap that is
    negative or longer than 30 days. Asked for by a key (`maker`), the successor lives no longer than that one.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise Invalid("overlap-invalid", "The overlap must be from 0 hours to 30 days (720 hours).")
    with writing() as session:
        session.refresh(old, with_for_update=True)
        successor = session.scalar(select(ApiKey.id).where(ApiKey.replaces_id == old.id))
        if successor is not None:
            raise Conflict("key-rotated", f"This key has been rotated already; its successor is {successor}.")
        if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now()):
            raise Conflict("key-over", "This key is revoked or expired; create a new one instead.")
        lifetime = min(old.expires_at - old.created_at, LONGEST_LIFE) if old.expires_at else None
        expires_at = now() + lifetime if lifetime else None
        if maker is not None and maker.expires_at is not None:
            expires_at = min(expires_at or maker.expires_at, maker.expires_at)
        row, key = _row(old.organization_id, old.name, old.scopes, old.project_ids, expires_at, actor)
        row.replaces_id = old.id
        until, before = now() + overlap, old.expires_at
        old.expires_at = min(until, before) if before else until
        session.add(row)
        session.flush()
        audit.record(
            old.organization_id,
            actor,
            "API_KEY_ROTATE",
            ("key", old.id, old.name),
            successor=row.id,
            before={"expiresAt": times.rfc_3339(before) if before else None},
            after={"expiresAt": times.rfc_3339(old.expires_at)},
        )
    return row, key


def revoke(row: ApiKey, actor: Actor) -> None:
    """Invalidates a key from the next request on; revoking twice changes nothing."""
    with writing() as session:
        session.refresh(row, with_for_update=True)
        if row.revoked_at is None:
            row.revoked_at = now()
            audit.record(row.organization_id, actor, "API_KEY_REVOKE", ("key", row.id, row.name))


def revoke_leaked(key: str, address: str | None, request_id: str | None) -> ApiKey | None:
    """Revokes a key that somebody found in the open; returns its row where there was one to revoke.

    Whoever holds a key may do this without logging in, as secret scanners do; callers tell them nothing.
    """
    if not is_well_formed(key):
        return None
    with writing() as session:
        row = session.scalar(select(ApiKey).where(ApiKey.key_hash == digest(key)).with_for_update())
        if row is None or row.revoked_at is not None:
            return None
        row.revoked_at = now()
        finder = Actor("system", None, "somebody who found the key", address, request_id)
        audit.record(row.organization_id, finder, "API_KEY_REVOKE_LEAKED", ("key", row.id, row.name))
        return row


def listed(organization_id: str) -> list[ApiKey]:
    """All keys of an organisation, the newest first; revoked ones too."""
    return list(
        db.session.scalars(
            select(ApiKey).where(ApiKey.organization_id == organization_id).order_by(ApiKey.id.desc())
        )
    )


def _row(
    organization_id: str,
    name: str,
    scopes: Sequence[str],
    project_ids: Sequence[str] | None,
    expires_at: datetime | None,
    actor: Actor,
) -> tuple[ApiKey, str]:
    key = new_key()
    row = ApiKey(
        id=new_id(),
        organization_id=organization_id,
        name=name,
        hint=f"{key[:8]}…{key[-4:]}",
        key_hash=digest(key),
        scopes=[scope for scope in SCOPES if scope in scopes],
        project_ids=list(project_ids) if project_ids is not None else None,
        expires_at=expires_at,
        created_by=actor.name,
    )
    return row, key


def _no_more_than(maker: Holder, scopes: Sequence[str], expires_at: datetime | None) -> None:
    beyond = [scope for scope in scopes if not allows(maker.scopes, scope)]
    if beyond:
        raise Invalid(
            "key-invalid", f"A key can grant no more than the key that makes it holds; leave {beyond[0]} out."
        )
    if maker.expires_at is not None and (expires_at is None or expires_at > maker.expires_at):
        raise Invalid(
            "key-invalid",
            f"A key lives no longer than the key that makes it; set expiresAt to {times.rfc_3339(maker.expires_at)} "
            "or earlier.",
        )


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
