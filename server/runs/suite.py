"""What a suite may say (YAML, docs/suite.md), and the shots it stands for: its tests times their viewports.

Its smaller parts are in suite_parts.py, single values in suite_values.py; reading YAML with line and column is
in suite_yaml.py, wording what is wrong in suite_problems.py; taking the shots is in server.vision.
"""

import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import NullableSchema, WithDefaultSchema

from server.runs import suite_values as values
from server.runs.suite_parts import (
    ACTIONS,
    IgnoredBox,
    IgnoredElements,
    Ignoreds,
    PressedKey,
    SuiteStep,
    TypedText,
    Viewport,
    ViewportChoice,
    Waits,
)
from server.runs.suite_problems import MOST_PROBLEMS, Grammar, Wrong, problems_of, reading_order, suggestion
from server.runs.suite_visitor import (
    BasicAuth,
    MaskedBox,
    MaskedElements,
    Shared,
    Stabilize,
    SuiteCookie,
    SuiteLogin,
    misplaced_secrets,
    wrong_names,
)
from server.runs.suite_yaml import Problem, SuiteError, read, shorten
from server.vision.page import Box, Page, Visitor

__all__ = ["Problem", "Shot", "Suite", "SuiteError", "Test", "Viewport", "json_schema", "parse"]

MAX_TESTS = 10_000
MAX_VIEWPORTS = 20
MAX_SHOTS = 20_000
MAX_URL_CHARACTERS = 2000
MAX_EXPANDED_BYTES = 64 * 1024 * 1024


class Test(Shared):
    """A page, what is done there, and how it is compared."""

    __test__ = False  # for pytest, which takes classes of this name for its own

    name: values.TestName = Field(
        description="What the test is called; no other has the name.", examples=["Home"]
    )
    path: values.PagePath = Field(
        description="The page: a path below baseUrl, or a whole http or https address.", examples=["/login"]
    )
    viewports: tuple[ViewportChoice, ...] | None = Field(
        None,
        min_length=1,
        max_length=MAX_VIEWPORTS,
        description="Viewports of the suite by name, or viewports of this test alone. Left out: all of the suite's.",
        examples=[["desktop"]],
    )
    full_page: values.Flag | None = Field(None, description="As the suite's fullPage, for this test.")
    element: values.Selector | None = Field(
        None,
        description="Only this element is pictured: the first that the CSS selector finds.",
        examples=["#chart"],
    )
    wait_for: Waits | None = Field(None, description="As the suite's waitFor, and instead of it.")
    ignore: Ignoreds = Field((), description="As the suite's ignore, and besides it.", examples=[[".clock"]])
    retries: values.Retries | None = Field(None, description="As the suite's retries, for this test.")
    status: values.Status | None = Field(
        None,
        description="The HTTP status that the page answers with. Left out: any below 400.",
        examples=[404],
    )
    steps: tuple[SuiteStep, ...] = Field(
        (), max_length=100, description="What is done on the page, in order, before its picture is taken."
    )
    was: values.OldNames = Field(
        (),
        description="What the test was called before: its history under these names counts on.",
        examples=["Start page"],
    )


_DESKTOP = Viewport(name="desktop", width=1280, height=800)


