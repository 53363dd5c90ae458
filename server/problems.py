"""What can be wrong with a request, without Flask: the API turns each into one JSON shape, the dashboard into a page."""

from __future__ import annotations

from typing import Any


class Problem(Exception):
    """Something a caller can mend. `code` is for programs, the message for people, `details` for both.

    `status` is the HTTP status that both answer with.
    """

    status = 400

    def __init__(self, code: str, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


class NotFound(Problem):
    """There is no such thing, or the caller may not know of it."""

    status = 404


class Invalid(Problem):
    """What was sent cannot be used as it is."""

    status = 422


class Conflict(Problem):
    """What was asked for contradicts what has already happened."""

    status = 409
