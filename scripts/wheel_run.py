"""Has an installed `retestr` finish two runs of a page that changes in between. Part of `scripts/wheel-run`.

It stands alone: no clone, and nothing of the test suite, is there where it runs.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import server

FOLDER = Path.cwd()
BIN = Path(sys.executable).parent
PORT = 18473


def main() -> None:
    """Serves, captures, changes the page, captures again; raises where that is not as told."""
    assert Path(server.__file__).is_relative_to(BIN.parent), "this is the clone's, not the wheel's"
    site = FOLDER / "site"
    site.mkdir()
    (site / "index.html").write_text("<h1>Tea</h1>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{pages.server_port}"
    (FOLDER / "retestr.yml").write_text(f"baseUrl: {url}\ntests: [{{name: Home, path: /}}]\n")
    environment = {
        **os.environ,
        "RETESTR_DATA": str(FOLDER / "data"),
        "RETESTR_CAPTURE_ALLOW": url.removeprefix("http://"),
    }
    retestr = functools.partial(command, environment)
    retestr(
        "init", "--organization", "Acme", "--email", "ada@example.com", "--password", "correct horse battery"
    )
    retestr("project", "create", "--organization", "Acme", "--name", "Shop", "--suite", "retestr.yml")
    key = retestr("key", "create", "--organization", "Acme", "--name", "CI", "--scope", "admin:write")["key"]
    with (FOLDER / "server.log").open("wb") as log:
        serving = subprocess.Popen(
            [BIN / "retestr", "serve", "--port", str(PORT)], env=environment, stdout=log, stderr=log
        )
    try:
        until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=2), 60)
        first = run(key)
        (site / "index.html").write_text("<h1>Coffee</h1>")
        second = run(key)
    finally:
        serving.terminate()
        serving.wait(60)
    assert (first["status"], second["status"]) == ("PASSED", "FAILED"), (first, second)
    print(f"The wheel served and finished two runs: {first['message']} {second['message']}")


def command(environment: dict[str, str], *arguments: str) -> dict[str, str]:
    """A `retestr` command, and the line of JSON that it prints."""
    done = subprocess.run(
        [BIN / "retestr", *arguments, "--json"], env=environment, check=True, capture_output=True
    )
    return json.loads(done.stdout)


def run(key: str) -> dict[str, str]:
    """Triggers a run and follows it to its end."""
    made = api(key, "/runs", {"projectId": "shop", "branch": "main"})
    return until(lambda: (now := api(key, f"/runs/{made['id']}"))["finishedAt"] and now, 120)


def api(key: str, path: str, body: dict[str, str] | None = None) -> dict[str, str]:
    """An answer of the API."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/api{path}",
        data=json.dumps(body).encode() if body else None,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def until(true, within_s: float):
    """Asks until something is there."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if found := true():
                return found
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError((FOLDER / "server.log").read_text())
        time.sleep(0.2)


if __name__ == "__main__":
    main()
