"""Suites: what is read from good ones, and what people are told about bad ones."""

import json
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from server.runs import devices, suite_yaml
from server.runs.suite import Shot, Suite, SuiteError, Viewport, json_schema, parse
from server.vision.page import STABILIZERS, Box, Cookie, Login, Mask, Step

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/shop/retestr.yml"

SMALLEST = """\
baseUrl: https://staging.example.com
tests:
  - name: Home
    path: /
"""

FULL = """\
baseUrl: https://x.example/app/
threshold: 0.2
maxDiffRatio: 1e-3
fullPage: no
waitFor: ["#ready", 500]
ignore: .advert
viewports:
  - {name: desktop, width: 1280, height: 800}
  - {name: phone, width: 390, height: 844, deviceScaleFactor: 2}
tests:
  - name: Login
    path: /login
    viewports: [phone, {name: tv, width: 1920, height: 1080}]
    fullPage: true
    element: "#form"
    waitFor: .form
    threshold: 0
    maxDiffRatio: 0.5
    status: 401
    ignore:
      - .clock
      - selector: .advert
      - {x: 1, y: 2, width: 3, height: 4}
    steps:
      - click: "#buy"
      - fill: {selector: "#q", value: 12.50}
      - hover: .menu
      - press: Enter
      - press: {selector: "#q", key: Control+A}
      - scroll: 800
      - scroll: "#footer"
      - wait: 500
      - wait: "#ready"
  - name: Elsewhere
    path: https://other.example/page?x=1#top
"""


def one_test(lines: str) -> str:
    """A suite whose only test has these lines besides its name; they start on line 3."""
    return "tests:\n  - name: Home\n" + "".join(f"    {line}\n" for line in lines.splitlines())


def problems_of(text: str) -> list[tuple[int, int, str, str]]:
    with pytest.raises(SuiteError) as caught:
        parse(text)
    return [(p.line, p.column, p.path, p.message) for p in caught.value.problems]


def test_the_smallest_suite_has_the_documented_defaults():
    (shot,) = parse(SMALLEST).shots()
    assert (shot.test, shot.threshold, shot.max_diff_ratio) == ("Home", 0.1, 0)
    assert (shot.viewport.name, shot.viewport.width, shot.viewport.height) == ("desktop", 1280, 800)
    page = shot.page
    assert (page.url, page.width, page.height, page.scale) == ("https://staging.example.com/", 1280, 800, 1)
    assert page.full_page is True
    assert (page.element, page.wait_for, page.steps, page.status) == (None, (), (), None)


def test_everything_a_test_can_say_arrives_in_its_page():
    shot = parse(FULL).shots()[0]
    page = shot.page
    assert (shot.test, shot.viewport.name, shot.threshold, shot.max_diff_ratio) == ("Login", "phone", 0, 0.5)
    assert (page.url, page.scale, page.full_page, page.status) == (
        "https://x.example/app/login",
        2,
        True,
        401,
    )
    assert (page.element, page.wait_for) == ("#form", (".form",))
    assert page.ignore_selectors == (".advert", ".clock")
    assert page.ignore_boxes == (Box(1, 2, 3, 4),)
    assert page.steps == (
        Step("click", "#buy"),
        Step("fill", "#q", "12.50"),
        Step("hover", ".menu"),
        Step("press", None, "Enter"),
        Step("press", "#q", "Control+A"),
        Step("scroll", None, 800),
        Step("scroll", "#footer"),
        Step("wait", None, 500),
        Step("wait", "#ready"),
    )


def test_a_test_that_says_nothing_has_what_the_suite_says():
    elsewhere = [shot for shot in parse(FULL).shots() if shot.test == "Elsewhere"]
    assert [shot.viewport.name for shot in elsewhere] == ["desktop", "phone"]
    shot = elsewhere[0]
    assert (shot.threshold, shot.max_diff_ratio) == (0.2, 0.001)
    assert (shot.page.full_page, shot.page.wait_for) == (False, ("#ready", 500))
    assert shot.page.ignore_selectors == (".advert",)
    assert shot.page.url == "https://other.example/page?x=1#top"


