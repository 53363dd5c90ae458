"""The whole step against a real server on loopback: exit codes, files, and a key that is never shown."""

import io
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from action_src.client import Client
from action_src.interrupt import Interrupted, Interruption
from action_src.main import main

from .conftest import EVENTS, Environ
from .fake_github import TOKEN, GitHubPlot, fake_github
from .fake_server import KEY, Plot, run_json, snapshot_json

Serve = Callable[[Plot], Plot]


class Quick(Interruption):
    """Sleeps hardly at all."""

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, 0.01))


def error_body(message: str = f"No, {KEY}.") -> dict[str, Any]:
    return {"error": {"code": "no", "message": message, "details": {"key": KEY}}}


def step(environ: Environ, stream: io.StringIO, **more: Any) -> int:
    return main(environ, stream, Quick(), **more)


def left_behind(environ: Environ) -> str:
    """All files of the step in one text."""
    folder = Path(environ["GITHUB_OUTPUT"]).parent
    return "\n".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def outputs(environ: Environ) -> dict[str, str]:
    lines = Path(environ["GITHUB_OUTPUT"]).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


PASSED = run_json("PASSED", total=2, done=2, unchanged=2)
FAILED = run_json("FAILED", total=2, done=2, unchanged=1, changed=1, message=f"1 differs {KEY}")

# name, plot, inputs, exit code, output `status`
STEPS: list[tuple[str, Plot, Environ, int, str]] = [
    ("passed", Plot([run_json("PENDING"), PASSED]), {}, 0, "PASSED"),
    ("changed", Plot([run_json("PENDING"), FAILED], [snapshot_json(sentence=KEY)]), {}, 1, "FAILED"),
    ("tolerated", Plot([run_json("PENDING"), FAILED]), {"INPUT_FAIL-ON": "never"}, 0, "FAILED"),
    ("error", Plot([run_json("PENDING"), run_json("ERROR", total=1, error=1)]), {}, 3, "ERROR"),
    ("cancelled", Plot([run_json("PENDING"), run_json("CANCELLED")]), {}, 7, "CANCELLED"),
    ("not waited for", Plot([run_json("PENDING")]), {"INPUT_WAIT": "false"}, 0, "PENDING"),
    ("timed out", Plot([run_json("RUNNING")]), {"INPUT_TIMEOUT-MINUTES": "0.005"}, 4, "TIMED_OUT"),
    ("stalled", Plot([run_json("RUNNING")]), {"INPUT_STALL-MINUTES": "0.005"}, 4, "TIMED_OUT"),
    ("unknown key", Plot(failure=(401, error_body())), {}, 5, "NOT_AUTHORISED"),
    ("no scope", Plot(failure=(403, error_body())), {}, 5, "NOT_AUTHORISED"),
    ("refused", Plot(failure=(422, error_body())), {}, 2, "INVALID"),
    ("no retestr", Plot(failure=(200, {"hello": KEY})), {}, 6, "UNREACHABLE"),
    ("wrong inputs", Plot(), {"INPUT_WAIT": "maybe"}, 2, "INVALID"),
    ("no key", Plot(), {"INPUT_API-KEY": ""}, 2, "INVALID"),
    ("no key, skipped", Plot(), {"INPUT_API-KEY": "", "INPUT_ON-MISSING-KEY": "skip"}, 0, "SKIPPED"),
]


@pytest.mark.parametrize(
    ("plot", "inputs", "code", "status"), [x[1:] for x in STEPS], ids=[x[0] for x in STEPS]
)
def test_each_way_of_ending_has_its_exit_code_and_never_shows_the_key(
    environ: Environ, stream: io.StringIO, serve: Serve, plot: Plot, inputs: Environ, code: int, status: str
) -> None:
    serve(plot)
    environ |= {"INPUT_SERVER-URL": plot.url, "RUNNER_DEBUG": "1"} | inputs
    assert step(environ, stream) == code
    assert outputs(environ)["status"] == status
    lines = stream.getvalue().splitlines()
    if environ["INPUT_API-KEY"]:
        assert lines[0] == f"::add-mask::{KEY}"
    assert KEY not in "\n".join(lines[1:])
    assert KEY not in left_behind(environ)
    assert any(line.startswith("::error") for line in lines) == (code != 0)
    assert Path(environ["GITHUB_STEP_SUMMARY"]).read_text().startswith("## ")


