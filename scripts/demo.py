"""The whole job of retestr on a sample site: `make demo`.

Starts a server on SQLite in ./demo-data, serves examples/shop, makes an organisation, a project and a key, and
runs the Action as GitHub would. The first run makes the baselines; then one page of the site is changed, and
the second run must fail on exactly that page. Stays up until Ctrl-C; with --detach it ends by itself, with
exit code 0 when all went as told.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = Path(os.environ.get("RETESTR_DEMO_FOLDER", ROOT / "demo-data"))
BIN = Path(sys.executable).parent
EMAIL = "ada@example.com"
ORGANIZATION = "Demo"


class Surprise(Exception):
    """Something did not go as this demo tells."""


def main() -> int:
    """Runs the demo; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detach", action="store_true", help="end by itself, exit 0 when all went as told")
    detach = parser.parse_args().detach
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(SCRATCH, ignore_errors=True)
    with contextlib.ExitStack() as running:
        try:
            return tell(running, detach)
        except Surprise as surprise:
            print(f"\nNot as expected: {surprise}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nStopped. The data stays in demo-data until the next demo.")
            return 0


def tell(running: contextlib.ExitStack, detach: bool) -> int:
    """One step after the other, saying what each does."""
    began = time.monotonic()
    site = SCRATCH / "site"
    shutil.copytree(ROOT / "examples/shop", site)
    site_url = running.enter_context(served(site))
    say(f"The sample site is at {site_url}")

    password = secrets.token_urlsafe(12)
    environment = {
        **os.environ,
        "RETESTR_DATA": str(SCRATCH / "data"),
        "RETESTR_CAPTURE_ALLOW": site_url.removeprefix("http://"),
        # Ubuntu since 23.10 forbids it to a downloaded browser; here only the sample site is captured
        "RETESTR_CAPTURE_SANDBOX": os.environ.get("RETESTR_CAPTURE_SANDBOX", "preferred"),
    }
    command = functools.partial(retestr, environment)
    say("Organisation, project with a suite, API key")
    command("init", "--organization", ORGANIZATION, "--email", EMAIL, "--password", password)
    suite = SCRATCH / "retestr.yml"
    suite.write_text((site / "retestr.yml").read_text().replace("http://127.0.0.1:8080", site_url))
    project = command(
        "project", "create", "--organization", ORGANIZATION, "--name", "Sample shop", "--suite", str(suite)
    )["projectId"]
    key = command(
        "key", "create", "--organization", ORGANIZATION, "--name", "GitHub Actions CI",
        "--scope", "run:read", "--scope", "run:write", "--scope", "project:read",
    )["key"]  # fmt: skip

    server = running.enter_context(started_server(environment, key))
    say(f"The server is at {server}")

    say("First run: every page is new, and becomes the baseline of main")
    code, _ = run_action(server, key, project, "1" * 40)
    if code != 0:
        raise Surprise(f"the first run ended with exit code {code}; it should pass.")

    changed = sorted(page.name for page in (ROOT / "examples/shop-changed").glob("*.html"))
    shutil.copytree(ROOT / "examples/shop-changed", site, dirs_exist_ok=True)
    say(f"The site changes: {', '.join(changed)}. Second run")
    code, summary = run_action(server, key, project, "2" * 40)
    if code != 1:
        raise Surprise(f"the second run ended with exit code {code}; it should fail with 1.")

    run = latest_run(server, key)
    found = changed_pages(server, key, run["id"])
    if found != set(changed):
        raise Surprise(f"changed are {sorted(found)}; it should be {changed}.")
    say("The job summary, as GitHub shows it")
    print(summary)
    say(f"As told, in {time.monotonic() - began:.0f} s: exactly {', '.join(changed)} changed.")
    print(f"\n  Review it:  {run['url']}\n  Log in:     {EMAIL}\n  Password:   {password}\n", flush=True)
    if detach:
        return 0
    print("Ctrl-C ends the demo.", flush=True)
    while True:
        time.sleep(3600)


def say(text: str) -> None:
    """One line of progress."""
    print(f"\033[1m==>\033[0m {text}", flush=True)


@contextlib.contextmanager
def served(folder: Path):
    """Serves a folder over HTTP on a free port of this machine; gives its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def started_server(environment: dict[str, str], key: str):
    """Runs `retestr serve` until it, and no other server, answers; gives its address and stops it at the end."""
    port = free_port(8000)
    log = (SCRATCH / "server.log").open("wb")
    process = subprocess.Popen(
        [BIN / "retestr", "serve", "--port", str(port)],
        env=environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while not answers(url, key):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Surprise(f"the server did not start:\n{(SCRATCH / 'server.log').read_text()}")
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def answers(url: str, key: str) -> bool:
    """Whether the server is up that knows the key."""
    try:
        return requests.get(f"{url}/api/projects", headers={"Authorization": f"Bearer {key}"}, timeout=2).ok
    except requests.RequestException:  # not listening yet, or too busy with starting to answer in time
        return False


def retestr(environment: dict[str, str], *arguments: str) -> dict[str, str]:
    """Runs a `retestr` command and returns the line of JSON it prints."""
    done = subprocess.run(
        [BIN / "retestr", *arguments, "--json"], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise Surprise(f"retestr {arguments[0]} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def run_action(server: str, key: str, project: str, commit: str) -> tuple[int, str]:
    """Runs the Action's entry point as GitHub's runner does; returns its exit code and the job summary."""
    files = SCRATCH / "github"
    files.mkdir(exist_ok=True)
    for name in ("output", "summary"):
        (files / name).write_text("")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "INPUT_"))},
        "INPUT_API-KEY": key,
        "INPUT_PROJECT-ID": project,
        "INPUT_SERVER-URL": server,
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_REF_NAME": "main",
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_SHA": commit,
        "GITHUB_REPOSITORY": "demo/sample-shop",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_ACTOR": "ada",
        "GITHUB_OUTPUT": str(files / "output"),
        "GITHUB_STEP_SUMMARY": str(files / "summary"),
        "GITHUB_WORKSPACE": str(files),
    }
    done = subprocess.run([sys.executable, ROOT / "entrypoint.py"], env=environment, cwd=files)
    return done.returncode, (files / "summary").read_text()


def latest_run(server: str, key: str) -> dict[str, str]:
    """The newest run, as the API tells it."""
    return get(server, key, "/api/runs?limit=1")["items"][0]


def changed_pages(server: str, key: str, run_id: str) -> set[str]:
    """The files whose pages a run found changed."""
    snapshots = get(server, key, f"/api/runs/{run_id}/snapshots?status=CHANGED&limit=200")["items"]
    return {snapshot["pageUrl"].rpartition("/")[2] for snapshot in snapshots}


def get(server: str, key: str, path: str):
    """An answer of the API."""
    answer = requests.get(server + path, headers={"Authorization": f"Bearer {key}"}, timeout=10)
    answer.raise_for_status()
    return answer.json()


def free_port(preferred: int) -> int:
    """The preferred port, or any free one where it is taken."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise Surprise("no port is free on this machine.")


if __name__ == "__main__":
    sys.exit(main())