def test_shots_come_in_the_order_of_tests_then_viewports():
    order = [(shot.test, shot.viewport.name) for shot in parse(FULL).shots()]
    assert order == [("Login", "phone"), ("Login", "tv"), ("Elsewhere", "desktop"), ("Elsewhere", "phone")]


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://x.example", "/", "https://x.example/"),
        ("https://x.example/", "/login", "https://x.example/login"),
        ("https://x.example/app", "/login", "https://x.example/app/login"),
        ("https://x.example/app/", "/?q=1", "https://x.example/app/?q=1"),
        ("http://[::1]:8080", "//other.example", "http://[::1]:8080//other.example"),
        ("http://u:p@x.example", "http://y.example", "http://y.example"),
    ],
)
def test_a_path_is_put_behind_the_whole_base_url(base: str, path: str, url: str):
    suite = parse(one_test(f"path: {path}")).with_base_url(base)
    assert suite.shots()[0].page.url == url


def test_the_base_url_of_a_run_replaces_the_suites():
    suite = parse(SMALLEST)
    assert suite.with_base_url("https://preview.example").shots()[0].page.url == "https://preview.example/"
    assert suite.base_url == "https://staging.example.com"


@pytest.mark.parametrize(
    "url",
    ["", "x.example", "ftp://x", "http://", "https://x/?q", "https://x#y", "http://[::1", "http://x:99999",
     "http://a b", "http://a\nb", "//x", "javascript:alert(1)", "http:\\\\x", "file:///etc/passwd"],
)  # fmt: skip
def test_a_base_url_that_is_no_http_address_is_refused(url: str):
    with pytest.raises(SuiteError, match="baseUrl must be an http or https address"):
        parse(SMALLEST).with_base_url(url)


def test_a_path_without_a_base_url_is_told_when_the_shots_are_wanted():
    with pytest.raises(SuiteError, match='baseUrl is missing: the test "Home" has only a path'):
        parse(one_test("path: /")).shots()
    assert parse(one_test("path: http://x.example/a")).shots()[0].page.url == "http://x.example/a"


NAMES = ["Shop", "Shop: cart", "shop", "A [1]", "A 1", "x*"]


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ([], NAMES),
        (["Shop"], ["Shop"]),
        (["Shop*"], ["Shop", "Shop: cart"]),
        (["[Ss]hop"], ["Shop", "shop"]),
        (["A [1]"], ["A [1]"]),
        (["x*"], ["x*"]),
        (["shop", "Shop"], ["Shop", "shop"]),
        (["?hop*", "A 1"], ["Shop", "Shop: cart", "shop", "A 1"]),
        (["none"], []),
    ],
)
def test_patterns_choose_tests_by_exact_name_first(patterns: list[str], chosen: list[str]):
    tests = [{"name": name, "path": "/"} for name in NAMES]
    suite = parse(json.dumps({"baseUrl": "http://x.example", "tests": tests}))
    assert [shot.test for shot in suite.shots(patterns)] == chosen


def test_a_pattern_made_to_be_slow_is_not():
    suite = parse(json.dumps({"baseUrl": "http://x.example", "tests": [{"name": "a" * 200, "path": "/"}]}))
    began = time.monotonic()
    assert suite.shots(["a*" * 50 + "b"]) == []
    assert time.monotonic() - began < 2


def test_a_shot_survives_the_way_through_a_database_row():
    for shot in parse(FULL).shots():
        text = shot.to_json()
        assert Shot.from_json(text) == shot
        assert json.loads(text)["page"]["url"] == shot.page.url


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("404", "404"),
        ("1.50", "1.50"),
        ("no", "no"),
        ("null", "null"),
        ("2024-01-31", "2024-01-31"),
        ('" x "', "x"),
    ],
)
def test_a_name_is_text_whatever_yaml_takes_it_for(written: str, name: str):
    assert parse(f"tests: [{{name: {written}, path: /}}]").tests[0].name == name


@pytest.mark.parametrize(
    ("written", "meant"),
    [("yes", True), ("On", True), ("TRUE", True), ("no", False), ("off", False), ("false", False)],
)
def test_truth_is_understood_in_yamls_old_words_too(written: str, meant: bool):
    assert parse(one_test(f"path: /\nfullPage: {written}")).tests[0].full_page is meant


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm():
    assert parse("\ufeff" + SMALLEST.replace("\n", "\r\n")) == parse(SMALLEST)


