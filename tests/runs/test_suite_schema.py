"""The suite's JSON Schema and its documentation say what the parser does."""

import jsonschema
import pytest
import yaml

from server.runs.suite import json_schema, parse
from tests.runs.suites import EXAMPLE, FULL, ROOT, SMALLEST, one_test, problems_of


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
