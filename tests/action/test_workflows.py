"""The workflows of this repository: valid, pinned, and a release whose tags name the published image."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from action_src import VERSION

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
REFERENCE = "ghcr.io/retestr/action@sha256:" + "a" * 64


def workflow(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(path.read_text(), yaml.BaseLoader)  # `on` stays a word
    return loaded


def step(job: str, identity: str) -> str:
    """The script of a step of the release."""
    steps = workflow(ROOT / ".github/workflows/release.yml")["jobs"][job]["steps"]
    return str(next(one["run"] for one in steps if one.get("id") == identity))


def test_they_are_valid() -> None:
    checker = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.github-workflows", *WORKFLOWS], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nothing_is_used_that_can_change_under_us(path: Path) -> None:
    used = re.findall(r"uses: (\S+)", path.read_text())
    assert used
    for one in used:
        assert one.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", one)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_token_may_only_do_what_its_job_needs_and_no_job_hangs(path: Path) -> None:
    assert "permissions" in workflow(path)
    for job in workflow(path)["jobs"].values():
        assert "timeout-minutes" in job or "uses" in job
        # What others may write (a branch's name, an input) reaches a script as a variable, never as its text
        assert not any("${{" in one.get("run", "") for one in job.get("steps", []))


def test_a_release_is_tested_before_its_image_is_published() -> None:
    jobs = workflow(ROOT / ".github/workflows/release.yml")["jobs"]
    assert [jobs[name].get("needs") for name in ("check", "test", "image", "release")] == [
        None, "check", "test", "image"
    ]  # fmt: skip
    assert jobs["test"]["uses"] == "./.github/workflows/test.yml"
    assert "workflow_call" in workflow(ROOT / ".github/workflows/test.yml")["on"]


# --- the scripts, run on a repository of their own


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone of a repository that holds what the release reads; `gh` beside it does nothing."""
    origin, clone, programs = tmp_path / "origin.git", tmp_path / "clone", tmp_path / "bin"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    git(tmp_path, "clone", "--quiet", str(origin), str(clone))
    (clone / "action_src").mkdir()
    for name in ("action.yml", "pyproject.toml", "action_src/__init__.py"):
        shutil.copy(ROOT / name, clone / name)
    git(clone, "add", ".")
    git(clone, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "-m", "All")
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    programs.mkdir()
    (programs / "gh").write_text("#!/bin/sh\nexit 0\n")
    (programs / "gh").chmod(0o755)
    return clone


def git(folder: Path, *arguments: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**clean, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def run(script: str, checkout: Path, version: str = VERSION) -> subprocess.CompletedProcess[str]:
    """The script as the runner runs it."""
    environment = {
        "PATH": f"{checkout.parent / 'bin'}:{os.environ['PATH']}",
        "HOME": str(checkout.parent),
        "VERSION": version,
        "REFERENCE": REFERENCE,
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=checkout, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def test_the_tags_name_the_image_by_its_digest_and_main_stays_as_it_is(checkout: Path) -> None:
    before = git(checkout, "ls-remote", "origin", "refs/heads/main")
    done = run(step("release", "tag"), checkout)
    assert done.returncode == 0, done.stderr
    major = f"v{VERSION.partition('.')[0]}"
    for tag in (f"v{VERSION}", major):
        git(checkout, "fetch", "--quiet", "--force", "origin", f"refs/tags/{tag}:refs/tags/{tag}")
        manifest = yaml.safe_load(git(checkout, "show", f"{tag}:action.yml"))
        assert manifest["runs"] == {"using": "docker", "image": f"docker://{REFERENCE}"}
    assert git(checkout, "ls-remote", "origin", "refs/heads/main") == before


def test_the_manifest_of_a_release_is_valid(checkout: Path) -> None:
    run(step("release", "tag"), checkout)
    checker = Path(sys.executable).parent / "check-jsonschema"
    command = [checker, "--builtin-schema", "vendor.github-actions", checkout / "action.yml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_release_never_moves_but_its_major_tag_does(checkout: Path) -> None:
    major = f"refs/tags/v{VERSION.partition('.')[0]}"
    git(checkout, "push", "--quiet", "origin", f"HEAD:{major}")
    before = git(checkout, "ls-remote", "origin", major)
    assert run(step("release", "tag"), checkout).returncode == 0
    assert git(checkout, "ls-remote", "origin", major) != before
    assert run(step("check", "check"), checkout).returncode == 1  # the version is taken now


@pytest.mark.parametrize("version", ["v1.2.3", "1.2", "9.9.9", "1.2.3; id", ""])
def test_a_version_that_is_none_or_not_the_code_s_is_refused(checkout: Path, version: str) -> None:
    assert run(step("check", "check"), checkout).returncode == 0
    assert run(step("check", "check"), checkout, version).returncode == 1
