"""The step against the real server: what it keeps, what it refuses, and in which words that arrives."""

import io
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from action_src.client import Client, Reply
from action_src.interrupt import Interrupted, Interruption
from action_src.main import main
from tests.e2e.conftest import Server, Site, suite_of, wait_until

from .conftest import EVENTS, Environ

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture(scope="module")
def server(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"), RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"))
    server.set_up(suite_of(site.url, "a.html"))
    site.page("a.html", "<h1>A</h1>")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def asked(environ: Environ, server: Server) -> Environ:
    """An environment whose key and project are the server's."""
    return environ | {"INPUT_API-KEY": server.key, "INPUT_SERVER-URL": server.url}


def step(environ: Environ, connect: Callable[..., Client] = Client) -> tuple[int, str]:
    """Exit code and log."""
    stream = io.StringIO()
    return main(environ, stream, Interruption(), connect=connect), stream.getvalue()


def outputs(environ: Environ) -> dict[str, str]:
    lines = Path(environ["GITHUB_OUTPUT"]).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def new_key(server: Server, scope: str) -> str:
    made = server.command("key", "create", "--organization", "Acme", "--name", scope, "--scope", scope)
    return str(made["key"])


def new_project(server: Server, name: str, suite: str) -> str:
    return str(server.api("POST", "/projects", json={"name": name, "suite": suite}).json()["id"])


def test_what_the_event_tells_is_kept_on_the_run(asked: Environ, server: Server) -> None:
    asked |= {
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(EVENTS / "pull_request.json"),
        "INPUT_NAME": "firefox",
        "INPUT_WAIT": "false",
    }
    code, log = step(asked)
    assert code == 0, log
    kept: dict[str, Any] = server.run(outputs(asked)["run-id"])
    assert {name: kept[name] for name in ("branch", "commitSha", "baseBranch", "pullRequest")} == {
        "branch": "feature/cart", "commitSha": "1" * 40, "baseBranch": "main", "pullRequest": 5
    }  # fmt: skip
    assert (kept["name"], kept["actor"]) == ("firefox", "ada")
    assert kept["workflowUrl"] == "https://github.com/acme/shop/actions/runs/1000"


@pytest.mark.parametrize(("scope", "missing"), [("run:read", "run:write"), ("run:write", "run:read")])
def test_a_missing_scope_is_named(asked: Environ, server: Server, scope: str, missing: str) -> None:
    code, log = step(asked | {"INPUT_API-KEY": new_key(server, scope)})
    assert code == 5, log
    assert f"lacks the scope `{missing}`" in log


def test_a_revoked_key_is_told_as_such(asked: Environ, server: Server) -> None:
    made = server.command("key", "create", "--organization", "Acme", "--name", "old", "--scope", "run:write")
    server.api("DELETE", f"/keys/{made['keyId']}")
    code, log = step(asked | {"INPUT_API-KEY": str(made["key"])})
    assert code == 5, log
    assert "Make a new one" in log


def test_an_unknown_project_asks_for_the_right_one(asked: Environ) -> None:
    code, log = step(asked | {"INPUT_PROJECT-ID": "nowhere"})
    assert code == 2, log
    assert "nowhere" in log
    assert "Check `project-id`" in log


def test_a_wrong_suite_of_the_workspace_is_told_with_line_and_column(asked: Environ) -> None:
    suite = "baseUrl: https://a.example\ntests:\n  - name: Home\n    pth: /\n"
    (Path(asked["GITHUB_WORKSPACE"]) / "retestr.yml").write_text(suite)
    code, log = step(asked)
    assert code == 2, log
    assert "line 4, column 5" in log


def test_a_test_that_nobody_has_is_refused(asked: Environ) -> None:
    code, log = step(asked | {"INPUT_TESTS": "nothing"})
    assert code == 2, log
    assert "nothing" in log


def test_only_the_tests_that_match_are_run_at_the_address_given(
    asked: Environ, server: Server, site: Site
) -> None:
    site.page("b.html", "<h1>B</h1>")
    suite = suite_of("https://nowhere.invalid", "a.html", "b.html")
    (Path(asked["GITHUB_WORKSPACE"]) / "retestr.yml").write_text(suite)
    code, log = step(asked | {"INPUT_TESTS": "b*", "INPUT_BASE-URL": site.url})
    assert code == 0, log
    (one,) = server.snapshots(outputs(asked)["run-id"])
    assert (one["test"], one["pageUrl"]) == ("b.html", f"{site.url}/b.html")


