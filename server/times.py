"""How a moment is written wherever it leaves the server as text: for people and for programs, always in UTC."""

from __future__ import annotations

from datetime import datetime


def exact(at: datetime) -> str:
    """For people: "2027-01-31 12:00:00 UTC"."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def rfc_3339(at: datetime) -> str:
    """For programs: "2027-01-31T12:00:00Z", as the API answers."""
    return at.isoformat().replace("+00:00", "Z")
