"""Rate limits that hold across processes and machines, because they are counted in the database.

Fixed windows in the database's time: a window begins with the first event and lasts as long as its limit says.
What is limited, and by how much, is for the callers; API keys count in their own row (`usage`).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from sqlalchemy import case, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from server.database import clock_s, db, writing
from server.models import LimitWindow


@dataclass(frozen=True)
class Limit:
    """At most `count` events of a kind in `window_s` seconds."""

    name: str
    count: int
    window_s: float


OPEN = Limit("open-route", 600, 60)
"""Requests of one address that need neither key nor session."""


@dataclass(frozen=True)
class Allowance:
    """What is left of a limit: `remaining` events, until `reset_s` seconds have passed."""

    limit: int
    remaining: int
    reset_s: int

    @property
    def exceeded(self) -> bool:
        """Whether the last event was one too many."""
        return self.remaining < 0


class TooMany(Exception):
    """Something happened too often; `retry_after_s` says when it may be tried again."""

    def __init__(self, message: str, retry_after_s: int, code: str = "too-many-requests") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


def hit(limit: Limit, who: str) -> Allowance:
    """Counts one event of somebody and tells what is left; safe under concurrency (one UPSERT)."""
    name = _name(limit, who)
    with writing() as session:
        insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        fresh = LimitWindow.ends_s <= clock_s()
        statement = (
            insert(LimitWindow)
            .values(name=name, ends_s=clock_s() + limit.window_s, count=1)
            .on_conflict_do_update(
                index_elements=[LimitWindow.name],
                set_={
                    "count": case((fresh, 1), else_=LimitWindow.count + 1),
                    "ends_s": case((fresh, clock_s() + limit.window_s), else_=LimitWindow.ends_s),
                },
            )
            .returning(LimitWindow.count, LimitWindow.ends_s - clock_s())
        )
        count, left_s = session.execute(statement).one()
        if count == 1:
            session.execute(delete(LimitWindow).where(LimitWindow.ends_s < clock_s() - 86_400))
    return Allowance(limit.count, limit.count - count, max(1, math.ceil(left_s)))


def visit(address: str) -> None:
    """Counts a request that needs neither key nor session. Raises `TooMany`; who is refused costs no write."""
    left = look(OPEN, address)
    if left.remaining > 0:
        left = hit(OPEN, address)
        if not left.exceeded:
            return
    raise too_often("Too many requests from this address", left)


def too_often(what: str, left: Allowance) -> TooMany:
    """The refusal of what happened too often, in words ("Too many failed log-ins"): it says when to try again."""
    minutes = math.ceil(left.reset_s / 60)
    wait = f"{left.reset_s} s" if left.reset_s < 120 else f"{minutes} minutes"
    return TooMany(f"{what}; try again in {wait}.", left.reset_s)


def look(limit: Limit, who: str) -> Allowance:
    """What is left of a limit, without counting."""
    row = db.session.execute(
        select(LimitWindow.count, LimitWindow.ends_s - clock_s()).where(
            LimitWindow.name == _name(limit, who), LimitWindow.ends_s > clock_s()
        )
    ).first()
    count, left_s = row or (0, limit.window_s)
    return Allowance(limit.count, limit.count - count, max(1, math.ceil(left_s)))


def forget(limit: Limit, who: str) -> None:
    """Starts a window anew, for one who has shown to be welcome."""
    with writing() as session:
        session.execute(delete(LimitWindow).where(LimitWindow.name == _name(limit, who)))


def _name(limit: Limit, who: str) -> str:
    """Whom a window is for is kept as a hash: addresses and email addresses need not lie around."""
    return f"{limit.name}:{hashlib.sha256(who.encode()).hexdigest()[:32]}"
