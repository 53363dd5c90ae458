"""The Action as GitHub runs it: its image built from the unchanged Dockerfile, in a container, against a server."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Server, Site, suite_of

pytestmark = [pytest.mark.e2e, pytest.mark.container]
BASE = "docker.io/library/python:3.13-slim"
IMAGE = "localhost/retestr-action-under-test"


def podman(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Podman, or the program that PODMAN names."""
    command = os.environ.get("PODMAN", "podman")
    return subprocess.run([command, *arguments], capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The Action's image, built as the runner builds it; skips, saying why, where that cannot be."""
    if shutil.which(os.environ.get("PODMAN", "podman")) is None:
        pytest.skip("there is no podman on this machine (PODMAN may name one)")
    if podman("image", "exists", BASE).returncode and podman("pull", "-q", BASE, timeout=120).returncode:
        pytest.skip(f"podman has no image {BASE}, and no registry to pull it from")
    built = podman("build", "-t", IMAGE, "-f", str(ROOT / "Dockerfile"), str(ROOT))
    assert built.returncode == 0, built.stderr[-3000:]
    yield IMAGE
    podman("rmi", "-f", IMAGE)


def run_in_container(
    image: str, server: Server, project: str, folder: Path, **inputs: str
) -> tuple[int, str, str]:
    """Runs the image with the runner's mounts and variables: (exit code, log, job summary)."""
    for name in ("workspace", "file_commands"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("output", "summary"):
        (folder / "file_commands" / name).write_text("")
    given = {"api-key": server.key, "project-id": project, "server-url": server.url, **inputs}
    variables = {
        **{f"INPUT_{name.upper()}": value for name, value in given.items()},
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_REF_NAME": "main",
        "GITHUB_SHA": "d" * 40,
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_WORKSPACE": "/github/workspace",
        "GITHUB_OUTPUT": "/github/file_commands/output",
        "GITHUB_STEP_SUMMARY": "/github/file_commands/summary",
    }
    done = podman(
        "run", "--rm", "--network", "host", "--workdir", "/github/workspace",
        *(f"-v={folder / name}:/github/{name}" for name in ("workspace", "file_commands")),
        *(f"-e={name}={value}" for name, value in variables.items()),
        image,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr, (folder / "file_commands/summary").read_text()


def test_the_container_passes_fails_on_a_change_and_explains_a_missing_key(
    image: str, make_server: Callable[..., Server], site: Site, tmp_path: Path
) -> None:
    server = make_server(RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"))
    site.page("a.html", "<h1>A</h1>")
    project = server.set_up(suite_of(site.url, "a.html"))
    server.start()

    code, log, summary = run_in_container(image, server, project, tmp_path / "first")
    assert code == 0, log
    assert "1 new" in summary

    site.page("a.html", "<h1>B</h1>")
    code, log, summary = run_in_container(image, server, project, tmp_path / "second")
    assert code == 1, log
    assert "a.html" in summary

    code, log, _ = run_in_container(image, server, project, tmp_path / "third", **{"api-key": ""})
    assert code == 2, log
    assert "api-key" in log
