"""The Action as GitHub runs it: `action.yml` and the unchanged Dockerfile, a container, a server and its browser.

The runner is played by `../shared/tools/run_action.py` with podman (or what PODMAN names); where either is missing
these tests are skipped. What needs podman alone is in `tests/action/test_container.py`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, Server, Site, suite_of, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.container]
PODMAN = os.environ.get("PODMAN", "podman")
RUNNER = ROOT.parent / "shared" / "tools" / "run_action.py"
BASE = "docker.io/library/python:3.13-slim"
IMAGE = "localhost/retestr-action-under-test"
EVENTS = ROOT / "tests" / "action" / "events"
MANY = 5000
MAX_SUMMARY_BYTES = 900 * 1024


def podman(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Podman, or the program that PODMAN names."""
    return subprocess.run([PODMAN, *arguments], capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The Action's image, built as the runner builds it; skips, saying why, where that cannot be."""
    if not RUNNER.exists():
        pytest.skip(f"{RUNNER.name}, which plays GitHub's runner, is not on this machine")
    if shutil.which(PODMAN) is None:
        pytest.skip("there is no podman on this machine (PODMAN may name one)")
    if podman("image", "exists", BASE).returncode and podman("pull", "-q", BASE, timeout=120).returncode:
        pytest.skip(f"podman has no image {BASE}, and no registry to pull it from")
    built = podman("build", "-t", IMAGE, "-f", str(ROOT / "Dockerfile"), str(ROOT))
    assert built.returncode == 0, built.stderr[-3000:]
    yield IMAGE
    podman("rmi", "-f", IMAGE)


class Step:
    """One step of a job, as the runner sees it: what it logged, set, annotated and summed up."""

    def __init__(self, folder: Path, event: str, inputs: dict[str, str], *options: str) -> None:
        folder.mkdir()
        self.workspace = folder / "workspace"
        self._result = folder / "result.json"
        self._log = folder / "log"
        github = {
            "event_name": event.removesuffix("_fork"), "repository": "acme/shop", "ref_name": "main", "sha": "d" * 40,
        }  # fmt: skip
        command = [
            sys.executable, RUNNER, "--podman", PODMAN, "--action", ROOT, "--image", IMAGE, "--network", "host",
            "--workspace", self.workspace, "--event", EVENTS / f"{event}.json", "--json", self._result,
            *(part for name, value in github.items() for part in ("--github", f"{name}={value}")),
            *(part for name, value in inputs.items() for part in ("--with", f"{name}={value}")), *options,
        ]  # fmt: skip
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "GHA_TMP": str(folder)}
            )

    def ended(self, within_s: float = 120) -> int:
        """The exit code of the container, once it is over."""
        self.process.wait(within_s)
        assert self._result.exists(), self.log
        return int(self.told["stages"]["main"][1])

    @property
    def log(self) -> str:
        """What a person reads of the step; secrets are masked by the runner."""
        return self._log.read_text().partition("=" * 20 + " RESULT")[0]

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._result.read_text())
        return told

    @property
    def result(self) -> str:
        """The step's: success, failed or canceled."""
        return str(self.told["result"])

    @property
    def summary(self) -> str:
        return str(self.told["summary"])

    @property
    def outputs(self) -> dict[str, str]:
        return dict(self.told["outputs"])

    def annotations(self, level: str) -> list[str]:
        return [one["message"] for one in self.told["annotations"] if one["level"] == level]

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.workspace / self.outputs["report"]).read_text())
        return report


@dataclass
class Stage:
    """A server that captures a site."""

    server: Server
    site: Site
    folder: Path

    def project(self, name: str, *pages: str) -> str:
        """A project that looks at these pages; its ID."""
        asked = {"name": name, "suite": suite_of(self.site.url, *pages)}
        answer = self.server.api("POST", "/projects", json=asked)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def step(self, project: str, event: str = "schedule", *options: str, **inputs: str) -> Step:
        """Starts the Action; inputs are written as in Python (`api_key`)."""
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        usual = {"api-key": self.server.key, "project-id": project, "server-url": self.server.url}
        folder = self.folder / f"step{len(list(self.folder.glob('step*')))}"
        return Step(folder, event, {**usual, **given}, *options)

    def is_triggered(self, project: str) -> bool:
        """Whether the project has a run."""
        return bool(self.server.api("GET", f"/runs?projectId={project}").json()["items"])

    def only_run(self, project: str) -> dict[str, object]:
        """The one run that a project has."""
        (run,) = self.server.api("GET", f"/runs?projectId={project}").json()["items"]
        return dict(run)


