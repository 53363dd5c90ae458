"""The single values of a suite: what each may be, in words that a person who got it wrong can use.

Every type takes a scalar as suite_yaml.py reads it (`Plain` without quotes, `str` with) and also the Python
value itself. A wrong one raises a pydantic error of type "must", whose message completes "… must be".
"""

import difflib
import re
import zoneinfo
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from server.runs import devices
from server.runs.suite_yaml import Plain, shorten

MAX_WAIT_MS = 30_000
MAX_RETRIES = 5
MAX_PIXELS = 1_000_000_000

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?([0-9]{1,18}(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
HTTP_NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # RFC 9110, section 5.6.2
_LOCALE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
_DOMAIN = r"^\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"
_HOST_PATTERN = r"^[A-Za-z0-9_.*-]+$"
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
_CSS_LINE_END = re.compile("\r\n|[\r\f]")  # CSS Syntax Module Level 3, section 3.3
_LOADS = re.compile(r"@import|\bsrc\s*\(|image-set\s*\(|\burl\s*\((?!\s*[\"']?data:)", re.IGNORECASE)
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NOTHING = {"", "~", "null", "Null", "NULL"}


def must(expected: str, closest: Callable[[str], str | None] = lambda wrong: None) -> PydanticCustomError:
    """What a value must be; `closest` finds the right text most like a wrong one. It is asked if the error is told."""
    return PydanticCustomError("must", "{expected}", {"expected": expected, "closest": closest})


def number_of(value: object) -> int | float | None:
    """The number that an unquoted scalar stands for."""
    if isinstance(value, Plain):
        if _INTEGER.fullmatch(value):
            return int(value)
        return float(value) if _NUMBER.fullmatch(value) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def shown(value: object) -> str:
    """A value as an error message shows it."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or (isinstance(value, Plain) and value in _NOTHING):
        return "nothing"
    if isinstance(value, str) and number_of(value) is None:
        return f'"{shorten(value)}"'
    return shorten(str(value))


def _number(
    low: float, high: float, *, whole: bool = False, unit: str = ""
) -> Callable[[object], int | float]:
    expected = f"a {'whole ' if whole else ''}number {unit}from {low} to {high}"

    def check(value: object) -> int | float:
        number = number_of(value)
        if number is None and isinstance(value, str) and number_of(Plain(value)) is not None:
            raise must(f"{expected}, written without quotes")
        if number is None or not low <= number <= high or (whole and number != int(number)):
            raise must(expected)
        return int(number) if whole else float(number)

    return check


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, Plain) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    raise must("true or false")


def _text(what: str, most: int, least: int = 1, *, lines: bool = False) -> Callable[[object], str]:
    """Text as written, numbers and `no` included, without white space around it unless it may have lines."""
    expected = f"{what} of {least} to {most} characters" + ("" if lines else " on one line")

    def check(value: object) -> str:
        if not isinstance(value, str) or (isinstance(value, Plain) and not value):
            raise must(expected)
        text = str(value) if lines else value.strip()
        if not least <= len(text) <= most or (not lines and _CONTROL.search(text)):
            raise must(expected)
        return text

    return check


_short_css = _text("a CSS selector", 1000)


def _selector(value: object) -> str:
    if shown(value) == "nothing":
        raise must('a CSS selector (quotes keep YAML from reading # as a comment: "#buy")')
    if isinstance(value, list):
        raise must('a CSS selector (quotes keep YAML from reading [ as a list: "[data-ad]")')
    if isinstance(value, str) and value[:1].isdigit():
        raise must("a CSS selector")
    return _short_css(value)


def _selector_or(low: int, high: int, unit: str) -> Callable[[object], str | int]:
    number = _number(low, high, whole=True)

    def check(value: object) -> str | int:
        try:
            return int(number(value)) if number_of(value) is not None else _selector(value)
        except PydanticCustomError:
            expected = f"a CSS selector, or {unit} as a whole number from {low} to {high} without quotes"
            if shown(value) == "nothing":
                expected += ' (quotes keep YAML from reading # as a comment: "#ready")'
            raise must(expected) from None

    return check


def is_url(text: str) -> bool:
    """Whether this is an absolute http or https address with a host that can be parsed."""
    try:
        parts = urlsplit(text)
        host_given = bool(parts.hostname) and not re.search(r"[\s\\]", parts.netloc) and parts.port != 0
        return text.startswith(("http://", "https://")) and host_given
    except ValueError:
        return False


def _base_url(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > 2000 or re.search(r"[\s\\?#]", text) or _CONTROL.search(text) or not is_url(text):
        raise must("an http or https address without query, such as https://staging.example.com")
    return text.rstrip("/")


_short_path = _text("a path", 2000)


def _path(value: object) -> str:
    expected = "a path that starts with / or a whole http or https address, of at most 2000 characters"
    try:
        path = _short_path(value)
    except PydanticCustomError:
        raise must(expected) from None
    if not (path.startswith("/") or is_url(path)):
        raise must(expected)
    return path


def _one_of(*options: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or value.strip() not in options:
            raise must(f"{', '.join(options[:-1])} or {options[-1]}")
        return value.strip()

    return check


def _like(pattern: str, most: int, expected: str) -> Callable[[object], str]:
    """Text on one line that a pattern matches as a whole."""
    allowed = re.compile(pattern)

    def check(value: object) -> str:
        text = value.strip() if isinstance(value, str) else None
        if text is None or len(text) > most or _CONTROL.search(text) or not allowed.fullmatch(text):
            raise must(expected)
        return str(text)

    return check


def _color(value: object) -> str:
    if shown(value) == "nothing":
        raise must('a colour (quotes keep YAML from reading # as a comment: "#ff69b4")')
    return _like("#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", 7, "a colour such as #ff69b4")(value)


def _six_digits(color: str) -> str:
    return color.lower() if len(color) == 7 else "#" + "".join(digit * 2 for digit in color[1:].lower())


@cache
def _zones() -> frozenset[str]:
    """The names of the IANA database; none where the machine has no copy of it."""
    return frozenset(zoneinfo.available_timezones())


def _time_zone(value: object) -> str:
    name = value.strip() if isinstance(value, str) else ""
    if _zones() and name not in _zones():
        raise must("a time zone of the IANA database such as Europe/Zurich", _closest_zone)
    return _like(r"[A-Za-z0-9_+/-]+", 60, "a time zone of the IANA database such as Europe/Zurich")(name)


def _closest_zone(wrong: str) -> str | None:
    return next(iter(difflib.get_close_matches(wrong[:60], _zones(), n=1, cutoff=0.5)), None)


def _device(value: object) -> str:
    name = value.strip() if isinstance(value, str) else ""
    if (known := devices.named(name)) is None:
        raise must("the name of a device that Playwright knows", devices.closest)
    return known


_css_text = _text("CSS", 20_000, lines=True)


def _css(value: object) -> str:
    """CSS that loads nothing: it could tell another host what stands in the page (`input[value^=a]`)."""
    css = _CSS_LINE_END.sub("\n", _css_text(value))
    plain = _CSS_ESCAPE.sub(lambda found: chr(int(found[1], 16) % 0x110000) if found[1] else found[2], css)
    if _LOADS.search(plain):
        raise must("CSS that loads nothing: no @import, and url() for data: alone")
    return css


def _no(value: object) -> bool:
    if value is False or (isinstance(value, Plain) and _TRUTH.get(value.lower()) is False):
        return False
    raise must("a mapping with path and steps, or false")


def one_or_list(value: object) -> Any:
    return value if isinstance(value, list | tuple) else [value]


_PX = _number(100, 10_000, whole=True, unit="of CSS pixels ")
_EDGE = _number(0, 1_000_000, whole=True, unit="of CSS pixels ")

Flag = Annotated[bool, BeforeValidator(_truth)]
Ratio = Annotated[float, Field(ge=0, le=1), BeforeValidator(_number(0, 1))]
ViewportEdge = Annotated[int, Field(ge=100, le=10_000), BeforeValidator(_PX)]
Scale = Annotated[float, Field(ge=0.5, le=4), BeforeValidator(_number(0.5, 4))]
Offset = Annotated[int, Field(ge=0, le=1_000_000), BeforeValidator(_EDGE)]
Length = Annotated[
    int, Field(ge=1, le=1_000_000), BeforeValidator(_number(1, 1_000_000, whole=True, unit="of CSS pixels "))
]
Pixels = Annotated[int, Field(ge=0, le=MAX_PIXELS), BeforeValidator(_number(0, MAX_PIXELS, whole=True))]
Retries = Annotated[int, Field(ge=0, le=MAX_RETRIES), BeforeValidator(_number(0, MAX_RETRIES, whole=True))]
Status = Annotated[int, Field(ge=100, le=599), BeforeValidator(_number(100, 599, whole=True))]
TestName = Annotated[str, Field(min_length=1, max_length=200), BeforeValidator(_text("text", 200))]
OldNames = Annotated[
    tuple[TestName, ...],
    Field(max_length=20),
    BeforeValidator(one_or_list, json_schema_input_type=TestName | tuple[TestName, ...]),
]
ViewportName = Annotated[str, Field(min_length=1, max_length=100), BeforeValidator(_text("text", 100))]
KeyName = Annotated[
    str, Field(min_length=1, max_length=50), BeforeValidator(_text("a key such as Enter or Control+A", 50))
]
TypedText = Annotated[str, Field(max_length=10_000), BeforeValidator(_text("text", 10_000, 0, lines=True))]
Selector = Annotated[str, Field(min_length=1, max_length=1000), BeforeValidator(_selector)]
BaseUrl = Annotated[str, Field(pattern="^https?://"), BeforeValidator(_base_url)]
PagePath = Annotated[str, Field(pattern="^(/|https?://)", max_length=2000), BeforeValidator(_path)]

Color = Annotated[
    str,
    Field(pattern="^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"),
    BeforeValidator(_color),
    AfterValidator(_six_digits),
]
ColorScheme = Annotated[
    Literal["light", "dark", "no-preference"], BeforeValidator(_one_of("light", "dark", "no-preference"))
]
Locale = Annotated[
    str,
    Field(pattern=_LOCALE),
    BeforeValidator(_like(_LOCALE, 35, "a language as browsers write it, such as en-US or de-CH")),
]
TimeZone = Annotated[str, Field(min_length=1, max_length=60), BeforeValidator(_time_zone)]
DeviceName = Annotated[str, Field(min_length=1, max_length=60), BeforeValidator(_device)]
HostPattern = Annotated[
    str,
    Field(pattern=_HOST_PATTERN, max_length=253),
    BeforeValidator(
        _like(_HOST_PATTERN, 253, "a host such as ads.example or *.ads.example, without scheme and port")
    ),
    AfterValidator(str.lower),
]
Css = Annotated[str, Field(min_length=1, max_length=20_000), BeforeValidator(_css)]
HeaderValue = Annotated[str, Field(max_length=8000), BeforeValidator(_text("text", 8000, 0))]
StorageValue = Annotated[
    str, Field(max_length=100_000), BeforeValidator(_text("text", 100_000, 0, lines=True))
]
Credential = Annotated[str, Field(min_length=1, max_length=500), BeforeValidator(_text("text", 500))]
CookieName = Annotated[
    str,
    Field(pattern=HTTP_NAME),
    BeforeValidator(_like(HTTP_NAME, 200, "a cookie's name, without spaces and = ; ,")),
]
CookieValue = Annotated[
    str,
    Field(max_length=4000, pattern="^[^;]*$"),
    BeforeValidator(_like("^[^;]*$", 4000, "text of at most 4000 characters on one line without ;")),
]
Domain = Annotated[
    str,
    Field(pattern=_DOMAIN, max_length=253),
    BeforeValidator(_like(_DOMAIN, 253, "a host such as example.com, without scheme and port")),
]
CookiePath = Annotated[
    str,
    Field(pattern="^/[^;]*$", max_length=500),
    BeforeValidator(_like("^/[^;]*$", 500, "a path that starts with /")),
]
No = Annotated[Literal[False], BeforeValidator(_no)]

_Milliseconds = Annotated[int, Field(ge=0, le=MAX_WAIT_MS)]
_Css = Annotated[str, Field(min_length=1, max_length=1000)]
_ScrollPx = Annotated[int, Field(ge=0, le=1_000_000)]
Wait = Annotated[_Milliseconds | _Css, BeforeValidator(_selector_or(0, MAX_WAIT_MS, "milliseconds"))]
Scroll = Annotated[_ScrollPx | _Css, BeforeValidator(_selector_or(0, 1_000_000, "pixels"))]
