"""action.yml, the code and docs/action.md say the same; the Dockerfile keeps what the runner needs."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from action_src import VERSION
from action_src.inputs import DEFAULTS, Inputs
from action_src.outcome import EXIT_CODES, Ending, Outcome
from action_src.report import outputs_of

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "action.md").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
FIELD_OF_INPUT = {"timeout-minutes": "timeout_s", "stall-minutes": "stall_s"}
NOT_AN_INPUT = {"base_branch", "pull_request", "actor", "workflow_url"}


def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    return loaded


def table(title: str) -> list[list[str]]:
    """The rows of the first table under a title of docs/action.md, without its head."""
    part = DOCS.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def names_in(title: str) -> list[str]:
    return [row[0].strip("`") for row in table(title)]


def test_the_manifest_is_valid() -> None:
    checker = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.github-actions", ROOT / "action.yml"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_inputs_are_the_same_in_manifest_code_and_documentation() -> None:
    inputs = list(manifest()["inputs"])
    fields = {FIELD_OF_INPUT.get(name, name.replace("-", "_")) for name in inputs}
    assert fields == set(Inputs.__dataclass_fields__) - NOT_AN_INPUT
    assert names_in("Inputs") == inputs


def test_defaults_are_the_same_in_manifest_code_and_documentation() -> None:
    declared = {name: one["default"] for name, one in manifest()["inputs"].items() if "default" in one}
    assert declared == DEFAULTS
    documented = {row[0].strip("`"): row[1].strip("`") for row in table("Inputs")}
    assert {name: documented[name] for name in DEFAULTS} == dict(DEFAULTS)


def test_outputs_are_the_same_in_manifest_code_and_documentation() -> None:
    outputs = list(manifest()["outputs"])
    assert list(outputs_of(Outcome(Ending.PASSED))) == outputs
    assert names_in("Outputs") == outputs


def test_exit_codes_are_the_same_in_code_and_documentation() -> None:
    assert {int(name) for name in names_in("Exit codes")} == set(EXIT_CODES.values())


def test_every_word_of_the_status_is_documented() -> None:
    for ending in Ending:
        word = Outcome(ending).status
        if word not in ("PASSED", "TOLERATED", "STARTED", "CHANGED", "ERROR", "CRASHED"):
            assert word in manifest()["outputs"]["status"]["description"]
            assert f"`{word}`" in DOCS


def test_the_workflows_of_the_documentation_use_only_what_exists() -> None:
    inputs = set(manifest()["inputs"])
    outputs = set(manifest()["outputs"])
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)]
    steps = [step for block in blocks for job in block["jobs"].values() for step in job["steps"]]
    ours = [step for step in steps if str(step.get("uses", "")).startswith("retestr/action@")]
    assert len(ours) >= 5
    for step in ours:
        assert set(step["with"]) <= inputs
    assert set(re.findall(r"steps\.retestr\.outputs\.([\w-]+)", DOCS)) <= outputs


def test_every_workflow_of_the_documentation_is_valid(tmp_path: Path) -> None:
    paths = []
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)):
        paths.append(tmp_path / f"{number}.yml")
        paths[-1].write_text(block)
    checker = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.github-workflows", *paths], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_version_is_the_package_s() -> None:
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    "line",
    [
        r"^FROM docker\.io/library/python:3\.13-slim\n(?!.*^FROM )",  # nothing is built on in the last stage
        r'^ENTRYPOINT \["/usr/local/bin/python", "-I", "-u", "-B", "/app/entrypoint\.py"\]$',
    ],
)
def test_the_last_stage_is_the_action_started_without_a_shell(line: str) -> None:
    assert re.search(line, DOCKERFILE, re.MULTILINE | re.DOTALL)


def test_the_action_s_stage_needs_no_apt_and_only_pinned_packages() -> None:
    last = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert "apt" not in last
    assert "--require-hashes" in last


def test_nothing_of_the_server_is_imported() -> None:
    code = "import sys, action_src.main; print([m for m in sys.modules if m.split('.')[0] in ('server', 'flask')])"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"
