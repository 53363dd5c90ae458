"""The first organisation of an empty server, made in a browser by whoever can read the server's log.

`retestr serve` prints an address there that holds a token; without it, whoever finds a new server first would own it.
"""

from __future__ import annotations

import hashlib
import hmac

from sqlalchemy import select

from server.config import Settings
from server.database import db
from server.models import Organization


def is_empty() -> bool:
    """Whether there is no organisation yet."""
    return db.session.scalar(select(Organization.id).limit(1)) is None


def token(settings: Settings) -> str:
    """What the address in the log holds: the same in every process, and worth nothing once there is an organisation."""
    return hmac.new(
        settings.session_secret().encode(), b"found the first organisation", hashlib.sha256
    ).hexdigest()[:40]


def is_token(settings: Settings, given: str) -> bool:
    """Whether somebody has the token of this server."""
    return hmac.compare_digest(token(settings).encode(), given.encode())
