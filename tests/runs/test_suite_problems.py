"""Suites: what people are told about bad ones."""

import pytest
import yaml

from server.runs import suite_yaml
from server.runs.suite import SuiteError, parse
from tests.runs.suites import SMALLEST, one_test, problems_of

BAD = [
    # text, line, column, path, part of the message
    ("", 1, 1, "", "the suite is empty"),
    ("# nothing yet\n", 1, 1, "", "the suite is empty"),
    ("~", 1, 1, "", "the suite is empty"),
    ("hello", 1, 1, "", 'the suite must be a mapping with some of the keys baseUrl, viewports, retries, fullPage, waitFor, ignore, tests, threshold, maxDiffRatio, maxDiffPixels, antialiasing, align, mask, hide'),
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
    ("maxDiffPixels: 1.5\n" + SMALLEST, 1, 16, "maxDiffPixels", "must be a whole number from 0 to 1000000000, got 1.5"),
    ("align: maybe\n" + SMALLEST, 1, 8, "align", 'must be true or false, got "maybe"'),
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
    (one_test('path: /\ncss: "a{b:\\\\75\\r\\nrl(http://x)}"'), 4, 10, "tests[0].css", "css must be CSS that loads nothing"),
    (one_test("path: /\ncss: 'a{b:image-set(\"http://x\" 1x)}'"), 4, 10, "tests[0].css", "css must be CSS that loads nothing"),
    (one_test("path: /\nelement: '${{ secrets.KEY }}'"), 4, 14, "tests[0].element", "a secret is not filled in here, only in basicAuth and the values of headers, localStorage, cookies and fill steps"),
    (one_test("path: /\nsteps: [{fill: {selector: '${{ secrets.KEY }}', value: a}}]"), 4, 31, "tests[0].steps[0].fill.selector", "a secret is not filled in here"),
    (one_test("path: /\ncookies: [{name: a, value: b, path: '/${{ secrets.KEY }}'}]"), 4, 41, "tests[0].cookies[0].path", "a secret is not filled in here"),
    (one_test("path: /\nlocalStorage: {'${{ secrets.KEY }}': a}"), 4, 42, "tests[0].localStorage.${{ secrets.KEY }}", "a secret is not filled in here"),
    (one_test("path: /\nheaders: {'${{ secrets.KEY }}': a}"), 4, 37, "tests[0].headers.${{ secrets.KEY }}", "a secret is not filled in here"),
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
    (one_test("path: /\nwas: Home"), 4, 10, "tests[0].was", 'the name "Home" is taken by tests[0]; a history'),
    (one_test("path: /\nwas: [Start, 7, '']"), 4, 21, "tests[0].was[2]", "was[2] must be text of 1 to 200 characters"),
    (
        SMALLEST + "  - {name: Start, path: /a, was: Front}\n  - {name: Top, path: /b, was: [Old, Front]}\n",
        6, 32, "tests[2].was", 'the name "Front" is taken by was of tests[1]; a history belongs to one test',
    ),
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
