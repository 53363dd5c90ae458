"""Suites made to hurt, and random ones: a suite or an error, at a bounded price."""

import json
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from server.runs.suite import Suite, SuiteError, json_schema, parse
from tests.runs.suites import problems_of

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
    "many unknown viewports": f"viewports: [{','.join(f'{{name: v{n}}}' for n in range(3000))}]\ntests:\n"
    + "".join(f"- {{name: t{n}, path: /, viewports: [w{n}]}}\n" for n in range(3000)),
    "many unknown devices": "tests:\n"
    + "".join(f"- {{name: t{n}, path: /, viewports: [{{name: v, device: w{n}}}]}}\n" for n in range(1500)),
    "many unknown time zones": "tests:\n"
    + "".join(f"- {{name: t{n}, path: /, timezone: Europe/w{n}}}\n" for n in range(9000)),
    "defaults too long for many tests": f"ignore: [{','.join(['.' + 'x' * 900] * 100)}]\ntests:\n"
    + "".join(f"- {{name: t{n}, path: /}}\n" for n in range(9000)),
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_no_text_costs_more_than_it_weighs(text: str):
    began = time.process_time()
    assert problems_of(text)
    assert time.process_time() - began < 10


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
