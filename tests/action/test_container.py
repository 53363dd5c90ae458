"""The image, built and run for real. Needs a container engine, named by PODMAN (docker, podman).

Loopback of the host is reached by its network, which Linux alone has.
"""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Environ
from .fake_server import KEY, Plot, run_json

ROOT = Path(__file__).parents[2]
ENGINE = os.environ.get("PODMAN", "")
TAG = "localhost/retestr-action:test"
MAX_ADDED_BYTES = 60_000_000

pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(not ENGINE, reason="PODMAN names no container engine"),
]


def engine(*arguments: str) -> str:
    return subprocess.run([ENGINE, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def image() -> str:
    engine("build", "-t", TAG, str(ROOT))
    return TAG


def command(image: str, environ: Environ, name: str) -> list[str]:
    """`docker run` as the runner writes it, with the files of the step where they are on the host."""
    folder = str(Path(environ["GITHUB_OUTPUT"]).parent)
    settings = [part for key, value in environ.items() for part in ("-e", f"{key}={value}")]
    mounts = ["-v", f"{folder}:{folder}", "-v", f"{ROOT}/tests/action/events:{ROOT}/tests/action/events:ro"]
    place = ["--workdir", environ["GITHUB_WORKSPACE"], "--network", "host"]
    return [ENGINE, "run", "--rm", "--name", name, *place, *mounts, *settings, image]


def test_the_image_is_small(image: str) -> None:
    base = int(engine("image", "inspect", "--format", "{{.Size}}", "docker.io/library/python:3.13-slim"))
    assert int(engine("image", "inspect", "--format", "{{.Size}}", image)) - base < MAX_ADDED_BYTES


def test_a_run_is_followed_from_inside(image: str, environ: Environ, serve: Callable[[Plot], Plot]) -> None:
    plot = serve(Plot([run_json("PENDING"), run_json("PASSED", total=1, done=1, unchanged=1)]))
    environ["INPUT_SERVER-URL"] = plot.url
    done = subprocess.run(
        command(image, environ, "retestr-test-run"), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "status=PASSED" in Path(environ["GITHUB_OUTPUT"]).read_text()


def test_a_cancelled_container_cancels_its_run(
    image: str, environ: Environ, serve: Callable[[Plot], Plot]
) -> None:
    plot = serve(Plot([run_json("RUNNING")]))
    environ["INPUT_SERVER-URL"] = plot.url
    with subprocess.Popen(
        command(image, environ, "retestr-test-cancel"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as client:
        assert plot.polled.wait(30)
        begun = time.monotonic()
        engine("kill", "--signal", "INT", "retestr-test-cancel")
        out, _ = client.communicate(timeout=30)
    assert client.returncode == 130
    assert time.monotonic() - begun < 7
    assert plot.cancelled.is_set()
    assert KEY not in out.replace(f"::add-mask::{KEY}", "")