def test_an_anchor_can_be_used_again():
    suite = parse("tests:\n  - {name: a, path: /, ignore: &i [.x, .y]}\n  - {name: b, path: /, ignore: *i}\n")
    assert suite.tests[0].ignore == suite.tests[1].ignore == (".x", ".y")


BAD = [
    # text, line, column, path, part of the message
    ("", 1, 1, "", "the suite is empty"),
    ("# nothing yet\n", 1, 1, "", "the suite is empty"),
    ("~", 1, 1, "", "the suite is empty"),
    ("hello", 1, 1, "", 'the suite must be a mapping with some of the keys baseUrl, viewports, threshold, maxDiffRatio, retries, fullPage, waitFor, ignore, tests, mask, hide'),
    ("- a", 1, 1, "", "got a list"),
    ("baseUrl: http://x.example", 1, 1, "", 'the suite has no "tests", for example tests: [{"name": "Home", "path": "/"}]'),
    ("tests: []", 1, 8, "tests", "tests must have at least one entry"),
    ("tests:\n", 1, 1, "tests", "tests must be a list"),
    ("tests: {name: a}", 1, 8, "tests", "got a mapping"),
    ("tests:\n  - Home\n", 2, 5, "tests[0]", 'tests[0] must be a mapping with some of the keys name, path'),
    ("tests:\n  - name: Home\n", 2, 5, "tests[0]", 'tests[0] has no "path", for example path: "/login"'),
    # values
    ("maxDiffRatio: a lot\n" + SMALLEST, 1, 15, "maxDiffRatio", 'maxDiffRatio must be a number from 0 to 1, got "a lot"'),
    ("maxDiffRatio: 1.5\n" + SMALLEST, 1, 15, "maxDiffRatio", "must be a number from 0 to 1, got 1.5"),
    ("threshold: .nan\n" + SMALLEST, 1, 12, "threshold", 'must be a number from 0 to 1, got ".nan"'),
    ("threshold: 1e999\n" + SMALLEST, 1, 12, "threshold", "must be a number from 0 to 1, got 1e999"),
    ('threshold: "0.1"\n' + SMALLEST, 1, 12, "threshold", "written without quotes"),
    ("threshold:\n" + SMALLEST, 1, 1, "threshold", "must be a number from 0 to 1, got nothing"),
    ("fullPage: maybe\n" + SMALLEST, 1, 11, "fullPage", 'fullPage must be true or false, got "maybe"'),
    ("fullPage: null\n" + SMALLEST, 1, 11, "fullPage", "fullPage must be true or false, got nothing"),
    (SMALLEST.replace("https://", ""), 1, 10, "baseUrl", 'got "staging.example.com"'),
    (one_test("path: login"), 3, 11, "tests[0].path", 'path must be a path that starts with / or a whole http or https address, of at most 2000 characters, got "login"'),
    (one_test("path: file:///etc/passwd"), 3, 11, "tests[0].path", "must be a path that starts with /"),
    (one_test("path: /\nelement: #buy"), 4, 5, "tests[0].element", 'element must be a CSS selector (quotes keep YAML from reading # as a comment: "#buy"), got nothing'),
    (one_test("path: /\nelement: [data-x]"), 4, 14, "tests[0].element", "quotes keep YAML from reading [ as a list"),
    (one_test("path: /\nwaitFor: 30001"), 4, 14, "tests[0].waitFor", "milliseconds as a whole number from 0 to 30000"),
    (one_test("path: /\nwaitFor: [.a, 1.5]"), 4, 19, "tests[0].waitFor[1]", "waitFor[1] must be a CSS selector, or milliseconds"),
    (one_test("path: /\nstatus: 99"), 4, 13, "tests[0].status", "status must be a whole number from 100 to 599, got 99"),
    (one_test("path: /\nignore: [{x: 1, y: -2, width: 3, height: 4}]"), 4, 24, "tests[0].ignore[0].y", "y must be a whole number of CSS pixels"),
    (one_test("path: /\nignore: {x: 1, y: 2, width: 3}"), 4, 13, "tests[0].ignore", 'ignore has no "height"'),
    (f"tests: [{{name: {'x' * 201}, path: /}}]", 1, 16, "tests[0].name", "name must be text of 1 to 200 characters on one line"),
    ('tests: [{name: "a\\nb", path: /}]', 1, 16, "tests[0].name", "on one line"),
    ('tests: [{name: " ", path: /}]', 1, 16, "tests[0].name", "text of 1 to 200"),
    ("tests: [{name: , path: /}]", 1, 10, "tests[0].name", "got nothing"),
    ("viewports: []\n" + SMALLEST, 1, 12, "viewports", "viewports must have at least one entry"),
    ("viewports: [{name: a, width: 99, height: 800}]\n" + SMALLEST, 1, 30, "viewports[0].width", "from 100 to 10000, got 99"),
    ("viewports: [{name: a, width: 100.5, height: 800}]\n" + SMALLEST, 1, 30, "viewports[0].width", "whole number"),
    ("viewports: [{name: a, width: 100, height: 800, deviceScaleFactor: 5}]\n" + SMALLEST, 1, 67, "viewports[0].deviceScaleFactor", "from 0.5 to 4, got 5"),
    ("viewports: [{name: a, device: iPhome 15}]\n" + SMALLEST, 1, 31, "viewports[0].device", 'device must be the name of a device that Playwright knows (closest: "iPhone 15"), got "iPhome 15"'),
    ("viewports: [{name: a}]\n" + SMALLEST, 1, 13, "viewports[0]", 'viewports[0] has no "width"'),
    # who visits, and what is covered
    (one_test("path: /\nmask: [{selector: .a, color: red}]"), 4, 34, "tests[0].mask[0].color", 'color must be a colour such as #ff69b4, got "red"'),
    (one_test("path: /\nmask: {x: 1}"), 4, 11, "tests[0].mask", 'mask has no "y"'),
    (one_test("path: /\nhide: 3"), 4, 11, "tests[0].hide", "hide must be a CSS selector, got 3"),
    (one_test("path: /\nheaders: x"), 4, 14, "tests[0].headers", 'headers must be a mapping of names and values, got "x"'),
    (one_test("path: /\nheaders: {X Y: 1}"), 4, 20, "tests[0].headers.X Y", 'has letters, digits and "-" only, got "X Y"'),
    (one_test("path: /\nheaders: {Cookie: a}"), 4, 23, "tests[0].headers.Cookie", "is the browser's own; use cookies"),
    (one_test('path: /\nheaders: {X: "a\\nb"}'), 4, 18, "tests[0].headers.X", "X must be text of 0 to 8000 characters on one line"),
    (one_test("path: /\ncookies: [{name: a b, value: c}]"), 4, 22, "tests[0].cookies[0].name", "name must be a cookie's name"),
    (one_test("path: /\ncookies: [{name: a, value: b;c}]"), 4, 32, "tests[0].cookies[0].value", "on one line without ;"),
    (one_test("path: /\ncookies: [{name: a, value: b, domain: http://x}]"), 4, 43, "tests[0].cookies[0].domain", "without scheme and port"),
    (one_test("path: /\nbasicAuth: {username: a}"), 4, 16, "tests[0].basicAuth", 'basicAuth has no "password"'),
    (one_test("path: /\nlogin: yes"), 4, 12, "tests[0].login", 'login must be a mapping with path and steps, or false, got "yes"'),
    (one_test("path: /\nlogin: {path: /}"), 4, 12, "tests[0].login", 'login has no "steps"'),
    (one_test("path: /\nlogin: {path: /, steps: [{clik: a}]}"), 4, 31, "tests[0].login.steps[0]", 'did you mean "click"?'),
    (one_test("path: /\ncolorScheme: sepia"), 4, 18, "tests[0].colorScheme", "colorScheme must be light, dark or no-preference"),
    (one_test("path: /\nlocale: german"), 4, 13, "tests[0].locale", "such as en-US or de-CH"),
    (one_test("path: /\ntimezone: Europe/Zurch"), 4, 15, "tests[0].timezone", '(closest: "Europe/Zurich")'),
    (one_test("path: /\nblockHosts: [http://x]"), 4, 18, "tests[0].blockHosts[0]", "without scheme and port"),
    (one_test("path: /\nstabilize: {tine: no}"), 4, 17, "tests[0].stabilize.tine", 'did you mean "time"?'),
    (one_test("path: /\nstabilize: {time: never}"), 4, 23, "tests[0].stabilize.time", "time must be true or false"),
    (one_test("path: /\ncss: '@import \"x\"'"), 4, 10, "tests[0].css", "css must be CSS that loads nothing"),
    (one_test("path: /\ncss: 'a{b:u\\72 l(http://x)}'"), 4, 10, "tests[0].css", "css must be CSS that loads nothing"),
    (one_test("path: /\ncss: 'a{b:image-set(\"http://x\" 1x)}'"), 4, 10, "tests[0].css", "css must be CSS that loads nothing"),
    (one_test("path: /\nelement: '${{ secrets.KEY }}'"), 4, 14, "tests[0].element", "a secret is not filled in here, only in headers, cookies"),
    (one_test("path: /\nheaders: {X: '${{ env.KEY }}'}"), 4, 18, "tests[0].headers.X", "${{ env.KEY }} is not known; a secret is written ${{ secrets.NAME }}"),
    # steps
    (one_test("path: /\nsteps: [click]"), 4, 13, "tests[0].steps[0]", "steps[0] must be one of click, fill, hover, press, scroll, wait"),
    (one_test("path: /\nsteps: [{clik: a}]"), 4, 14, "tests[0].steps[0]", '"clik" is no step, did you mean "click"?'),
    (one_test("path: /\nsteps: [{sing: a}]"), 4, 14, "tests[0].steps[0]", '"sing" is no step; a step is one of click'),
    (one_test("path: /\nsteps:\n  - click: a\n    hover: b"), 6, 9, "tests[0].steps[0].hover", '"hover" must be a step of its own'),
    (one_test('path: /\nsteps: [{fill: "#q"}]'), 4, 20, "tests[0].steps[0].fill", "fill must be a mapping with some of the keys selector, value"),
    (one_test("path: /\nsteps: [{press: {key: A}}]"), 4, 21, "tests[0].steps[0].press", 'press has no "selector"'),
    (one_test("path: /\nsteps: [{wait: 99999}]"), 4, 20, "tests[0].steps[0].wait", "from 0 to 30000"),
    # keys and names
    ("waitfor: a\n" + SMALLEST, 1, 1, "waitfor", '"waitfor" is not known here, did you mean "waitFor"?'),
    ("max_diff_ratio: 0\n" + SMALLEST, 1, 1, "max_diff_ratio", 'did you mean "maxDiffRatio"?'),
    (one_test("path: /\nviewport: [a]"), 4, 5, "tests[0].viewport", 'did you mean "viewports"?'),
    (one_test("path: /\nxyz: 1"), 4, 5, "tests[0].xyz", "tests[0] takes name, path, viewports"),
    (SMALLEST + "baseUrl: http://x\n", 5, 1, "baseUrl", 'the key "baseUrl" is here twice; line 1 has it already'),
    (SMALLEST + "  - name: Home\n    path: /b\n", 5, 11, "tests[1].name", 'the name "Home" is taken by tests[0]'),
    (one_test("path: /\nviewports: [dekstop]"), 4, 17, "tests[0].viewports[0]", 'no viewport "dekstop", did you mean "desktop"?'),
    (one_test("path: /\nviewports: [desktop, desktop]"), 4, 26, "tests[0].viewports[1]", "is taken by viewports[0]"),
    ("<<: {threshold: 0}\n" + SMALLEST, 1, 1, "", "merge keys (<<) are not supported"),
    ("? [a]\n: b\n", 1, 3, "", "a key must be text"),
    # YAML itself
    ("a: b: c", 1, 5, "", 'not valid YAML: a ": " is not expected here'),
    ("tests:\n\t- name: a\n", 2, 1, "", "not valid YAML: a line is indented with a tab; use spaces"),
    ("tests:\n  - name: a\n   path: /\n", 3, 4, "", "not valid YAML: "),
    ("a: ]", 1, 4, "", "not valid YAML: "),
    ('name: "a', 1, 9, "", "not valid YAML: "),
    (SMALLEST + "---\n" + SMALLEST, 5, 1, "", "a second one starts here"),
    ("a: b\nc: \0", 2, 4, "", "the character U+0000 is not allowed in YAML"),
    ('tests: [{name: "a\\0b", path: /}]', 1, 16, "tests[0].name", "the character U+0000 is not allowed"),
    ("a: \ud800", 1, 4, "", "the character U+D800 is not allowed in YAML"),
    ("a: !!python/object/apply:os.system [ls]\n" + SMALLEST, 1, 4, "a", "tags (written with !) are not supported"),
    ("a: *b", 1, 4, "a", "the anchor &b was not defined above"),
    ("a: &b [*b]", 1, 8, "a[0]", "the anchor &b contains itself"),
    ("[" * 500_000, 1, 22, "[0][0][0]", "nested more than 20 levels deep"),
    ("? " * 100_000, 1, 3, "", "a key must be text"),
    ("#" * 1_048_577, 1, 1, "", "larger than 1 MiB"),
    ("é" * 600_000, 1, 1, "", "larger than 1 MiB"),
]  # fmt: skip


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@pytest.mark.parametrize(("text", "line", "column", "path", "part"), BAD, ids=[case[4][:60] for case in BAD])
def test_a_bad_suite_is_told_where_and_what(text, line, column, path, part, loader, monkeypatch):
    monkeypatch.setattr(suite_yaml, "_LOADER", getattr(yaml, loader, yaml.SafeLoader))
    problems = problems_of(text)
    assert any((line, column, path) == found[:3] and part in found[3] for found in problems), problems


