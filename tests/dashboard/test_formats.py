"""How times and numbers are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from server import times
from server.dashboard import formats

NOON = datetime(2026, 5, 9, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=2), "just now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(seconds=60), "1 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=29), "29 days ago"),
        (timedelta(days=31), "8 Apr 2026"),
        (timedelta(days=-3), "in 3 days"),
        (timedelta(days=-60), "8 Jul 2026"),
    ],
)
def test_times_are_relative_for_a_month(ago: timedelta, words: str) -> None:
    assert formats.relative(NOON - ago, NOON) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.84, "0.8 s"), (48.2, "48 s"), (59.7, "1 min 0 s"), (192, "3 min 12 s"), (7500, "2 h 5 min")],
)
def test_durations_have_at_most_two_units(seconds: float, words: str) -> None:
    assert formats.duration(seconds) == words


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(0.0, "0\u202f%"), (0.00001, "< 0.01\u202f%"), (0.0042, "0.42\u202f%"), (0.5, "50\u202f%")],
)
def test_a_small_share_is_never_nothing(ratio: float, words: str) -> None:
    assert formats.percent(ratio) == words


def test_only_what_is_a_hash_is_shortened() -> None:
    assert formats.commit("0123456789abcdef" * 3) == "01234567"
    assert formats.commit("v1.2.3-rc1") == "v1.2.3-rc1"


def test_exact_times_name_their_zone() -> None:
    assert times.exact(NOON) == "2026-05-09 12:00:00 UTC"
