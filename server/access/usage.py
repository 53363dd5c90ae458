"""How often a key was used, when last, and whether it may be used again this minute.

Exact, because people decide by it which keys to remove: every authenticated request is one UPDATE.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Update, bindparam, case, func, update

from server.access.limits import Allowance
from server.database import Prepared, UtcDateTime, clock_s, end_reading, now
from server.models import ApiKey

WINDOW_S = 60.0
STALE_AFTER = timedelta(days=90)
EXPIRING_WITHIN = timedelta(days=14)
OVERACTIVE_PER_DAY = 20_000


def count(key_id: str, successful: bool) -> None:
    """Counts one authenticated request; where it succeeded, it is the last one too.

    Committed before the answer leaves, so that no crash loses a request that was answered.
    """
    end_reading()
    _COUNT(key=key_id, used_at=now() if successful else None)


def _counting() -> Update:
    table = ApiKey.__table__.c
    fresh = table.window_ends_s <= clock_s()
    return (
        update(ApiKey)
        .where(table.id == bindparam("key"))
        .values(
            request_count=table.request_count + 1,
            window_count=case((fresh, 1), else_=table.window_count + 1),
            window_ends_s=case((fresh, clock_s() + WINDOW_S), else_=table.window_ends_s),
            last_used_at=func.coalesce(bindparam("used_at", type_=UtcDateTime), table.last_used_at),
        )
    )


_COUNT = Prepared(_counting())


def allowance(per_minute: int, used: int, left_s: float) -> Allowance:
    """What a key may still do this minute, this request included, by its row as it was read.

    Requests that are under way at the same moment are not seen by each other: at most as many as the server
    has threads get through beyond the limit.
    """
    if left_s <= 0:
        used, left_s = 0, WINDOW_S
    return Allowance(per_minute, per_minute - used - 1, max(1, round(left_s)))


@dataclass(frozen=True)
class Judgement:
    """What a person should know of a key: `notes` are words such as unused, stale or overactive."""

    notes: tuple[str, ...]
    requests_per_day: float


def judge(key: ApiKey, at: datetime) -> Judgement:
    """Which keys to look at: never used, not used for 90 days, about to expire, expired, busier than most."""
    days = max((at - key.created_at).total_seconds() / 86_400, 1.0)
    per_day = key.request_count / days
    facts = {
        "revoked": key.revoked_at is not None,
        "expired": key.expires_at is not None and key.expires_at <= at,
        "expiring": key.expires_at is not None and at < key.expires_at <= at + EXPIRING_WITHIN,
        "unused": key.last_used_at is None,
        "stale": (key.last_used_at or key.created_at) < at - STALE_AFTER,
        "overactive": per_day >= OVERACTIVE_PER_DAY,
    }
    return Judgement(tuple(note for note, true in facts.items() if true), round(per_day, 1))
