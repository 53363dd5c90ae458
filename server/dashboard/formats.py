"""How times, numbers and names are written for people. Templates use these as filters."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from flask import Flask

from server import times
from server.dashboard import browsers, marks
from server.database import now
from server.models import Run

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


def register(app: Flask) -> None:
    """Makes the filters known to Jinja."""
    app.jinja_env.filters.update(
        relative=relative,
        exact=times.exact,
        duration=duration,
        number=number,
        percent=percent,
        commit=commit,
        run_duration=run_duration,
        counts=marks.counts,
        mark_of=marks.mark_of,
        unfinished_states=marks.unfinished_states,
        plain_details=plain_details,
        browser=browsers.in_words,
        outside=outside,
    )


def relative(at: datetime, since: datetime | None = None) -> str:
    """How long ago, or in how much time: "3 min ago", "in 2 days"; after 30 days the date."""
    seconds = ((since or now()) - at).total_seconds()
    size = abs(seconds)
    if size < 10:
        return "just now" if seconds >= 0 else "in a moment"
    if size < MINUTE_S:
        words = f"{int(size)} s"
    elif size < HOUR_S:
        words = f"{int(size // MINUTE_S)} min"
    elif size < DAY_S:
        words = f"{int(size // HOUR_S)} h"
    elif size < 30 * DAY_S:
        days = int(size // DAY_S)
        words = f"{days} day" if days == 1 else f"{days} days"
    else:
        return f"{at.day} {at:%b %Y}"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def duration(seconds: float) -> str:
    """How long something took: "0.8 s", "48 s", "3 min 12 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < MINUTE_S:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), MINUTE_S)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def run_duration(run: Run) -> str:
    """How long a run took or takes so far; empty while it waits."""
    if run.started_at is None:
        return ""
    return duration(seconds_between(run.started_at, run.finished_at or now()))


def seconds_between(start: datetime, end: datetime) -> float:
    """How long something took; never less than nothing, should a clock have been set back."""
    return max(0.0, (end - start).total_seconds())


def outside(url: str | None) -> str | None:
    """An address that a run names, where it is one that a browser may be sent to."""
    return url if url and url.startswith(("https://", "http://")) else None


def number(value: int) -> str:
    """A whole number in groups of three."""
    return f"{value:,}".replace(",", "\u202f")


def percent(ratio: float) -> str:
    """A share as percent with two digits that matter; never "0 %" for what is not nothing."""
    value = ratio * 100
    if 0 < value < 0.01:
        return "< 0.01\u202f%"
    return f"{value:.2f}".rstrip("0").rstrip(".") + "\u202f%"


def commit(sha: str) -> str:
    """A commit's usual short form; what is no hash stays as it is."""
    is_hash = len(sha) >= 32 and all(c in "0123456789abcdefABCDEF" for c in sha)
    return sha[:8] if is_hash else sha


def plain_details(details: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """An event's metadata as (name, value) texts; whole suites are told by their length."""
    for name, value in details.items():
        if isinstance(value, dict):
            yield from ((f"{name} {inner}", _plain(part)) for inner, part in value.items())
        else:
            yield name, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    text = commit(str(value))
    return text if "\n" not in text else f"{len(text.splitlines())} lines"
