"""action.yml, the code and docs/action.md say the same; the Dockerfile keeps what the runner needs."""

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from action_src import VERSION
from action_src.details import Details
from action_src.inputs import DEFAULTS, Inputs
from action_src.outcome import EXIT_CODES, Ending, Outcome
from action_src.report import outputs_of, report_json
from action_src.run import Run, Snapshot

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "action.md").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
FIELD_OF_INPUT = {"timeout-minutes": "timeout_s", "stall-minutes": "stall_s"}
NOT_AN_INPUT = {
    "base_branch", "pull_request", "actor", "workflow_url", "suite_file", "repository", "github_api_url"
}  # fmt: skip
TOKEN = "${{ github.token }}"  # the runner alone can say it: no default of the code


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
    assert declared == {**DEFAULTS, "github-token": TOKEN}
    documented = {row[0].strip("`"): row[1].strip("`") for row in table("Inputs")}
    assert {name: documented[name] for name in declared} == declared


def test_outputs_are_the_same_in_manifest_code_and_documentation() -> None:
    outputs = list(manifest()["outputs"])
    assert list(outputs_of(Outcome(Ending.PASSED))) == outputs
    assert names_in("Outputs") == outputs


def test_exit_codes_are_the_same_in_code_and_documentation() -> None:
    assert {int(name) for name in names_in("Exit codes")} == set(EXIT_CODES.values())


def test_the_report_s_members_are_the_same_in_code_and_documentation() -> None:
    rows = {name.strip("`"): meaning for name, meaning in table("The report")}
    details = Details(changed=(Snapshot("s", "CHANGED"),))
    report = json.loads(report_json(Outcome(Ending.CHANGED, Run("r")), details))
    assert list(rows) == list(report)
    assert re.findall(r"`(\w+)`", rows["run"]) == list(report["run"])
    assert re.findall(r"`(\w+)`", rows["changed"]) == list(report["changed"][0])


def test_every_recipe_is_a_workflow() -> None:
    recipes = DOCS.split("\n## Recipes\n", 1)[1].split("\n## ", 1)[0].split("\n### ")[1:]
    assert len(recipes) == 8
    assert all("```yaml\nname: " in recipe for recipe in recipes)


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
    assert version("retestr") == VERSION, "run: make setup"


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
    assert "-r /app/action.lock" in last


@pytest.mark.parametrize("file", ["Dockerfile", "scripts/setup"])
def test_what_is_installed_is_the_lock_and_nothing_but_it(file: str) -> None:
    """Without --no-deps an older pip looks for newer releases than the lock's, and fails for want of their hashes."""
    commands = (ROOT / file).read_text().replace("\\\n", " ").splitlines()
    installs = [line for line in commands if "pip" in line and " install " in line and ".lock" in line]
    assert installs
    assert all("--no-deps" in line and "--require-hashes" in line for line in installs)


def test_nothing_of_the_server_is_imported() -> None:
    code = "import sys, action_src.main; print([m for m in sys.modules if m.split('.')[0] in ('server', 'flask')])"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"
