"""What is asked of a capture and what comes back: plain data, and the one error.

No browser, no pixels, no heavy imports here: the web process may import this module.
"""

from dataclasses import dataclass
from typing import Literal

Action = Literal["click", "fill", "hover", "press", "scroll", "wait"]
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
class Page:
    """One page to capture: where it is, how wide the window is, and what to do there.

    Sizes and boxes are CSS px. `scale` is image px per CSS px. `wait_for` holds selectors, or
    milliseconds of the page's own (virtual) time. `status` is the HTTP status that is expected; None
    accepts whatever is below 400. `timeout_s` bounds the whole capture.
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
