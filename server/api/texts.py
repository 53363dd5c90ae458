"""What texts, times and cursors in requests may be: one rule each, checked here and told in the OpenAPI document.

The document must accept exactly what the server accepts (`tests/api/test_schemathesis.py` searches for differences).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

_BLANKS = (
    r"\x00-\x20\x7f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # what `str.strip` removes
)
PLAIN = rf"^[^\x00-\x1f\x7f]*[^{_BLANKS}][^\x00-\x1f\x7f]*$"
HTTP = r"^https?://[^\x00-\x1f\x7f]*$"
NO_NUL = r"^[^\x00]*$"  # PostgreSQL keeps no NUL in a text
_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
ORIGIN = rf"^https?://([A-Za-z0-9][A-Za-z0-9.-]*|\[::1\])(:{_PORT})?/?$"
_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:)(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)


def _plain(text: str) -> str:
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise PydanticCustomError("text", "must not contain control characters")
    if not text.strip():
        raise PydanticCustomError("text", "must not be blank")
    return text.strip()


def _http(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise PydanticCustomError("url", "must be an address that starts with http:// or https://")
    return _plain(text)


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("text", "must not contain a NUL character")
    return text


def _or_none(value: Any) -> Any:
    return None if value == "" else value


def _whole(value: Any) -> Any:
    """JSON knows one kind of number: 5.0 is 5. Neither "5" nor true is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool | str):
        raise PydanticCustomError("number", "must be a whole number")
    return value


def _instant(value: Any) -> datetime:
    """RFC 3339 with a zone, as UTC; a leap second is the one before, and what UTC cannot tell its first or last time."""
    found = _RFC_3339.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PydanticCustomError("time", "must be a time with a zone, such as 2027-01-31T00:00:00Z")
    minute, second, fraction, zone = found.groups()
    text = minute + ("59" if second == "60" else second) + (fraction or "") + zone
    try:
        told = datetime.fromisoformat(text.upper())
    except ValueError:
        raise PydanticCustomError("time", "is no time that exists") from None
    try:
        return told.astimezone(UTC)
    except OverflowError:
        return (datetime.min if told.year == 1 else datetime.max).replace(tzinfo=UTC)


def _schema(pattern: str, most: int, *, or_none: bool = False) -> WithJsonSchema:
    if or_none:
        text = {"type": "string", "maxLength": most, "pattern": f"^$|{pattern}"}
        return WithJsonSchema({"anyOf": [text, {"type": "null"}]})
    return WithJsonSchema({"type": "string", "minLength": 1, "maxLength": most, "pattern": pattern})


def _length(most: int) -> StringConstraints:
    return StringConstraints(min_length=1, max_length=most)


Name = Annotated[str, _length(200), AfterValidator(_plain), _schema(PLAIN, 200)]
Branch = Annotated[str, _length(255), AfterValidator(_plain), _schema(PLAIN, 255)]
Url = Annotated[str, _length(2000), AfterValidator(_http)]
Origin = Annotated[str, StringConstraints(max_length=300, pattern=ORIGIN), _schema(ORIGIN, 300)]
OptionalName = Annotated[Name | None, BeforeValidator(_or_none), _schema(PLAIN, 200, or_none=True)]
OptionalBranch = Annotated[Branch | None, BeforeValidator(_or_none), _schema(PLAIN, 255, or_none=True)]
OptionalUrl = Annotated[Url | None, BeforeValidator(_or_none), _schema(HTTP, 2000, or_none=True)]
Note = Annotated[
    str,
    StringConstraints(max_length=2000),
    AfterValidator(_no_nul),
    WithJsonSchema({"type": "string", "maxLength": 2000, "pattern": NO_NUL}),
]
Reference = Annotated[str, _length(100), AfterValidator(_no_nul), _schema(NO_NUL, 100)]
Instant = Annotated[
    datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})
]
PullRequest = Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(_whole)]
Days = Annotated[int, Field(ge=1, le=3650), BeforeValidator(_whole)]
KeepDays = Annotated[int, Field(ge=0, le=36_500), BeforeValidator(_whole)]
Cursor = Annotated[str, StringConstraints(pattern=r"^[0-9a-v]{1,24}$")]
NameCursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
Position = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}$")]
SnapshotId = Annotated[str, StringConstraints(pattern=r"^[0-9a-v]{24}$")]
Group = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
SuiteText = Annotated[str, StringConstraints(max_length=1_000_000)]