def test_all_that_is_wrong_is_told_at_once_in_reading_order():
    text = "threshold: 2\nbaseUrl: x\nbaseUrl: y\ntests:\n  - {name: a, path: b}\n  - {name: a, path: /, colour: red}\n"
    paths = [path for _, _, path, _ in problems_of(text)]
    assert paths == ["threshold", "baseUrl", "baseUrl", "tests[0].path", "tests[1].name", "tests[1].colour"]


def test_one_wrong_entry_does_not_make_its_list_look_empty():
    assert len(problems_of("tests: [{name: a, path: b}]")) == 1


def test_of_very_many_problems_a_hundred_are_told_and_the_rest_counted():
    problems = problems_of("".join(f"k{at}: 1\n" for at in range(500)) + SMALLEST)
    assert len(problems) == 101
    assert problems[-1][3] == "and 400 more problems"


def test_the_error_reads_as_one_line_per_problem():
    with pytest.raises(SuiteError) as caught:
        parse("threshold: 2\n" + SMALLEST)
    assert str(caught.value) == "line 1, column 12: threshold must be a number from 0 to 1, got 2"


BOMBS = {
    "aliases of aliases": "a0: &a0 [x, x]\n"
    + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 100)),
    "wide aliases": "a: &a [" + "x," * 1000 + "]\nb: &b [" + "*a," * 1000 + "]\nc: [" + "*b," * 1000 + "]",
    "a long text often": "a: &a " + "x" * 500_000 + "\nb: [" + "*a," * 100_000 + "]",
    "many entries": "- a\n" * 250_000,
    "many keys": "".join(f"k{n}: 1\n" for n in range(90_000)),
    "many bad tests": "tests:\n" + "- {}\n" * 100_000,
    "deep mappings": "{a: " * 200_000,
    "many anchors": "a: [" + "&a x," * 150_000 + "]",
    "many pictures": "viewports: ["
    + ",".join(f"{{name: v{n}, width: 100, height: 100}}" for n in range(20))
    + "]\ntests:\n"
    + "".join(f"- {{name: t{n}, path: /}}\n" for n in range(9000)),
    "defaults too long for many tests": f"ignore: [{','.join(['.' + 'x' * 900] * 100)}]\ntests:\n"
    + "".join(f"- {{name: t{n}, path: /}}\n" for n in range(9000)),
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_no_text_costs_more_than_it_weighs(text: str):
    began = time.monotonic()
    assert problems_of(text)
    assert time.monotonic() - began < 10


