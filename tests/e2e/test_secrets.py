"""A project's secret does its work through the real processes, and is read nowhere and sent nowhere else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Server
from tests.vision.visited import Visited

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

VALUE = "hunter2-Zebra"
SUITE = """\
baseUrl: {own}
retries: 0
viewports: [{{name: small, width: 400, height: 300}}]
headers: {{X-Key: "${{{{ secrets.KEY }}}}"}}
login:
  path: /login
  steps:
    - fill: {{selector: "#p", value: "${{{{ secrets.KEY }}}}"}}
    - press: {{selector: "#p", key: Enter}}
  waitFor: "#welcome"
tests:
  - {{name: Account, path: /account}}
  - {{name: Elsewhere, path: "{other}/", login: false}}
  - {{name: Phished, path: /phished, headers: {{}}, login: false, steps: [{{fill: {{selector: "#p", value: "${{{{ secrets.KEY }}}}"}}}}]}}
"""


@pytest.fixture
def sites() -> Iterator[tuple[Visited, Visited]]:
    with Visited() as own, Visited() as other:
        own.pages["/login"] = "<form method=post action=/session><input id=p name=p type=password></form>"
        own.pages["/session"] = "<p id=welcome>welcome"
        own.cookies["/session"] = "sid=abc; Path=/"
        own.pages["/account"] = (
            f"<script>console.error('key {VALUE}'); throw Error('{VALUE}')</script>account"
        )
        own.pages["/phished"] = f"{other.url}/"
        other.pages["/"] = other.pages["/login"] = other.pages["/phished"] = (
            "<form action=/taken><input id=p></form>"
        )
        yield own, other


def dump(server: Server) -> str:
    with sqlite3.connect(Path(server.folder) / "data" / "retestr.db") as connection:
        return "\n".join(connection.iterdump())


def test_a_secret_works_and_is_found_nowhere_and_sent_nowhere_else(
    make_server: Callable[..., Server], sites: tuple[Visited, Visited]
) -> None:
    own, other = sites
    server = make_server(RETESTR_CAPTURE_ALLOW=f"{own.host},{other.host}")
    suite = SUITE.format(own=own.url, other=other.url)
    project = server.set_up(suite)
    server.start()

    refused = server.api("POST", "/runs", json={"projectId": project, "branch": "main"})
    assert (refused.status_code, "the secret KEY" in refused.text) == (422, True)
    stored = server.api(
        "PUT", f"/projects/{project}/secrets/KEY", json={"value": VALUE, "origins": [own.url]}
    )
    assert (stored.status_code, stored.json()["origins"]) == (200, [own.url])

    answers = [refused.text, stored.text, server.api("GET", f"/projects/{project}/secrets").text]
    run = server.finished(server.trigger(project))
    found = {s["test"]: s for s in server.snapshots(run["id"])}
    assert {name: s["status"] for name, s in found.items()} == {
        "Account": "NEW", "Elsewhere": "ERROR", "Phished": "ERROR"
    }  # fmt: skip
    for name in ("Elsewhere", "Phished"):
        assert found[name]["error"]["kind"] == "refused"
        assert f"which may not be sent to {other.url}: it is for {own.url}" in found[name]["error"]["message"]
    assert {path: headers.get("x-key") for _, path, headers, _ in own.asked}["/account"] == VALUE
    assert own.sent("cookie")["/account"] == "sid=abc"
    assert own.asked_paths().count("/session") == 1
    evidence = server.api("GET", f"/snapshots/{found['Account']['id']}").json()["evidence"]
    assert [said.partition(" (")[0] for said in evidence["consoleErrors"]] == ["key ***"]
    assert evidence["pageErrors"] == ["Error: ***"]

    moved = server.finished(server.trigger(project, baseUrl=other.url))
    for snapshot in server.snapshots(moved["id"]):
        assert snapshot["error"]["kind"] == "refused", snapshot
    messages = [s["error"]["message"] for s in server.snapshots(moved["id"])]
    assert any(message.startswith("login failed: ") for message in messages)

    assert VALUE not in other.everything()
    answers += [server.api("GET", f"/runs/{r['id']}/snapshots").text for r in (run, moved)]
    answers += [server.api("GET", path).text for path in ("/audit-logs/export", f"/projects/{project}/suite")]
    for told in (*answers, server.log(), dump(server)):
        assert told
        assert VALUE not in told
