"""The server's image, built from the unchanged Dockerfile: from an empty volume to a run that fails on what changed.

As `compose.yaml` starts it: not root, a read-only root, no capabilities. Long (RETESTR_LONG=1, `make check-all`): the
first build takes a minute. Needs podman (PODMAN may name it) and the base image; else the tests say why they skip.
Podman here starts no health checks by itself (systemd does that for it), so the test runs the check.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.conftest import ROOT, TERMINAL, free_port, wait_until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.container,
    pytest.mark.skipif(not os.environ.get("RETESTR_LONG"), reason="takes minutes; RETESTR_LONG=1 runs it"),
]
PODMAN = os.environ.get("PODMAN", "podman")
BASE = "docker.io/library/python:3.13-slim"
IMAGE = "localhost/retestr-server-under-test"
PROFILE = ROOT / "examples" / "deploy" / "chromium-seccomp.json"
PODMANS_PROFILE = Path("/usr/share/containers/seccomp.json")
SITE = "127.0.0.1:8080"  # inside the container; the sample suite says so
HARDENED = [
    "--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges",
    "--security-opt", f"seccomp={PROFILE}",
]  # fmt: skip


def podman(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PODMAN, *arguments], capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The target `server`, in Docker's format: the other knows no HEALTHCHECK."""
    if shutil.which(PODMAN) is None:
        pytest.skip("there is no podman on this machine (PODMAN may name one)")
    if podman("image", "exists", BASE).returncode and podman("pull", "-q", BASE).returncode:
        pytest.skip(f"podman has no image {BASE}, and no registry to pull it from")
    built = podman(
        "build", "--format", "docker", "--target", "server", "-t", IMAGE, str(ROOT), timeout=580
    )  # fmt: skip
    assert built.returncode == 0, built.stderr[-3000:]
    yield IMAGE
    podman("rmi", "-f", IMAGE)


class Container:
    """One container with the server and, beside it, a site."""

    def __init__(self, image: str, site: Path) -> None:
        self.name = f"retestr-test-{secrets.token_hex(4)}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = ""
        self._run = [
            "run", "--detach", "--name", self.name, *HARDENED, "--volume", f"{self.name}:/data",
            "--volume", f"{site}:/site:ro", "--publish", f"127.0.0.1:{self.port}:8000",
            "--env", f"RETESTR_CAPTURE_ALLOW={SITE}", image,
        ]  # fmt: skip

    def start(self) -> None:
        begun = podman(*self._run)
        assert begun.returncode == 0, begun.stderr
        wait_until(self.is_ready, "the server in the container answers", 30)
        port = SITE.partition(":")[2]
        serve = ["python", "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", "/site"]
        podman("exec", "--detach", self.name, *serve)

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).ok
        except requests.RequestException:
            return False

    def runs(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in it."""
        return podman("exec", self.name, *command)

    def told(self, *command: str) -> dict[str, Any]:
        """What a `retestr` command in it says with --json."""
        done = self.runs("retestr", *command, "--json")
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def processes(self) -> list[tuple[str, str]]:
        """State and command line of each process in it."""
        script = (
            "import pathlib\n"
            "for one in pathlib.Path('/proc').glob('[0-9]*'):\n"
            "    state = (one / 'stat').read_text().rpartition(')')[2].split()[0]\n"
            "    print(state, (one / 'cmdline').read_bytes().replace(b'\\0', b' ').decode(), one.name, sep='|')\n"
        )
        lines = self.runs("python", "-c", script).stdout.splitlines()
        return [(line.split("|")[0], line.partition("|")[2]) for line in lines]

    def api(self, method: str, path: str, **kwargs: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = requests.request(method, f"{self.url}/api{path}", headers=headers, timeout=30, **kwargs)
        assert answer.ok, answer.text
        return answer.json()

    def finished_run(self, project: str) -> dict[str, Any]:
        """Triggers a run and waits for its end."""
        run_id = self.api("POST", "/runs", json={"projectId": project, "branch": "main"})["id"]
        wait_until(lambda: self.api("GET", f"/runs/{run_id}")["status"] in TERMINAL, "the run is over", 120)
        run: dict[str, Any] = self.api("GET", f"/runs/{run_id}")
        return run

    def stop(self) -> int:
        """Stops it and returns its exit code; its volume stays."""
        podman("stop", "--time", "40", self.name)
        code = int(podman("inspect", "--format", "{{.State.ExitCode}}", self.name).stdout)
        podman("rm", "-f", self.name)
        return code

    def close(self) -> None:
        podman("rm", "-f", self.name)
        podman("volume", "rm", "-f", self.name)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The sample site, whose pages may be changed."""
    return Path(shutil.copytree(ROOT / "examples" / "shop", tmp_path / "shop"))


@pytest.fixture
def container(image: str, shop: Path) -> Iterator[Container]:
    container = Container(image, shop)
    yield container
    container.close()


def set_up(container: Container) -> None:
    """The first organisation and its Admin, at the address that the log prints."""
    log = podman("logs", container.name).stdout
    found = re.search(r"http\S+(/setup/\w+)", log)
    assert found, log
    page = f"{container.url}{found[1]}"
    with requests.Session() as browser:
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(page, timeout=10).text)
        assert token
        form = {
            "csrf_token": token[1], "organization": "Acme", "email": "ada@acme.example",
            "password": "correct horse battery",
        }  # fmt: skip
        assert browser.post(page, form, timeout=10).ok