def test_ten_thousand_tests_are_fine_and_one_more_is_not():
    text = "tests:\n" + "".join(f"- {{name: t{n}, path: /}}\n" for n in range(10_001))
    assert problems_of(text)[0][2:] == ("tests", "tests must have at most 10000 entries")
    assert len(parse(text.replace("- {name: t0, path: /}\n", "")).tests) == 10_000


words = st.sampled_from(
    ["tests", "name", "path", "/", "viewports", "ignore", "steps", "click", "fill", "waitFor", "selector", "x", "1",
     "-1", "~", "yes", ": ", "- ", "\n", "\n  ", "\n    ", "\n  - ", "{", "}", "[", "]", ", ", '"', "'", "&a ", "*a",
     "!!x ", "<<", "? ", "|", ">", "#", "%", "---\n", "...", "\t", "\r", "\0", "\u2028", "\ufeff", "\\", "é", "😀"]
)  # fmt: skip
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | words
keys = st.sampled_from(
    [*json_schema()["properties"], *json_schema()["$defs"]["Test"]["properties"], "x", "click", "fill"]
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=25,
)


def parses_or_tells(text: str) -> None:
    try:
        assert isinstance(parse(text), Suite)
    except SuiteError as error:
        assert error.problems
        assert all(p.line >= 1 and p.column >= 1 and p.message for p in error.problems)
        assert json.dumps([[p.path, p.message] for p in error.problems]).encode()


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.lists(words, max_size=40).map("".join))
def test_any_text_is_a_suite_or_a_suite_error(text: str):
    parses_or_tells(text)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(keys, trees, max_size=6), st.booleans())
