"""The real process: started as the container starts it, cancelled as the runner cancels it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Environ
from .fake_server import KEY, Plot, run_json

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-I", "-u", "-B", str(ROOT / "entrypoint.py")]
Serve = Callable[[Plot], Plot]


def start(environ: Environ, folder: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        COMMAND, env=environ, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_step_runs_from_any_folder(environ: Environ, serve: Serve) -> None:
    plot = serve(Plot([run_json("PENDING"), run_json("PASSED", total=1, done=1, unchanged=1)]))
    with start(environ | {"INPUT_SERVER-URL": plot.url}, environ["GITHUB_WORKSPACE"]) as process:
        out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")
    assert "1 snapshot as approved" in out


def test_the_checked_out_repository_decides_nothing_about_imports(environ: Environ) -> None:
    workspace = Path(environ["GITHUB_WORKSPACE"])
    (workspace / "requests.py").write_text("raise SystemExit(99)\n")
    environ |= {"PYTHONPATH": str(workspace), "INPUT_WAIT": "maybe"}
    with start(environ, str(workspace)) as process:
        process.communicate(timeout=10)
    assert process.returncode == 2


def test_an_image_that_is_broken_does_not_look_like_a_visual_change(environ: Environ, tmp_path: Path) -> None:
    for name in ("entrypoint.py", "action_src"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    (tmp_path / "action_src/main.py").write_text("import nothing_of_that_name\n")
    command = [*COMMAND[:-1], str(tmp_path / "entrypoint.py")]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=10)
    assert done.returncode == 70
    assert "nothing_of_that_name" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_step_cancels_the_run_in_time(
    environ: Environ, serve: Serve, number: signal.Signals
) -> None:
    plot = serve(Plot([run_json("PENDING"), run_json("RUNNING", total=4, done=1)]))
    with start(environ | {"INPUT_SERVER-URL": plot.url}, environ["GITHUB_WORKSPACE"]) as process:
        assert plot.polled.wait(10)
        process.send_signal(number)
        begun = time.monotonic()
        out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "")
    assert time.monotonic() - begun < 5
    assert plot.cancelled.is_set()
    assert "this step was cancelled" in out
    assert KEY not in out.replace(f"::add-mask::{KEY}", "")
    assert "this step was cancelled" in Path(environ["GITHUB_STEP_SUMMARY"]).read_text()
    assert "status=INTERRUPTED" in Path(environ["GITHUB_OUTPUT"]).read_text()


def test_a_second_signal_does_not_tear_the_cancelling_away(environ: Environ, serve: Serve) -> None:
    plot = serve(Plot([run_json("PENDING")]))
    with start(environ | {"INPUT_SERVER-URL": plot.url}, environ["GITHUB_WORKSPACE"]) as process:
        assert plot.polled.wait(10)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    assert process.returncode == 130
    assert plot.cancelled.is_set()


def test_a_cancelled_step_ends_in_time_even_if_the_server_is_gone(environ: Environ) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = start(environ | {"INPUT_SERVER-URL": url}, environ["GITHUB_WORKSPACE"])
        with process, silent.accept()[0]:
            process.send_signal(signal.SIGINT)
            begun = time.monotonic()
            process.communicate(timeout=10)
    assert process.returncode == 130
    assert time.monotonic() - begun < 5


def test_a_step_that_is_cancelled_before_the_server_answered_at_all_says_so(environ: Environ) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with start(environ | {"INPUT_SERVER-URL": url}, environ["GITHUB_WORKSPACE"]) as process:
        assert process.stdout is not None
        begin = iter(process.stdout.readline, "")
        assert any("Trying again" in line for line in begin)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "")
    assert time.monotonic() - begun < 5
    assert "The server had not named a run before" in Path(environ["GITHUB_STEP_SUMMARY"]).read_text()
    assert "status=INTERRUPTED" in Path(environ["GITHUB_OUTPUT"]).read_text()


def test_a_server_that_is_busy_when_the_step_is_cancelled_is_asked_again(
    environ: Environ, serve: Serve
) -> None:
    plot = serve(Plot([run_json("PENDING")], busy_cancels=2))
    with start(environ | {"INPUT_SERVER-URL": plot.url}, environ["GITHUB_WORKSPACE"]) as process:
        assert plot.polled.wait(10)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=10)
    assert process.returncode == 130
    assert plot.cancelled.is_set()
    assert "The run was cancelled on the server." in out


def test_yaml_is_loaded_only_for_a_suite() -> None:
    code = "import sys, action_src.main; print('yaml' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env={**os.environ}
    )
    assert out.stdout.strip() == "False"
