"""Real processes for end-to-end tests: `retestr serve`, the command line, the Action's entry point, a site."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from server.cli import main

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
TERMINAL = {"PASSED", "FAILED", "ERROR", "CANCELLED"}


class Server:
    """One `retestr serve` with its data folder; can be stopped, killed and started again."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("RETESTR_", "GITHUB_", "INPUT_"))}
        self.environment = {
            **clean,
            "RETESTR_DATA": str(folder / "data"),
            "RETESTR_WEB_PROCESSES": "1",
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.key = ""

    def start(self, *options: str) -> Server:
        log = (self.folder / "server.log").open("ab")
        self.process = process = subprocess.Popen(
            [BIN / "retestr", "serve", "--port", str(self.port), *options],
            env=self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        wait_until(lambda: process.poll() is not None or self.answers(), "the server answers", 30)
        assert process.poll() is None, self.log()
        return self

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def answers(self) -> bool:
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            return requests.get(f"{self.url}/healthz", timeout=2).ok
        return False

    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def command(self, *arguments: str) -> dict[str, Any]:
        """A `retestr` command with --json."""
        told = subprocess.run(
            [BIN / "retestr", *arguments, "--json"], env=self.environment, capture_output=True, text=True
        )
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)

    def set_up(self, suite: str) -> str:
        """Organisation, key and a project with this suite; returns the project's ID.

        The commands run in a fork of this process: most of a command's time is its start.
        """
        file = self.folder / "suite.yml"
        file.write_text(suite)
        person = ("--email", "ada@example.com", "--password", "a long password")
        of = ("--organization", "Acme", "--name")
        commands = [
            ("init", "--organization", "Acme", *person),
            ("project", "create", *of, "Shop", "--suite", str(file)),
            ("key", "create", *of, "CI", "--scope", "admin:write"),
        ]
        with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
            _, project, key = process.submit(_told, self.environment, commands).result()
        self.key = key["key"]
        return project["projectId"]

    def api(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return requests.request(method, f"{self.url}/api{path}", headers=headers, timeout=30, **kwargs)

    def trigger(self, project: str, **values: Any) -> str:
        answer = self.api("POST", "/runs", json={"projectId": project, "branch": "main", **values})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def finished(self, run_id: str, within_s: float = 60) -> dict[str, Any]:
        """The run, once it is over."""
        wait_until(lambda: self.run(run_id)["status"] in TERMINAL, f"run {run_id} is over", within_s)
        return self.run(run_id)

    def run(self, run_id: str) -> dict[str, Any]:
        return self.api("GET", f"/runs/{run_id}").json()

    def snapshots(self, run_id: str) -> list[dict[str, Any]]:
        return self.api("GET", f"/runs/{run_id}/snapshots?limit=200").json()["items"]


def _told(environment: dict[str, str], commands: list[tuple[str, ...]]) -> list[dict[str, Any]]:
    """What commands tell, in an environment that becomes this process's own."""
    os.environ.clear()
    os.environ.update(environment)
    done = [CliRunner().invoke(main, [*command, "--json"]) for command in commands]
    assert not any(one.exit_code for one in done), [one.output for one in done]
    return [json.loads(one.stdout) for one in done]


class Site:
    """A folder served over HTTP; `slow` seconds pass before each answer.

    `first` has what a path answers before it answers with its file: a list of (status, HTML).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.slow = 0.0
        self.first: dict[str, list[tuple[int, str]]] = {}
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(site.slow)
                if site.first.get(self.path):
                    status, html = site.first[self.path].pop(0)
                    self.send_response(status)
                    self.end_headers()
                    self.wfile.write(html.encode())
                    return
                with contextlib.suppress(ConnectionError):
                    super().do_GET()

            def log_message(self, *_: object) -> None: ...

        handler = functools.partial(Handler, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def page(self, name: str, html: str) -> None:
        (self.folder / name).write_text(f"<!doctype html><title>{name}</title>{html}")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    site = Site(folder)
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers that are gone after the test, with all their processes."""
    with servers(tmp_path) as make:
        yield make


@contextlib.contextmanager
def servers(where: Path) -> Iterator[Callable[..., Server]]:
    """What makes servers in a folder; in the end they are stopped, and none of their processes is left."""
    made: list[Server] = []

    def make(**settings: str) -> Server:
        folder = where / f"server{len(made)}"
        folder.mkdir()
        made.append(Server(folder, **settings))
        return made[-1]

    yield make
    for server in made:
        if server.process is not None and server.process.poll() is None:
            server.stop()
        wait_until(lambda s=server: not processes_of(s), "no process of the server is left", 20)


def processes_of(server: Server) -> list[str]:
    """Every living process of this server: web, workers, drivers, browsers, and what they started.

    Chromium writes over its environment, so its processes are known by their temporary folder and parents.
    """
    folder = str(server.folder).encode()
    parents, names, ours = {}, {}, set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (process / "cmdline").read_bytes()
            if state == "Z":
                continue
            parents[process.name], names[process.name] = (
                parent,
                command.replace(b"\0", b" ").decode(errors="replace"),
            )
            if folder in (process / "environ").read_bytes() + command:
                ours.add(process.name)
    while more := {pid for pid, parent in parents.items() if parent in ours and pid not in ours}:
        ours |= more
    return [f"{pid} {names[pid]}" for pid in sorted(ours)]


def process_ids(server: Server, part: str) -> list[int]:
    """Ids of a server's processes whose command line contains a text."""
    return [int(line.split()[0]) for line in processes_of(server) if part in line]


def run_action(server: Server, project: str, folder: Path, **inputs: str) -> tuple[int, str, str]:
    """Runs the Action's entry point as the runner does: (exit code, log, job summary)."""
    folder.mkdir(exist_ok=True)
    (folder / "summary").write_text("")
    (folder / "output").write_text("")
    given = {"api-key": server.key, "project-id": project, "server-url": server.url, **inputs}
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("RETESTR_", "GITHUB_", "INPUT_"))},
        **{f"INPUT_{name.upper()}": value for name, value in given.items()},
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_REF_NAME": "main",
        "GITHUB_SHA": "c" * 40,
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "GITHUB_WORKSPACE": str(folder),
    }
    done = subprocess.run(
        [sys.executable, ROOT / "entrypoint.py"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr, (folder / "summary").read_text()


def wait_until(true: Callable[[], object], what: str, within_s: float) -> None:
    """Waits for something to become true; fails with what it was."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"after {within_s} s it is still not so: {what}"
        time.sleep(0.1)


_held: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody else is given as long as these tests run; whoever binds it with SO_REUSEADDR, as servers do, gets it."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _held.append(held)
    port: int = held.getsockname()[1]
    return port


def suite_of(url: str, *pages: str, viewports: str = "") -> str:
    """A suite that captures these pages of a site."""
    tests = "".join(f"  - {{name: {page}, path: /{page}}}\n" for page in pages)
    return (
        f"baseUrl: {url}\nviewports: [{{name: desktop, width: 800, height: 600}}]\n{viewports}tests:\n{tests}"
    )