def test_any_yaml_is_a_suite_or_a_suite_error(tree: dict[str, object], flow: bool):
    parses_or_tells(yaml.safe_dump(tree, default_flow_style=flow))
    parses_or_tells(yaml.safe_dump({"tests": [tree, tree]}, default_flow_style=flow))


def test_the_schema_is_valid_and_accepts_what_parse_accepts():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == "retestr suite"
    assert "$id" not in schema
    validator = jsonschema.Draft202012Validator(schema)
    for text in (SMALLEST, EXAMPLE.read_text()):
        assert parse(text)
        validator.validate(yaml.safe_load(text))
    full = yaml.safe_load(FULL)
    full["tests"][0]["steps"][1]["fill"]["value"] = "12.50"
    full["maxDiffRatio"] = 0.001  # 1e-3 is text to PyYAML and to nobody else
    validator.validate(full)


@pytest.mark.parametrize(
    "text",
    [
        "tests: []",
        "baseUrl: ftp://x\n" + one_test("path: /"),
        one_test("path: login"),
        one_test("path: /\nthreshold: 2"),
        one_test("path: /\nfullPage: maybe"),
        one_test("path: /\nfullPage: null"),
        one_test("path: /\nwaitfor: .a"),
        one_test("path: /\nwaitFor: 30001"),
        one_test("path: /\nsteps: [{clik: a}]"),
        one_test("path: /\nsteps: [{click: a, hover: b}]"),
        one_test("path: /\nignore: [{x: 1, y: 1}]"),
        one_test("path: /\nviewports: [{name: a, width: 1, height: 1}]"),
    ],
)
def test_the_schema_refuses_what_parse_refuses(text: str):
    assert problems_of(text)
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(yaml.safe_load(text))