class Suite(Shared):
    """The pages of a site that retestr watches, and how it looks at them."""

    base_url: values.BaseUrl | None = Field(
        None,
        description="Where the site is. It can be given with a run instead.",
        examples=["https://staging.example.com"],
    )
    viewports: tuple[Viewport, ...] = Field(
        (_DESKTOP,),
        min_length=1,
        max_length=MAX_VIEWPORTS,
        description="The windows that every page is seen through.",
    )
    retries: values.Retries = Field(
        1,
        description="How often a page that looks different or cannot be captured is captured again before that counts.",
    )
    full_page: values.Flag = Field(
        True, description="The whole page (true), or what the viewport shows (false)."
    )
    wait_for: Waits = Field(
        (),
        description="What is waited for before a picture is taken: an element, milliseconds, or a list of both.",
        examples=["#ready", 500],
    )
    ignore: Ignoreds = Field(
        (),
        description="What is left out of the comparison: elements by CSS selector, or boxes.",
        examples=[[".clock", {"x": 0, "y": 0, "width": 300, "height": 50}]],
    )
    tests: tuple[Test, ...] = Field(
        min_length=1,
        max_length=MAX_TESTS,
        description="The tests, in order.",
        examples=[[{"name": "Home", "path": "/"}]],
    )

    def with_base_url(self, url: str) -> Self:
        """The same suite for another place of the site; raises SuiteError if `url` is no http(s) address."""
        try:
            base_url = TypeAdapter(values.BaseUrl).validate_python(url)
        except ValidationError as error:
            message = f"baseUrl must be {error.errors()[0]['msg']}, got {values.shown(url)}"
            raise SuiteError([Problem(1, 1, "baseUrl", message)]) from None
        return self.model_copy(update={"base_url": base_url})

    def shots(self, patterns: Sequence[str] = ()) -> list["Shot"]:
        """Every test in every viewport it is for, in the suite's order.

        Given patterns, only of the tests that one of them names: exactly, or as a shell pattern (`Shop*`).
        A pattern that names no test adds nothing. Raises SuiteError where a page has no address because
        there is no base URL.
        """
        names = chosen([test.name for test in self.tests], patterns)
        return [shot for test in self.tests if test.name in names for shot in self._shots_of(test)]

    def viewports_of(self, test: Test) -> list[Viewport]:
        """The viewports that a test is for: those of the suite, or those it names or defines."""
        by_name = {viewport.name: viewport for viewport in self.viewports}
        choices = self.viewports if test.viewports is None else test.viewports
        return [by_name[choice] if isinstance(choice, str) else choice for choice in choices]

    def _shots_of(self, test: Test) -> Iterator["Shot"]:
        ignored = (*self.ignore, *test.ignore)
        selectors = [
            part if isinstance(part, str) else part.selector
            for part in ignored
            if not isinstance(part, IgnoredBox)
        ]
        boxes = [
            Box(part.x, part.y, part.width, part.height) for part in ignored if isinstance(part, IgnoredBox)
        ]
        shared = test.over(self) if test.says_something else self
        login_url = self._url(shared.login.path, test) if isinstance(shared.login, SuiteLogin) else None
        # All but the window and who looks through it, once for every viewport.
        alike: dict[str, Any] = {
            "url": self._url(test.path, test),
            "full_page": self.full_page if test.full_page is None else test.full_page,
            "element": test.element,
            "wait_for": self.wait_for if test.wait_for is None else test.wait_for,
            "steps": tuple(step.step() for step in test.steps),
            "ignore_selectors": tuple(dict.fromkeys(selectors)),
            "ignore_boxes": tuple(dict.fromkeys(boxes)),
            "status": test.status,
            "stabilize": shared.stabilizers(),
            "mask": shared.masks(),
            "hide": tuple(dict.fromkeys(shared.hide)),
            "css": shared.css or "",
        }
        retries = self.retries if test.retries is None else test.retries
        tolerance = shared.tolerance()
        visitors: dict[str | None, Visitor] = {}
        for viewport in self.viewports_of(test):
            if viewport.device not in visitors:
                visitors[viewport.device] = shared.visitor(viewport, login_url)
            page = Page(
                width=viewport.width,
                height=viewport.height,
                scale=viewport.device_scale_factor,
                visitor=visitors[viewport.device],
                **alike,
            )
            yield Shot(test.name, viewport, page, retries=retries, was=test.was, **tolerance)

    def _url(self, path: str, test: Test) -> str:
        if not path.startswith("/"):
            return path
        if self.base_url is None:
            message = f'baseUrl is missing: the test "{test.name}" has only a path; name it in the suite or with the run'
            raise SuiteError([Problem(1, 1, "baseUrl", message)])
        if len(self.base_url + path) > MAX_URL_CHARACTERS:
            message = f'the address of the test "{test.name}", baseUrl and path, has more than {MAX_URL_CHARACTERS} characters'
            raise SuiteError([Problem(1, 1, "baseUrl", message)])
        return self.base_url + path


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture to take, how far it may be from its baseline, and how often it is taken again where it is not.

    `threshold` to `align` are those of `vision.compare.Options`.
    """

    test: str
    viewport: Viewport
    page: Page
    threshold: float = 0.1
    max_diff_ratio: float = 0.0
    max_diff_pixels: int = 0
    antialiasing: bool = False
    align: bool = True
    retries: int = 1
    was: tuple[str, ...] = ()  # earlier names of the test

    def to_json(self) -> str:
        """The shot as JSON text, for a database row."""
        return _SHOT.dump_json(self, by_alias=True).decode()

    @classmethod
    def from_json(cls, text: str) -> "Shot":
        """The shot that `to_json` wrote."""
        return _SHOT.validate_json(text)


_SHOT = TypeAdapter(Shot)
_GRAMMAR = Grammar(
    root=Suite,
    below={
        "tests": [Test], "viewports": [Viewport], "ignore": [IgnoredElements, IgnoredBox], "steps": [*ACTIONS.values()],
        "fill": [TypedText], "press": [PressedKey], "mask": [MaskedElements, MaskedBox], "cookies": [SuiteCookie],
        "basicAuth": [BasicAuth], "login": [SuiteLogin], "stabilize": [Stabilize], "headers": [], "localStorage": [],
    },
)  # fmt: skip


def parse(text: str) -> Suite:
    """The suite that a YAML text describes; raises SuiteError with everything that is wrong, and nothing else."""
    root, problems = read(text)
    data = root.data()
    wrong = list(_contradictions(data))
    try:
        suite = Suite.model_validate(data)
    except ValidationError as error:
        wrong = [Wrong.of_pydantic(details) for details in error.errors(include_url=False)] + wrong
    else:
        wrong += _excesses(suite)
    problems += problems_of(wrong, root, _GRAMMAR)
    if problems:
        raise SuiteError(sorted(problems, key=reading_order))
    return suite


class _Schema(GenerateJsonSchema):
    """Without what helps nobody in an editor: generated titles, and null, which no suite may say."""

    def nullable_schema(self, schema: NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        whole = super().default_schema(schema)
        return {key: value for key, value in whole.items() if (key, value) != ("default", None)}

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a suite, for editors that help with YAML."""
    schema = Suite.model_json_schema(by_alias=True, schema_generator=_Schema)
    return {"$schema": _Schema.schema_dialect, **schema, "title": "retestr suite"}


