"""What is asked of a capture and what comes back: plain data, and the one error.

No browser, no pixels, no heavy imports here: the web process may import this module.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

Action = Literal["click", "fill", "hover", "press", "scroll", "wait"]
Stabilizer = Literal["time", "animation", "video", "lazy", "scroll", "fonts", "caret", "hover"]
STABILIZERS: frozenset[Stabilizer] = frozenset(get_args(Stabilizer))
"""What is done to a page so that it looks the same each time, and whole:

`time`: one fixed time that moves only when we move it, and seeded random numbers. `animation`: animations and
transitions end, or stand at their beginning where they have no end; marquees and progress bars likewise. `video`:
films stand on their first frame. `lazy`: what is marked to be loaded late is loaded at once. `scroll`: the page
is scrolled through first. `fonts`: web fonts are waited for. `caret`: no caret, and no focus unless a step gave
it. `hover`: nothing reacts to the mouse unless a step put it there.
"""
MASK_COLOUR = "#ff69b4"
MAX_SIDE_PX = 65535  # of a picture
MAX_AREA_PX = 100_000_000  # of a picture that is taken
ErrorKind = Literal["unreachable", "timeout", "http-status", "refused", "suite", "crash", "browser-missing"]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: CSS px of the page in what is asked, image px in what comes back."""

    x: int
    y: int
    width: int
    height: int

    @property
    def area(self) -> int:
        """Width times height, in square px."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done to a page before its picture is taken.

    `click` and `hover` need a selector; `fill` a selector and a value; `press` a key as value and
    may have a selector; `scroll` a selector to bring into view or a y in CSS px as value; `wait` a
    selector to wait for or milliseconds as value.
    """

    action: Action
    selector: str | None = None
    value: str | int | float | None = None


@dataclass(frozen=True, slots=True)
class Mask:
    """What is painted over in the picture: the elements that a selector finds, or a box; `colour` is `#rrggbb`."""

    colour: str
    selector: str | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie that a page is visited with; without a domain it is for the page's own host alone."""

    name: str
    value: str
    domain: str | None = None
    path: str = "/"


@dataclass(frozen=True, slots=True)
class Login:
    """Steps done on a page, once, after which other pages are seen as somebody who is logged in."""

    url: str
    steps: tuple[Step, ...]
    wait_for: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who a page takes us for: what it is visited with.

    `headers` and `credentials` (user name and password, HTTP Basic) go to the page's own origin alone, and
    `local_storage` is set there. Values may hold `${{ secrets.NAME }}`.
    """

    headers: tuple[tuple[str, str], ...] = ()
    credentials: tuple[str, str] | None = None
    cookies: tuple[Cookie, ...] = ()
    local_storage: tuple[tuple[str, str], ...] = ()
    login: Login | None = None
    colour_scheme: Literal["light", "dark", "no-preference"] = "light"
    locale: str = "en-US"
    timezone: str = "UTC"
    user_agent: str | None = None
    is_mobile: bool = False
    has_touch: bool = False
    block_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """One page to capture: where it is, how wide the window is, and what to do there.

    Sizes and boxes are CSS px. `scale` is image px per CSS px. `wait_for` holds selectors, or
    milliseconds of the page's own (virtual) time. `status` is the HTTP status that is expected; None
    accepts whatever is below 400. `timeout_s` bounds the whole capture. `stabilize` names what is done
    to hold the page still; leave one out to switch it off. `mask` is painted over and `hide` made invisible
    in the picture; `css` holds from the page's beginning. `visitor` is who the page takes us for.
    """

    url: str
    width: int
    height: int
    scale: float = 1.0
    full_page: bool = True
    element: str | None = None
    wait_for: tuple[str | int, ...] = ()
    steps: tuple[Step, ...] = ()
    ignore_selectors: tuple[str, ...] = ()
    ignore_boxes: tuple[Box, ...] = ()
    status: int | None = None
    timeout_s: float = 60.0
    stabilize: frozenset[Stabilizer] = STABILIZERS
    mask: tuple[Mask, ...] = ()
    hide: tuple[str, ...] = ()
    css: str = ""
    visitor: Visitor = Visitor()


@dataclass(frozen=True, slots=True)
class Image:
    """A captured page; `width`, `height`, `ignore` and `moved` are image px.

    `moved` lists the regions that still differed between the last two of `shots` shots (empty when
    the page came to rest). `note` tells a person what they should know of the capture, or is None.
    """

    png: bytes
    sha256: str
    width: int
    height: int
    ignore: tuple[Box, ...]
    shots: int
    moved: tuple[Box, ...]
    note: str | None
    http_status: int
    seconds: float
    evidence: dict[str, Any] | None = None  # `evidence.Evidence` as JSON


class CaptureError(Exception):
    """A page could not be captured.

    `message` is for a person: the address, what happened in words, what to do. `retry` says whether
    trying again, perhaps with another browser, may help.
    """

    def __init__(self, kind: ErrorKind, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.message = message
        self.retry = retry
        self.evidence: dict[str, Any] | None = None