def test_every_key_has_a_description_in_the_schema_and_a_place_in_the_documentation():
    documentation = (ROOT / "docs/suite.md").read_text()
    schema = json_schema()
    for part in ("Test", "Viewport", "IgnoredElements", "TypedText", "PressedKey"):
        assert all("description" in member for member in schema["$defs"][part]["properties"].values())
    assert all("description" in member for member in schema["properties"].values())
    for part in (schema, *schema["$defs"].values()):
        for key in part["properties"]:
            assert f"`{key}`" in documentation, key


def test_every_yaml_example_in_the_documentation_is_a_suite():
    blocks = (ROOT / "docs/suite.md").read_text().split("```yaml\n")[1:]
    assert blocks
    for block in blocks:
        assert parse(block.split("```")[0]).with_base_url("https://x.example").shots()


COMPLETE = """\
baseUrl: https://x.example/app
mask: .price
hide: .chat
css: "b { color: red }"
headers: {X-Preview: yes, X-Number: 12}
basicAuth: {username: ada, password: "${{ secrets.PASSWORD }}"}
cookies: [{name: consent, value: all}]
localStorage: {theme: dark}
login:
  path: /login
  steps: [{fill: {selector: "#p", value: "${{secrets.PASSWORD}}"}}]
  waitFor: "#welcome"
colorScheme: dark
locale: de-CH
timezone: Europe/Zurich
blockHosts: "*.ADS.example"
stabilize: {time: false, hover: false}
viewports: [{name: phone, device: iphone 15}, {name: tv, device: iPhone 15, width: 1920, deviceScaleFactor: 1}]
tests:
  - name: All of it
    path: /
  - name: Its own
    path: /
    mask: [{selector: .price, color: "#ABC"}, {x: 1, y: 2, width: 3, height: 4}]
    hide: .banner
    css: "i { color: red }"
    headers: {}
    cookies: [{name: a, value: "1", domain: .x.example, path: /a}]
    login: no
    blockHosts: [cdn.example]
    stabilize: {video: no, time: yes}
    colorScheme: no-preference
"""


