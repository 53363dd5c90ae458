"""The `retestr` command, as a person at a terminal uses it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from server.cli import main
from server.config import table
from tests.conftest import SUITE


class Terminal:
    """Runs commands on one data folder."""

    def __init__(self, folder: Path) -> None:
        self.environment = {"RETESTR_DATA": str(folder / "data")}

    def run(self, *arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(main, arguments, env={**self.environment, **environment})

    def json(self, *arguments: str) -> dict:
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        assert done.stdout.count("\n") == 1
        return json.loads(done.stdout)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.fixture
def ready(terminal: Terminal) -> Terminal:
    terminal.json(
        "init", "--organization", "Acme", "--email", "ada@acme.example", "--password", "a long password"
    )
    return terminal


def test_init_makes_an_organisation_once_and_says_so_the_second_time(terminal: Terminal) -> None:
    arguments = ("init", "--organization", "Acme", "--email", "ada@acme.example")
    first = terminal.run(*arguments, RETESTR_ADMIN_PASSWORD="a long password")
    again = terminal.run(*arguments, RETESTR_ADMIN_PASSWORD="another one, longer")
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert "made" in first.stdout
    assert "nothing changed" in again.stdout


def test_a_secret_is_read_from_standard_input_and_never_printed(ready: Terminal) -> None:
    ready.json("project", "create", "--organization", "Acme", "--name", "Shop")
    shop = ("--organization", "Acme", "--project", "shop")
    origins = ("--origin", "https://x.example", "--origin", "https://y.example/")
    done = CliRunner().invoke(
        main, ["secret", "set", *shop, "--name", "KEY", *origins], env=ready.environment, input="hunter2 \n"
    )
    assert (done.exit_code, done.stdout) == (
        0,
        "KEY is stored; it may be sent to https://x.example, https://y.example.\n",
    )
    listed = ready.run("secret", "list", *shop).stdout
    assert listed.startswith("KEY  ")
    assert "https://x.example https://y.example" in listed
    assert "hunter2" not in listed
    assert ready.run("secret", "delete", *shop, "--name", "KEY").exit_code == 0
    assert ready.run("secret", "list", *shop).stdout == ""
    again = ready.run("secret", "delete", *shop, "--name", "KEY")
    assert (again.exit_code, "has no secret 'KEY'" in again.output) == (1, True)


def test_a_project_and_a_key_are_made_with_ids_on_one_line(ready: Terminal, tmp_path: Path) -> None:
    (tmp_path / "suite.yml").write_text(SUITE)
    suite = str(tmp_path / "suite.yml")
    project = ready.json("project", "create", "--organization", "Acme", "--name", "Shop", "--suite", suite)
    key = ready.json("key", "create", "--organization", "Acme", "--name", "CI", "--scope", "run:write")
    assert set(project) == {"projectId"}
    assert set(key) == {"keyId", "key"}
    assert key["keyId"] in ready.run("key", "list", "--organization", "Acme").stdout
    assert key["key"] not in ready.run("key", "list", "--organization", "Acme").stdout
    rotated = ready.json("key", "rotate", key["keyId"])
    assert rotated["key"] != key["key"]
    assert "revoked" in ready.run("key", "revoke", rotated["keyId"]).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("project", "create", "--organization", "Nobody", "--name", "x"), "no organisation 'Nobody'"),
        (("key", "create", "--organization", "Acme", "--name", "x", "--scope", "root"), "run:read"),
        (("key", "create", "--organization", "Acme", "--name", "x", "--scope", "run:read", "--expires", "soon"), "90d"),
        (
            ("key", "create", "--organization", "Acme", "--name", "x", "--scope", "run:read", "--expires", "2020-01-01"),
            "past",
        ),
        (("key", "revoke", "nothing"), "no API key 'nothing'"),
        (("init", "--organization", "New", "--email", "a@b.example", "--password", "short"), "12 to 200"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_in_a_line_and_not_a_traceback(
    ready: Terminal, arguments: tuple[str, ...], says: str
) -> None:
    done = ready.run(*arguments)
    assert done.exit_code in (1, 2)
    assert says in done.output
    assert "Traceback" not in done.output


def test_gc_tells_what_would_go_and_then_removes_it(ready: Terminal, tmp_path: Path) -> None:
    image = tmp_path / "data" / "images" / "ab" / f"ab{'0' * 62}.png"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"x" * 1500)
    (image.parent / "notes.txt").write_text("not ours")
    assert ready.json("gc", "--dry-run")["orphans"] == 0  # it is younger than a day
    os.utime(image, (0, 0))
    would = ready.run("gc", "--dry-run").stdout
    assert (
        "Would remove 0 images, 1 orphaned file, 0 runs and 0 expired rows.\nThat would free 1.5 kB." in would
    )
    assert "1 file in the store that retestr did not make: left alone." in would
    assert image.exists()
    told = ready.json("gc")
    assert told == {
        "dryRun": False, "images": 0, "orphans": 1, "runs": 0, "expired": 0, "freedBytes": 1500, "strangers": 1,
    }  # fmt: skip
    assert not image.exists()


def test_a_setting_that_cannot_be_used_is_told_in_a_line(terminal: Terminal) -> None:
    done = terminal.run("serve", RETESTR_WEB_THREADS="many")
    assert (done.exit_code, "RETESTR_WEB_THREADS must be" in done.output) == (1, True)


def test_an_allow_list_that_cannot_be_read_is_told_before_anything_starts(terminal: Terminal) -> None:
    done = terminal.run("serve", RETESTR_CAPTURE_ALLOW="10.0.0.0/99")
    assert (done.exit_code, "RETESTR_CAPTURE_ALLOW cannot be used" in done.output) == (1, True)


def test_a_suite_is_checked_with_file_line_and_column(terminal: Terminal, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(SUITE)
    bad.write_text("tests:\n  - name: Home\n    pth: /\n")
    assert "2 tests, 4 snapshots" in terminal.run("suite", "check", str(good)).stdout
    done = terminal.run("suite", "check", str(bad))
    assert done.exit_code == 1
    assert re.search(rf"{re.escape(str(bad))}:3:5: .*path", done.output)


def test_the_schema_is_json(terminal: Terminal) -> None:
    assert json.loads(terminal.run("suite", "schema").stdout)["title"] == "retestr suite"


def test_help_names_every_setting_with_its_default(terminal: Terminal) -> None:
    text = terminal.run("--help").stdout
    assert all(variable in text for variable, _, _ in table())
