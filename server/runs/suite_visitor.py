"""The keys that a suite and its tests share: who visits a page, what of it is covered, how far it may differ."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Self, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag

from server.runs import devices
from server.runs import suite_values as values
from server.runs.suite_parts import Part, SuiteStep, Viewport, Waits, elements_or_box, kind_of
from server.runs.suite_problems import Path, Wrong
from server.runs.suite_yaml import shorten
from server.vision import page as vision
from server.vision.page import MASK_COLOUR, Stabilizer
from server.vision.secrets import PLACEHOLDER

LONGEST_NAME = 100
NOT_OURS = {
    "host", "cookie", "content-length", "content-type", "connection", "transfer-encoding", "upgrade", "te", "trailer",
    "origin", "referer", "expect", "keep-alive",
}  # fmt: skip
SECRET_VALUES = {"cookies", "fill"}  # of these only what is called `value`
SECRET_PLACES = {"headers", "basicAuth", "localStorage", *SECRET_VALUES}
TOLERANCE = {"threshold", "max_diff_ratio", "max_diff_pixels", "antialiasing", "align"}
ANY_PLACEHOLDER = re.compile(r"\$\{\{.*?(\}\}|$)", re.DOTALL)


class MaskedElements(Part):
    """Elements that are painted over in the picture."""

    selector: values.Selector = Field(description="What they are, as a CSS selector.", examples=[".price"])
    color: values.Color = Field(MASK_COLOUR, description="The paint, such as #ff69b4.", examples=["#000000"])


class MaskedBox(Part):
    """A rectangle that is painted over, in CSS pixels from the top left corner of the page."""

    x: values.Offset = Field(examples=[0])
    y: values.Offset = Field(examples=[0])
    width: values.Length = Field(examples=[300])
    height: values.Length = Field(examples=[50])
    color: values.Color = Field(MASK_COLOUR, description="The paint, such as #ff69b4.", examples=["#000000"])


class SuiteCookie(Part):
    """A cookie that the page is asked for with."""

    name: values.CookieName = Field(description="What it is called.", examples=["consent"])
    value: values.CookieValue = Field(description="What it holds.", examples=["yes"])
    domain: values.Domain | None = Field(
        None, description="The host it is for. Left out: the page's own.", examples=["example.com"]
    )
    path: values.CookiePath = Field("/", description="The path it is for.", examples=["/"])


class BasicAuth(Part):
    """User name and password for HTTP Basic authentication."""

    username: values.Credential = Field(description="The user name.", examples=["preview"])
    password: values.Credential = Field(
        description="The password.", examples=["${{ secrets.PREVIEW_PASSWORD }}"]
    )


class SuiteLogin(Part):
    """How to log in, done once for all pages of a run."""

    path: values.PagePath = Field(
        description="The page with the form: a path below baseUrl, or a whole address.", examples=["/login"]
    )
    steps: tuple[SuiteStep, ...] = Field(
        min_length=1,
        max_length=100,
        description="What is done there, in order.",
        examples=[
            [{"fill": {"selector": "#password", "value": "${{ secrets.PASSWORD }}"}}, {"press": "Enter"}]
        ],
    )
    wait_for: Waits = Field((), description="What shows that it worked.", examples=["#welcome"])


class Stabilize(Part):
    """What is done to a page so that it looks the same each time; false switches a step off."""

    time: values.Flag | None = Field(None, description="One fixed time, and seeded random numbers.")
    animation: values.Flag | None = Field(None, description="Animations end, or stand at their beginning.")
    video: values.Flag | None = Field(None, description="Films stand on their first frame.")
    lazy: values.Flag | None = Field(None, description="What is loaded late is loaded at once.")
    scroll: values.Flag | None = Field(None, description="The page is scrolled through first.")
    fonts: values.Flag | None = Field(None, description="Web fonts are waited for.")
    caret: values.Flag | None = Field(None, description="No caret, and no focus unless a step gave it.")
    hover: values.Flag | None = Field(None, description="Nothing reacts to a mouse that no step moved.")


Masked = Annotated[
    Annotated[values.Selector, Tag("<scalar>")]
    | Annotated[MaskedElements, Tag("<elements>")]
    | Annotated[MaskedBox, Tag("<mapping>")],
    Discriminator(elements_or_box),
]
Maskeds = Annotated[
    tuple[Masked, ...],
    Field(max_length=100),
    BeforeValidator(values.one_or_list, json_schema_input_type=Masked | tuple[Masked, ...]),
]
Selectors = Annotated[
    tuple[values.Selector, ...],
    Field(max_length=100),
    BeforeValidator(values.one_or_list, json_schema_input_type=values.Selector | tuple[values.Selector, ...]),
]
Hosts = Annotated[
    tuple[values.HostPattern, ...],
    Field(max_length=200),
    BeforeValidator(
        values.one_or_list, json_schema_input_type=values.HostPattern | tuple[values.HostPattern, ...]
    ),
]
LoginOrNone = Annotated[
    Annotated[values.No, Tag("<scalar>")] | Annotated[SuiteLogin, Tag("<mapping>")], Discriminator(kind_of)
]


class Shared(Part):
    """The keys that a suite and its tests share."""

    threshold: values.Ratio | None = Field(
        None,
        description="How different a pixel's colour may be: 0 (equal) to 1 (any); 0.1 where nothing is said.",
    )
    max_diff_ratio: values.Ratio | None = Field(
        None, description="Which part of the pixels may differ: 0 (none) to 1 (all).", examples=[0.001]
    )
    max_diff_pixels: values.Pixels | None = Field(
        None, description="How many pixels may differ.", examples=[20]
    )
    antialiasing: values.Flag | None = Field(
        None, description="Whether pixels count that differ only in how an edge is smoothed."
    )
    align: values.Flag | None = Field(
        None,
        description="Whether rows that were inserted or removed are found; false: rows are compared by height.",
    )
    mask: Maskeds = Field(
        (),
        description="What is painted over in the picture: elements by CSS selector, or boxes. A test's come on top.",
        examples=[[".price", {"selector": ".avatar", "color": "#000000"}]],
    )
    hide: Selectors = Field(
        (),
        description="Elements that are made invisible and keep their place. A test's come on top.",
        examples=[[".chat"]],
    )
    css: values.Css | None = Field(
        None,
        description="CSS that is laid over the page.",
        examples=["* { scroll-snap-type: none !important }"],
    )
    headers: dict[str, values.HeaderValue] | None = Field(
        None,
        max_length=50,
        description="Headers of requests to the page's own origin, by name.",
        examples=[{"X-Preview": "yes"}],
    )
    cookies: tuple[SuiteCookie, ...] | None = Field(
        None,
        max_length=50,
        description="Cookies that the page is asked for with.",
        examples=[[{"name": "consent", "value": "yes"}]],
    )
    basic_auth: BasicAuth | None = Field(
        None,
        description="User name and password, sent to the page's own origin.",
        examples=[{"username": "preview", "password": "${{ secrets.PREVIEW_PASSWORD }}"}],
    )
    local_storage: dict[str, values.StorageValue] | None = Field(
        None,
        max_length=50,
        description="What the local storage of the page's origin holds before its scripts run.",
        examples=[{"theme": "dark"}],
    )
    login: LoginOrNone | None = Field(
        None,
        description="How to log in, once for all pages of a run; false: this page is seen by somebody who is not.",
        examples=[{"path": "/login", "steps": [{"click": "#demo"}], "waitFor": "#welcome"}],
    )
    color_scheme: values.ColorScheme | None = Field(
        None,
        description="What the page is told of the person's taste: light, dark or no-preference.",
        examples=["dark"],
    )
    locale: values.Locale | None = Field(None, description="The person's language.", examples=["de-CH"])
    timezone: values.TimeZone | None = Field(
        None, description="Where the person is, in the IANA database's words.", examples=["Europe/Zurich"]
    )
    block_hosts: Hosts = Field(
        (),
        description="Hosts that nothing is loaded from; * stands for any text. A test's come on top.",
        examples=[["*.ads.example"]],
    )
    stabilize: Stabilize | None = Field(
        None, description="Steps against flakiness that are switched off.", examples=[{"time": False}]
    )

    @property
    def says_something(self) -> bool:
        """Whether any of these keys is given."""
        return not self.model_fields_set.isdisjoint(Shared.model_fields)

    def over(self, below: "Shared") -> Self:
        """These keys with those of `below` where they say nothing; lists of what is covered or blocked add up."""
        chosen: dict[str, Any] = {}
        for name in Shared.model_fields:
            mine, theirs = getattr(self, name), getattr(below, name)
            if name in ("mask", "hide", "block_hosts"):
                chosen[name] = (*theirs, *mine)
            elif name == "stabilize" and mine and theirs:
                chosen[name] = theirs.model_copy(update=mine.model_dump(exclude_none=True))
            else:
                chosen[name] = theirs if mine is None else mine
        return self.model_copy(update=chosen)

    def visitor(self, viewport: Viewport, login_url: str | None) -> vision.Visitor:
        """Who visits the page; `login_url` is where `login` leads."""
        told: dict[str, Any] = {
            "colour_scheme": self.color_scheme, "locale": self.locale, "timezone": self.timezone
        }  # fmt: skip
        if viewport.device:
            device = devices.known()[viewport.device]
            told |= {
                "user_agent": device["userAgent"],
                "is_mobile": device["isMobile"],
                "has_touch": device["hasTouch"],
            }
        login = self.login if isinstance(self.login, SuiteLogin) and login_url else None
        return vision.Visitor(
            headers=tuple((self.headers or {}).items()),
            credentials=(self.basic_auth.username, self.basic_auth.password) if self.basic_auth else None,
            cookies=tuple(vision.Cookie(c.name, c.value, c.domain, c.path) for c in self.cookies or ()),
            local_storage=tuple((self.local_storage or {}).items()),
            login=vision.Login(login_url, tuple(step.step() for step in login.steps), login.wait_for)
            if login and login_url
            else None,
            block_hosts=tuple(dict.fromkeys(self.block_hosts)),
            **{name: value for name, value in told.items() if value is not None},
        )

    def masks(self) -> tuple[vision.Mask, ...]:
        """What is painted over, in the order of the paint."""
        masks = []
        for part in self.mask:
            if isinstance(part, str):
                masks.append(vision.Mask(MASK_COLOUR, part))
            elif isinstance(part, MaskedElements):
                masks.append(vision.Mask(part.color, part.selector))
            else:
                masks.append(vision.Mask(part.color, box=vision.Box(part.x, part.y, part.width, part.height)))
        return tuple(dict.fromkeys(masks))

    def tolerance(self) -> dict[str, Any]:
        """How far the picture may be from its baseline, as far as it is said."""
        return self.model_dump(include=TOLERANCE, exclude_none=True)

    def stabilizers(self) -> frozenset[Stabilizer]:
        """The steps against flakiness that are not switched off."""
        off = {
            step for step in get_args(Stabilizer) if self.stabilize and getattr(self.stabilize, step) is False
        }
        return vision.STABILIZERS - off


def wrong_names(path: Path, keys: object) -> Iterator[Wrong]:
    """Headers that cannot be set and names that none can have. Takes any data."""
    headers = keys.get("headers") if isinstance(keys, dict) else None
    for name in headers if isinstance(headers, dict) else ():
        if len(name) > LONGEST_NAME or not re.fullmatch(values.HTTP_NAME, name):
            message = f'a header\'s name has letters, digits and "-" only, got "{shorten(name)}"'
            yield Wrong((*path, "headers", name), message)
        elif name.lower() in NOT_OURS or name.lower().startswith(("sec-", "proxy-")):
            hint = "; use cookies" if name.lower() == "cookie" else ""
            yield Wrong((*path, "headers", name), f'the header "{shorten(name)}" is the browser\'s own{hint}')


def misplaced_secrets(path: Path, data: object) -> Iterator[Wrong]:
    """Placeholders where nothing is put in their place, or that name no secret. Takes any data."""
    if isinstance(data, dict):
        for key, value in data.items():
            if PLACEHOLDER.search(key):
                yield _misplaced((*path, key))
            yield from misplaced_secrets((*path, key), value)
    elif isinstance(data, list):
        for at, value in enumerate(data):
            yield from misplaced_secrets((*path, at), value)
    elif isinstance(data, str) and "${{" in data:
        strange = [
            found[0] for found in ANY_PLACEHOLDER.finditer(data) if not PLACEHOLDER.fullmatch(found[0])
        ]
        if strange and _may_hold_a_secret(path):
            yield Wrong(
                path, f"{shorten(strange[0])} is not known; a secret is written ${{{{ secrets.NAME }}}}"
            )
        elif PLACEHOLDER.search(data) and not _may_hold_a_secret(path):
            yield _misplaced(path)


def _may_hold_a_secret(path: Path) -> bool:
    """Whether `vision.secrets.texts_of` finds the text at this path."""
    place = next((key for key in path if key in SECRET_PLACES), None)
    return place is not None and (place not in SECRET_VALUES or path[-1] == "value")


def _misplaced(path: Path) -> Wrong:
    places = "basicAuth and the values of headers, localStorage, cookies and fill steps"
    return Wrong(path, f"a secret is not filled in here, only in {places}")