@pytest.fixture(scope="module")
def stage(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One server for all tests of this module, each of which has a project of its own."""
    folder = tmp_path_factory.mktemp("container")
    (folder / "site").mkdir()
    site = Site(folder / "site")
    for name in ("a.html", "b.html"):
        site.page(name, f"<h1>{name}</h1>")
    server = Server(folder, RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"))
    server.set_up(suite_of(site.url, "a.html"))
    server.start()
    yield Stage(server, site, folder)
    server.stop()
    site.server.shutdown()
    site.server.server_close()


def test_a_run_passes_and_then_fails_on_what_changed(stage: Stage) -> None:
    project = stage.project("Changing", "a.html", "change.html")
    stage.site.page("change.html", "<h1>Before</h1>")
    first = stage.step(project)
    assert first.ended() == 0, first.log
    assert "2 new" in first.summary

    again = stage.step(project)
    assert again.ended() == 0, again.log
    assert (again.outputs["status"], again.outputs["unchanged"]) == ("PASSED", "2")

    stage.site.page("change.html", "<h1>After</h1>")
    failed = stage.step(project)
    assert failed.ended() == 1, failed.log
    assert "change.html" in failed.summary
    assert "a.html" not in failed.summary
    assert failed.result == "failed"
    assert len(failed.annotations("error")) == 1
    assert [one["test"] for one in failed.report["changed"]] == ["change.html"]
    others_may = (failed.workspace / failed.outputs["report"]).stat().st_mode & 0o444
    assert others_may == 0o444  # the steps that follow are not root, as the container is


def test_a_page_that_is_missing_is_an_error_with_its_reason(stage: Stage) -> None:
    step = stage.step(stage.project("Missing", "a.html", "missing.html"))
    assert step.ended() == 3, step.log
    assert "404" in step.summary
    assert step.outputs["errors"] == "1"


def test_a_job_that_is_cancelled_after_three_seconds_cancels_the_run(stage: Stage) -> None:
    begun = time.monotonic()
    podman("run", "--rm", IMAGE)  # without inputs it ends at once: what starting costs on this machine
    started_s = time.monotonic() - begun
    project = stage.project("Cancelled", "a.html")
    stage.site.slow = 20.0
    try:
        step = stage.step(project, "schedule", "--cancel-after", str(3 + started_s))
        assert step.ended(60) == 130, step.log
    finally:
        stage.site.slow = 0.0
    assert step.result == "canceled"
    (signalled_s,) = re.findall(r"t=([\d.]+)s send SIG", step.log)  # SIGTERM comes 7.5 s later
    (exited_s,) = re.findall(r"client exited rc=130 after ([\d.]+)s", step.log)
    assert float(exited_s) - float(signalled_s) < 5
    assert stage.only_run(project)["status"] == "CANCELLED"
    assert step.outputs["status"] == "INTERRUPTED"
    assert "this step was cancelled" in step.summary


def test_a_run_that_takes_too_long_is_cancelled(stage: Stage) -> None:
    project = stage.project("Slow", "a.html")
    stage.site.slow = 20.0
    try:
        step = stage.step(project, timeout_minutes="0.05")
        assert step.ended() == 4, step.log
    finally:
        stage.site.slow = 0.0
    assert stage.only_run(project)["status"] == "CANCELLED"
    assert "timeout-minutes" in step.summary


def test_without_a_key_forks_are_explained(stage: Stage) -> None:
    step = stage.step("shop", "pull_request_fork", api_key="")
    assert step.ended() == 2, step.log
    assert "forks" in step.log
    assert "Dependabot" in step.log


def test_without_a_key_a_fork_may_be_skipped_with_a_warning(stage: Stage) -> None:
    step = stage.step("", "pull_request_fork", api_key="", on_missing_key="skip")
    assert step.ended() == 0, step.log
    assert len(step.annotations("warning")) == 1
    assert step.outputs["status"] == "SKIPPED"


def test_a_fork_s_branch_is_never_taken_for_ours(stage: Stage) -> None:
    project = stage.project("Forked", "a.html")
    step = stage.step(project, "workflow_run_fork")
    assert step.ended() == 0, step.log
    run = stage.only_run(project)
    assert (run["branch"], run["commitSha"]) == ("mallory:main", "1" * 40)
    assert stage.server.api("GET", f"/projects/{project}/baselines?branch=main").json()["items"] == []


def test_wrong_inputs_are_told_together(stage: Stage) -> None:
    step = stage.step("shop", wait="maybe", fail_on="boo")
    assert step.ended() == 2, step.log
    assert [message.partition(" ")[2].partition(" ")[0] for message in step.annotations("error")] == [
        "wait", "fail-on"
    ]  # fmt: skip
    assert step.outputs["status"] == "INVALID"


def test_of_an_unknown_input_the_runner_warns_and_nothing_else_changes(stage: Stage) -> None:
    step = stage.step(stage.project("Unknown", "a.html"), colour="red", wait="false")
    assert step.ended() == 0, step.log
    (warning,) = step.annotations("warning")
    assert "Unexpected input(s) 'colour'" in warning
    assert "'api-key'" in warning
    assert step.outputs["run-id"]


def test_five_thousand_changes_stay_below_the_limit_of_a_summary(stage: Stage) -> None:
    pages = [f"page-{number}.html" for number in range(MANY)]
    project = stage.project("Many", *pages)
    stage.site.slow = 20.0  # the worker gets nowhere meanwhile
    try:
        step = stage.step(project)
        wait_until(lambda: stage.is_triggered(project), "the run is triggered", 60)
        _everything_changed(stage.server, str(stage.only_run(project)["id"]))
        assert step.ended() == 1, step.log[-3000:]
    finally:
        stage.site.slow = 0.0
    assert step.outputs["changed"] == str(MANY)
    assert 50_000 < len(step.summary.encode()) < MAX_SUMMARY_BYTES
    assert "not shown here; all are in [the dashboard]" in step.summary
    assert len(step.annotations("error")) == 10
    assert len(step.report["changed"]) == MANY


def _everything_changed(server: Server, run: str) -> None:
    """Ends a run in the database, as if each of its pages looked different."""
    database = sqlite3.connect(server.folder / "data" / "retestr.db", timeout=30)
    with database:
        database.execute("UPDATE chunk SET done = 1 WHERE run_id = ?", [run])
        database.execute(
            "UPDATE snapshot SET status = 'CHANGED', ratio = 0.01, sentence = 'Something moved.' WHERE run_id = ?",
            [run],
        )
        database.execute(
            "UPDATE run SET status = 'FAILED', total = ?, done = ?, changed = ?, finished_at = created_at WHERE id = ?",
            [MANY, MANY, MANY, run],
        )
    database.close()