def losing(trouble: BaseException) -> Callable[..., Client]:
    """A client to which this happens while the first answer to its trigger is on its way."""

    class Losing(Client):
        lost = False

        def _send(self, method: str, path: str, *more: Any) -> Reply:
            reply = super()._send(method, path, *more)
            if path == "/runs" and not self.lost:
                self.lost = True
                raise trouble
            return reply

    return Losing


def only_run(server: Server, project: str) -> dict[str, Any]:
    (run,) = server.api("GET", f"/runs?projectId={project}").json()["items"]
    return dict(run)


def test_a_trigger_whose_answer_is_lost_is_one_run(asked: Environ, server: Server, site: Site) -> None:
    project = new_project(server, "Lost", suite_of(site.url, "a.html"))
    code, log = step(asked | {"INPUT_PROJECT-ID": project}, losing(requests.ConnectionError()))
    assert code == 0, log
    assert "Trying again" in log
    assert outputs(asked)["run-id"] == only_run(server, project)["id"]


def test_a_run_that_a_cancelled_step_has_not_heard_of_yet_is_cancelled_too(
    asked: Environ, server: Server, site: Site
) -> None:
    site.page("slow.html", "slow")
    project = new_project(server, "Unheard", suite_of(site.url, "slow.html"))
    site.slow = 5.0
    try:
        code, log = step(asked | {"INPUT_PROJECT-ID": project}, losing(Interrupted()))
        assert code == 130, log
        assert only_run(server, project)["status"] == "CANCELLED"
    finally:
        site.slow = 0.0


def test_a_panic_on_the_server_ends_the_step(asked: Environ, server: Server, site: Site) -> None:
    site.page("slow.html", "slow")
    project = new_project(server, "Panic", suite_of(site.url, "slow.html"))
    site.slow = 5.0

    def panic() -> None:
        wait_until(lambda: server.api("GET", f"/runs?projectId={project}").json()["items"], "it runs", 20)
        server.api("POST", "/runs/cancel-all")

    other = threading.Thread(target=panic)
    other.start()
    try:
        code, log = step(asked | {"INPUT_PROJECT-ID": project})
    finally:
        other.join()
        site.slow = 0.0
    assert code == 7, log
    assert outputs(asked)["status"] == "CANCELLED"


def test_one_change_on_several_pages_is_one_error_at_its_test(
    asked: Environ, server: Server, site: Site
) -> None:
    suite = suite_of(site.url, "one.html", "two.html", "three.html")
    project = new_project(server, "Grouped", suite)
    (Path(asked["GITHUB_WORKSPACE"]) / "retestr.yml").write_text(suite)
    asked |= {"INPUT_PROJECT-ID": project, "INPUT_BRANCH": "main"}
    for colour in ("navy", "teal"):
        header = (
            f'<div style="position:absolute;left:0;top:0;width:300px;height:50px;background:{colour}"></div>'
        )
        for name in ("one", "two"):
            site.page(f"{name}.html", header)
        site.page("three.html", f'<div style="width:90px;height:90px;background:{colour}"></div>')
        code, log = step(asked)
    assert code == 1, log
    errors = [line for line in log.splitlines() if line.startswith("::error")]
    assert len(errors) == 2
    assert sum("And 1 more like it." in line for line in errors) == 1
    assert all(line.startswith("::error file=retestr.yml,line=") for line in errors)
    assert "and 1 alike: " in Path(asked["GITHUB_STEP_SUMMARY"]).read_text()


def test_where_the_server_is_public_each_change_has_a_picture_that_github_can_fetch(
    asked: Environ, site: Site, tmp_path: Path
) -> None:
    public = "https://retestr.example.com"
    server = Server(
        tmp_path, RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"), RETESTR_PUBLIC_URL=public
    )
    project = server.set_up(suite_of(site.url, "public.html"))
    server.start()
    try:
        asked |= {
            "INPUT_API-KEY": server.key, "INPUT_PROJECT-ID": project, "INPUT_SERVER-URL": server.url,
            "INPUT_BRANCH": "main",
        }  # fmt: skip
        for text in ("Before", "After"):
            site.page("public.html", f"<h1>{text}</h1>")
            code, log = step(asked)
        assert code == 1, log
        (picture,) = re.findall(
            r'<img src="https://retestr\.example\.com(/api/thumbnails/[\w.-]+\.png)"',
            Path(asked["GITHUB_STEP_SUMMARY"]).read_text(),
        )
        fetched = requests.get(server.url + picture, timeout=10)
        assert (fetched.status_code, fetched.headers["Content-Type"]) == (200, "image/png")
        assert len(fetched.content) < 20_000
    finally:
        server.stop()