def chosen(names: Sequence[str], patterns: Sequence[str]) -> set[str]:
    """The names that one of the patterns names: exactly, or as a shell pattern (`Shop*`); all without patterns."""
    if not patterns:
        return set(names)
    exact = set(names) & set(patterns)
    shell = [re.compile(fnmatch.translate(pattern)) for pattern in set(patterns) - exact]
    return exact | {name for name in names if any(pattern.match(name) for pattern in shell)}


def _excesses(suite: Suite) -> Iterator[Wrong]:
    """What is too much only once tests are multiplied by viewports; viewports may be misnamed."""
    for_all = len(suite.model_dump_json(exclude={"tests"}))
    counts = [len(suite.viewports if test.viewports is None else test.viewports) for test in suite.tests]
    if (shots := sum(counts)) > MAX_SHOTS:
        message = f"tests times viewports make {shots} pictures; at most {MAX_SHOTS} are allowed"
        yield Wrong(("tests",), message)
    sizes = [for_all + len(test.model_dump_json()) for test in suite.tests]
    if sum(count * size for count, size in zip(counts, sizes, strict=True)) > MAX_EXPANDED_BYTES:
        message = f"the suite is too long for its {shots} pictures; shorten what is said for all of them"
        yield Wrong(("tests",), message)


def _contradictions(data: object) -> Iterator[Wrong]:
    """What only shows between values: names given twice, viewports that are not there. Takes any data."""
    suite = data if isinstance(data, dict) else {}
    yield from _repeated(("viewports",), suite.get("viewports"))
    yield from _repeated(("tests",), suite.get("tests"))
    yield from _taken_names(suite.get("tests"))
    yield from misplaced_secrets((), data)
    yield from wrong_names((), suite)
    known = _known_viewports(suite)
    hints = 0
    for at, test in enumerate(suite["tests"] if isinstance(suite.get("tests"), list) else []):
        yield from wrong_names(("tests", at), test)
        choices = test.get("viewports") if isinstance(test, dict) else None
        path = ("tests", at, "viewports")
        yield from _repeated(path, choices)
        for choice_at, choice in enumerate(choices if isinstance(choices, list) else []):
            if isinstance(choice, str) and known and (name := choice.strip()) and name not in known:
                hints += 1
                hint = suggestion(name, known) if hints <= MOST_PROBLEMS else ""  # nobody is told of more
                yield Wrong((*path, choice_at), f'the suite has no viewport "{shorten(name)}"{hint}')


def _known_viewports(suite: dict[str, Any]) -> dict[str, None]:
    """The names of the suite's viewports, in order; none where these are wrong themselves, or too many."""
    viewports = suite.get("viewports", [_DESKTOP.name])
    if not isinstance(viewports, list) or len(viewports) > MAX_VIEWPORTS:
        return {}
    return dict.fromkeys(filter(None, map(_name, viewports)))


def _repeated(path: tuple[str | int, ...], entries: object) -> Iterator[Wrong]:
    first: dict[str, int] = {}
    for at, entry in enumerate(entries if isinstance(entries, list) else []):
        if (name := _name(entry)) and first.setdefault(name, at) != at:
            place = (*path, at, "name") if isinstance(entry, dict) else (*path, at)
            yield Wrong(place, f'the name "{shorten(name)}" is taken by {path[-1]}[{first[name]}]')


def _taken_names(tests: object) -> Iterator[Wrong]:
    """Earlier names (`was`) that a test of the suite has, or another test had."""
    tests = tests if isinstance(tests, list) else []
    owners = {name: f"tests[{at}]" for at, test in enumerate(tests) if (name := _name(test))}
    for at, test in enumerate(tests):
        was = test.get("was") if isinstance(test, dict) else None
        for name in dict.fromkeys(map(_name, values.one_or_list(was or []))):
            if name and owners.setdefault(name, f"was of tests[{at}]") != f"was of tests[{at}]":
                message = (
                    f'the name "{shorten(name)}" is taken by {owners[name]}; a history belongs to one test'
                )
                yield Wrong(("tests", at, "was"), message)


def _name(entry: object) -> str:
    name = entry.get("name") if isinstance(entry, dict) else entry
    return name.strip() if isinstance(name, str) else ""