def test_an_empty_volume_becomes_a_server_whose_run_fails_on_exactly_what_changed(
    container: Container, shop: Path
) -> None:
    container.start()
    set_up(container)
    suite = "/site/retestr.yml"
    shop_id = container.told(
        "project", "create", "--organization", "Acme", "--name", "Shop", "--suite", suite
    )["projectId"]
    container.key = container.told(
        "key", "create", "--organization", "Acme", "--name", "CI", "--scope", "admin:write"
    )["key"]
    first = container.finished_run(shop_id)
    assert (first["status"], first["counts"]["error"]) == ("PASSED", 0), first
    assert first["counts"]["new"] == first["counts"]["total"] > 0

    for changed in (ROOT / "examples" / "shop-changed").iterdir():
        shutil.copy(changed, shop / changed.name)
    second = container.finished_run(shop_id)
    assert second["status"] == "FAILED", second
    snapshots = container.api("GET", f"/runs/{second['id']}/snapshots?limit=200")["items"]
    assert {one["status"] for one in snapshots} == {"CHANGED", "UNCHANGED"}

    assert container.runs("id", "-u").stdout.strip() == "10001"
    assert container.runs("touch", "/app/here").returncode != 0
    assert podman("healthcheck", "run", container.name).returncode == 0
    assert container.runs("retestr", "worker", "--check").returncode == 0
    doctor = container.runs("retestr", "doctor")
    assert doctor.returncode == 0, doctor.stdout
    assert "in its sandbox" in doctor.stdout

    browser = next(line for _, line in container.processes() if "chromium" in line and "--type=" not in line)
    container.runs("kill", "-9", browser.rpartition("|")[2])
    assert container.finished_run(shop_id)["counts"]["error"] == 0
    assert [line for state, line in container.processes() if state == "Z"] == []

    assert container.stop() == 0
    container.start()
    assert container.api("GET", f"/runs/{first['id']}")["status"] == "PASSED"


def as_docker_does(folder: Path) -> Path:
    """Podman's own system call profile, without the namespaces that Docker's forbids and podman's allows."""
    if not PODMANS_PROFILE.exists():
        pytest.skip(f"podman's own profile is not at {PODMANS_PROFILE}")
    profile = json.loads(PODMANS_PROFILE.read_text())
    spaces = {"clone", "clone3", "unshare", "setns", "mount"}
    for rule in profile["syscalls"]:
        if not rule.get("includes"):
            rule["names"] = [name for name in rule["names"] if name not in spaces]
    without_spaces = {"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    profile["syscalls"] += [
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [without_spaces]},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},  # so that libc takes clone
    ]
    file = folder / "seccomp.json"
    file.write_text(json.dumps(profile))
    return file


def test_where_the_engine_forbids_the_sandbox_the_image_works_without_unless_it_is_required(
    image: str, tmp_path: Path
) -> None:
    run = ["run", "--rm", "--tmpfs", "/tmp", "--security-opt", f"seccomp={as_docker_does(tmp_path)}"]
    done = podman(*run, image, "retestr", "doctor")
    assert "without its sandbox" in done.stdout, done.stdout
    done = podman(*run, "--env", "RETESTR_CAPTURE_SANDBOX=required", image, "retestr", "doctor")
    assert "RETESTR_CAPTURE_SANDBOX=preferred" in done.stdout, done.stdout
