"""What can be wrong with a request, without HTTP: the API turns each into one JSON shape, the dashboard into a page."""

from __future__ import annotations

from typing import Any


class Problem(Exception):
    """Something a caller can mend. `code` is for programs, the message for people, `details` for both."""

    def __init__(self, code: str, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


class NotFound(Problem):
    """There is no such thing, or the caller may not know of it."""


class Invalid(Problem):
    """What was sent cannot be used as it is."""


class Conflict(Problem):
    """What was asked for contradicts what has already happened."""