def test_who_visits_and_what_is_covered_arrive_in_the_page():
    page = parse(COMPLETE).shots()[0].page
    assert (page.mask, page.hide, page.css) == ((Mask("#ff69b4", ".price"),), (".chat",), "b { color: red }")
    assert page.stabilize == STABILIZERS - {"time", "hover"}
    assert (page.width, page.height, page.scale) == (393, 659, 3)
    visitor = page.visitor
    assert visitor.headers == (("X-Preview", "yes"), ("X-Number", "12"))
    assert visitor.credentials == ("ada", "${{ secrets.PASSWORD }}")
    assert visitor.cookies == (Cookie("consent", "all"),)
    assert visitor.local_storage == (("theme", "dark"),)
    assert visitor.login == Login(
        "https://x.example/app/login", (Step("fill", "#p", "${{secrets.PASSWORD}}"),), ("#welcome",)
    )
    assert (visitor.colour_scheme, visitor.locale, visitor.timezone) == ("dark", "de-CH", "Europe/Zurich")
    assert visitor.block_hosts == ("*.ads.example",)
    assert "iPhone" in visitor.user_agent
    assert visitor.is_mobile
    assert visitor.has_touch


def test_a_tests_own_keys_replace_the_suites_and_what_is_covered_or_blocked_adds_up():
    phone, tv = [shot.page for shot in parse(COMPLETE).shots() if shot.test == "Its own"]
    box = Mask("#ff69b4", box=Box(1, 2, 3, 4))
    assert phone.mask == (Mask("#ff69b4", ".price"), Mask("#aabbcc", ".price"), box)
    assert (phone.hide, phone.css) == ((".chat", ".banner"), "i { color: red }")
    assert phone.stabilize == STABILIZERS - {"hover", "video"}
    visitor = phone.visitor
    assert (visitor.headers, visitor.login) == ((), None)
    assert visitor.cookies == (Cookie("a", "1", ".x.example", "/a"),)
    assert visitor.local_storage == (("theme", "dark"),)
    assert visitor.block_hosts == ("*.ads.example", "cdn.example")
    assert visitor.colour_scheme == "no-preference"
    assert (tv.width, tv.height, tv.scale) == (1920, 659, 1)


def test_the_complete_suite_is_one_for_editors_too_and_survives_a_database_row():
    told = yaml.safe_load(COMPLETE)
    told["headers"] = {"X-Preview": "yes"}
    jsonschema.Draft202012Validator(json_schema()).validate(told)
    for shot in parse(COMPLETE).shots():
        assert Shot.from_json(shot.to_json()) == shot


def test_a_shot_that_was_stored_before_these_keys_can_be_read():
    told = json.loads(parse(SMALLEST).shots()[0].to_json())
    del told["viewport"]["device"]
    for name in ("mask", "hide", "css", "visitor", "stabilize"):
        del told["page"][name]
    assert Shot.from_json(json.dumps(told)) == parse(SMALLEST).shots()[0]


def test_every_device_of_playwright_makes_a_viewport():
    for name, device in devices.known().items():
        viewport = Viewport.model_validate({"name": "x", "device": name})
        assert (viewport.width, viewport.height) == (device["width"], device["height"])


def test_reading_suites_loads_nothing_heavy():
    code = "import sys, server.runs.suite; print([m for m in ('playwright', 'numpy', 'imagecodecs') if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