def test_a_server_that_is_down_ends_with_six(environ: Environ, stream: io.StringIO) -> None:
    assert down(environ, stream) == 6
    assert "container itself" in stream.getvalue()
    assert outputs(environ)["status"] == "UNREACHABLE"


def test_a_server_that_is_down_may_be_skipped(environ: Environ, stream: io.StringIO) -> None:
    assert down(environ | {"INPUT_ON-UNREACHABLE": "skip"}, stream) == 0
    assert "::warning" in stream.getvalue()
    assert outputs(environ)["status"] == "SKIPPED"


def down(environ: Environ, stream: io.StringIO) -> int:
    """The step against a port where nobody listens, with a clock that runs fast."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    ticks = iter(range(0, 10_000, 3))
    environ["INPUT_SERVER-URL"] = f"http://127.0.0.1:{port}"
    return step(environ, stream, clock=lambda: float(next(ticks)))


def test_the_order_carries_what_the_event_tells(environ: Environ, stream: io.StringIO, serve: Serve) -> None:
    plot = serve(Plot([PASSED]))
    (Path(environ["GITHUB_WORKSPACE"]) / "retestr.yml").write_text("tests: []\n")
    step(environ | {"INPUT_SERVER-URL": plot.url}, stream)
    assert plot.orders == [
        {
            "projectId": "shop",
            "branch": "feature/cart",
            "commitSha": "1" * 40,
            "suite": "tests: []\n",
            "workflowUrl": "https://github.com/acme/shop/actions/runs/1000",
            "actor": "ada",
        }
    ]


def test_what_is_tested_and_how_the_run_goes_are_groups_and_the_verdict_stands_below_them(
    environ: Environ, stream: io.StringIO, serve: Serve
) -> None:
    plot = serve(Plot([run_json("PENDING"), PASSED]))
    step(environ | {"INPUT_SERVER-URL": plot.url}, stream)
    lines = stream.getvalue().splitlines()
    begins = [number for number, line in enumerate(lines) if line.startswith("::group::")]
    ends = [number for number, line in enumerate(lines) if line == "::endgroup::"]
    assert [lines[number] for number in begins] == [
        f"::group::Testing feature/cart with {plot.url}", "::group::Following the run"
    ]  # fmt: skip
    assert begins[0] < ends[0] < begins[1] < ends[1]
    assert [line for line in lines[ends[1] + 1 :] if "as approved" in line]


def test_outputs_and_report_are_complete(environ: Environ, stream: io.StringIO, serve: Serve) -> None:
    plot = serve(
        Plot([run_json("PENDING"), {**FAILED, "url": "/runs/r1"}], [snapshot_json(url="/snapshots/s1")])
    )
    step(environ | {"INPUT_SERVER-URL": plot.url, "INPUT_NAME": "Firefox"}, stream)
    out = outputs(environ)
    assert out["run-url"] == f"{plot.url}/runs/r1"
    assert (out["total"], out["changed"], out["report"]) == ("2", "1", "retestr-report-firefox.json")
    report = json.loads((Path(environ["GITHUB_WORKSPACE"]) / out["report"]).read_text())
    assert report["changed"][0]["url"] == f"{plot.url}/snapshots/s1"


def test_summary_and_annotations_can_be_switched_off(
    environ: Environ, stream: io.StringIO, serve: Serve
) -> None:
    plot = serve(Plot([FAILED], [snapshot_json()]))
    environ |= {"INPUT_SERVER-URL": plot.url, "INPUT_SUMMARY": "false", "INPUT_ANNOTATIONS": "false"}
    assert step(environ, stream) == 1
    assert not Path(environ["GITHUB_STEP_SUMMARY"]).exists()
    assert "::error" not in stream.getvalue()
    assert "1 changed" in stream.getvalue()


def test_a_failure_that_is_no_finding_is_said_aloud_even_without_annotations(
    environ: Environ, stream: io.StringIO, serve: Serve
) -> None:
    plot = serve(Plot(failure=(401, error_body())))
    step(environ | {"INPUT_SERVER-URL": plot.url, "INPUT_ANNOTATIONS": "false"}, stream)
    assert "::error" in stream.getvalue()


def test_a_skip_is_a_warning_even_without_annotations(environ: Environ, stream: io.StringIO) -> None:
    keyless = {"INPUT_API-KEY": "", "INPUT_ON-MISSING-KEY": "skip", "INPUT_ANNOTATIONS": "false"}
    assert step(environ | keyless, stream) == 0
    assert "::warning" in stream.getvalue()


def commenting(environ: Environ, plot: Plot, github: GitHubPlot) -> Environ:
    """A step in a pull request that comments there."""
    return environ | {
        "INPUT_SERVER-URL": plot.url,
        "INPUT_COMMENT": "true",
        "INPUT_GITHUB-TOKEN": TOKEN,
        "GITHUB_API_URL": github.url,
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(EVENTS / "pull_request.json"),
    }


def test_a_comment_is_left_on_the_pull_request_and_the_token_is_shown_to_nobody(
    environ: Environ, stream: io.StringIO, serve: Serve
) -> None:
    plot = serve(Plot([FAILED], [snapshot_json(sentence=f"Moved {TOKEN}")]))
    with fake_github(GitHubPlot()) as github:
        environ = commenting(environ, plot, github)
        assert step(environ, stream) == 1
        step(environ, stream)
        [body] = github.bodies()
    assert "1 changed" in body
    assert "in [the workflow run](https://github.com/acme/shop/actions/runs/1000)" in body
    assert KEY not in body
    lines = stream.getvalue().splitlines()
    assert lines[:2] == [f"::add-mask::{KEY}", f"::add-mask::{TOKEN}"]
    assert "Left a comment on pull request 5." in lines
    assert "Updated the comment on pull request 5." in lines
    assert TOKEN not in "\n".join(line for line in lines if not line.startswith("::add-mask::"))


@pytest.mark.parametrize("rights", [{"may_write": False}, {"may_read": False}])
def test_a_comment_that_is_not_permitted_changes_no_outcome(
    environ: Environ, stream: io.StringIO, serve: Serve, rights: dict[str, bool]
) -> None:
    plot = serve(Plot([PASSED]))
    with fake_github(GitHubPlot(**rights)) as github:  # type: ignore[arg-type]
        assert step(commenting(environ, plot, github), stream) == 0
    assert "::notice title=retestr::No comment was left on pull request 5" in stream.getvalue()
    assert "::error" not in stream.getvalue()
    assert "::warning" not in stream.getvalue()


def test_an_interruption_while_commenting_ends_with_130_and_what_was_told_stands(
    environ: Environ, stream: io.StringIO, serve: Serve
) -> None:
    class Torn(Quick):
        def sleep(self, seconds: float) -> None:
            raise Interrupted

    plot = serve(Plot([PASSED]))
    with fake_github(GitHubPlot(failures=[(502, {}, {})])) as github:
        environ = commenting(environ, plot, github)
        assert main(environ, stream, Torn()) == 130
    assert outputs(environ)["status"] == "PASSED"
    assert Path(environ["GITHUB_STEP_SUMMARY"]).read_text().count("## ") == 1


def test_the_token_goes_to_github_alone(environ: Environ, stream: io.StringIO, serve: Serve) -> None:
    plot = serve(Plot([PASSED]))
    step(environ | {"INPUT_SERVER-URL": plot.url, "INPUT_GITHUB-TOKEN": TOKEN}, stream)
    assert TOKEN not in json.dumps(plot.orders)
    assert TOKEN not in left_behind(environ)


def test_a_change_is_annotated_at_its_test_in_the_suite_file(
    environ: Environ, stream: io.StringIO, serve: Serve
) -> None:
    plot = serve(Plot([FAILED], [snapshot_json()]))
    (Path(environ["GITHUB_WORKSPACE"]) / "retestr.yml").write_text("tests:\n  - path: /\n    name: Home\n")
    step(environ | {"INPUT_SERVER-URL": plot.url}, stream)
    assert "::error file=retestr.yml,line=3,title=retestr%3A changed::Home, 1280x800" in stream.getvalue()


def test_an_input_that_nobody_knows_changes_nothing(
    environ: Environ, stream: io.StringIO, serve: Serve
) -> None:
    plot = serve(Plot([PASSED]))
    assert step(environ | {"INPUT_SERVER-URL": plot.url, "INPUT_FAIL_ON": "boo"}, stream) == 0


def test_all_wrong_inputs_are_told_together(environ: Environ, stream: io.StringIO) -> None:
    assert step(environ | {"INPUT_WAIT": "maybe", "INPUT_FAIL-ON": "x"}, stream) == 2
    assert stream.getvalue().count("::error") == 2
    summary = Path(environ["GITHUB_STEP_SUMMARY"]).read_text()
    assert "wait must be" in summary
    assert "fail-on must be" in summary


def test_more_wrong_inputs_than_annotations_are_all_in_the_log(environ: Environ, stream: io.StringIO) -> None:
    numbers = ("TIMEOUT-MINUTES", "STALL-MINUTES")
    switches = ("WAIT", "COMMENT", "SUMMARY", "ANNOTATIONS")
    words = ("SERVER-URL", "BASE-URL", "FAIL-ON", "ON-MISSING-KEY", "ON-UNREACHABLE")
    wrong = {f"INPUT_{name}": "perhaps" for name in (*numbers, *switches, *words)}
    assert step(environ | wrong, stream) == 2
    assert stream.getvalue().count("::error") == 10
    for name in wrong:
        assert f"Input {name.removeprefix('INPUT_').lower()} must be" in stream.getvalue()


def test_wrong_inputs_write_no_summary_where_none_is_wanted(environ: Environ, stream: io.StringIO) -> None:
    assert step(environ | {"INPUT_WAIT": "maybe", "INPUT_SUMMARY": "False"}, stream) == 2
    assert not Path(environ["GITHUB_STEP_SUMMARY"]).exists()


def test_a_crash_of_ours_is_no_success_and_shows_one_line(environ: Environ, stream: io.StringIO) -> None:
    def crash(*args: object, **more: object) -> Client:
        raise ZeroDivisionError(KEY)

    assert step(environ, stream, connect=crash) == 70
    errors = [line for line in stream.getvalue().splitlines() if line.startswith("::error")]
    assert len(errors) == 1
    assert "ZeroDivisionError in test_main.py" in errors[0]
    assert "github.com/retestr/action/issues" in errors[0]
    assert "Traceback" not in stream.getvalue()


@pytest.mark.parametrize("debug", [{"RUNNER_DEBUG": "1"}, {"ACTIONS_STEP_DEBUG": "true"}])
def test_a_crash_shows_its_traceback_where_debugging_is_on(
    environ: Environ, stream: io.StringIO, debug: Environ
) -> None:
    def crash(*args: object, **more: object) -> Client:
        raise ZeroDivisionError(KEY)

    step(environ | debug, stream, connect=crash)
    assert "::debug::Traceback" in stream.getvalue()
    assert KEY not in "\n".join(stream.getvalue().splitlines()[1:])


def test_an_interruption_while_reporting_still_reports(
    environ: Environ, stream: io.StringIO, serve: Serve
) -> None:
    class Torn(Client):
        def snapshots(self, run_id, status, *, within_s=None):  # type: ignore[no-untyped-def]
            raise Interrupted

    plot = serve(Plot([FAILED], [snapshot_json()]))
    assert step(environ | {"INPUT_SERVER-URL": plot.url}, stream, connect=Torn) == 130
    assert outputs(environ)["run-id"] == "r1"


def test_an_interruption_before_anything_else_ends_with_130(environ: Environ, stream: io.StringIO) -> None:
    def torn(*args: object, **more: object) -> Client:
        raise Interrupted

    assert step(environ, stream, connect=torn) == 130


@pytest.mark.parametrize(
    ("server", "warned"),
    [
        ("http://retestr.example.com", True),
        ("http://8.8.8.8", True),
        ("https://retestr.example.com", False),
        ("http://172.17.0.1:8000", False),
        ("http://retestr:8000", False),
        ("http://retestr.internal", False),
    ],
)
def test_a_key_sent_unencrypted_over_the_internet_is_warned_of(
    environ: Environ, stream: io.StringIO, server: str, warned: bool
) -> None:
    def never(*args: object, **more: object) -> Client:
        raise Interrupted

    step(environ | {"INPUT_SERVER-URL": server}, stream, connect=never)
    assert ("plain http" in stream.getvalue()) is warned


def test_credentials_of_the_tested_site_are_not_logged(
    environ: Environ, stream: io.StringIO, serve: Serve
) -> None:
    plot = serve(Plot([PASSED]))
    step(
        environ | {"INPUT_SERVER-URL": plot.url, "INPUT_BASE-URL": "https://u:hunter2@preview.example.com"},
        stream,
    )
    assert "hunter2" not in stream.getvalue()
    assert "https://preview.example.com" in stream.getvalue()
