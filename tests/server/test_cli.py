"""The `retestr` command, as a person at a terminal uses it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from sqlalchemy.exc import ProgrammingError

from server import create_app, migrations
from server.cli import main
from server.config import load, table
from server.database import db
from server.images import open_store
from server.models import Project, Snapshot
from tests.conftest import SUITE
from tests.runs.pages import Pages


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


def test_what_a_server_keeps_is_read_by_its_user_alone(terminal: Terminal, tmp_path: Path) -> None:
    os.umask(0o022)
    init = ("init", "--organization", "Acme", "--email", "ada@acme.example", "--password", "a long password")
    assert terminal.run(*init).exit_code == 0
    open_store(str(tmp_path / "data" / "images")).put(b"a picture")
    kept = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert {"retestr.db", "images"} <= {path.name for path in kept}
    assert [path for path in kept if path.stat().st_mode & 0o077] == []


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


@pytest.fixture
def changed(ready: Terminal, tmp_path: Path) -> str:
    """The ID of a run on a branch of which three pages changed, two of them alike; one is approved."""
    ready.json("project", "create", "--organization", "Acme", "--name", "Shop")
    app = create_app(load(ready.environment))
    with app.app_context():
        pages = Pages(SimpleNamespace(app=app, shop=Project.query.one()))
        pages.run("main", Home=None, Cart=None, Help=None)
        run = pages.run("feature", Home=(10, 10, "red"), Cart=(90, 40, "red"), Help=(10, 10, "blue"))
        pages.history.approve(pages.of(run, "Help"))
        db.session.remove()
        db.engine.dispose()
        return run.id


def test_changes_of_a_run_are_approved_by_test(ready: Terminal, changed: str) -> None:
    done = ready.run("approve", changed, "--test", "Ho*", "--reason", "new logo")
    assert (done.exit_code, done.stdout) == (
        0,
        "Approved 1 change of run #2 (shop, feature): it is FAILED.\n",
    )
    told = ready.json("approve", changed)
    assert told == {"runId": changed, "status": "PASSED", "decided": 1, "settled": 0, "otherwise": 0}


def test_changes_of_a_run_are_rejected_by_group(ready: Terminal, changed: str) -> None:
    with create_app(load(ready.environment)).app_context():
        group = Snapshot.query.filter_by(run_id=changed, test="Home").one().group
        db.session.remove()
        db.engine.dispose()
    done = ready.run("reject", changed, "--group", group)
    assert done.stdout == "Rejected 2 changes of run #2 (shop, feature): it is FAILED.\n"
    done = ready.run("reject", changed)
    assert done.stdout == (
        "Rejected 0 changes of run #2 (shop, feature): it is FAILED.\n"
        "1 change had been decided otherwise before and stays so.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("approve", "nothing"), "There is no run 'nothing'"),
        (("approve", "{run}", "--test", "Shop"), "No test of this run matches Shop"),
        (("reject", "{run}", "--group", "x"), "no group 'x'"),
    ],
)
def test_what_cannot_be_reviewed_is_told(
    ready: Terminal, changed: str, arguments: tuple[str, ...], says: str
) -> None:
    done = ready.run(*(argument.format(run=changed) for argument in arguments))
    assert (done.exit_code, says in done.output) == (1, True), done.output


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
        "dryRun": False, "images": 0, "orphans": 1, "spared": 0, "runs": 0, "expired": 0, "freedBytes": 1500,
        "strangers": 1, "baselines": 0,
    }  # fmt: skip
    assert not image.exists()


def test_gc_leaves_orphans_alone_where_the_database_knows_no_organisation(
    terminal: Terminal, tmp_path: Path
) -> None:
    image = tmp_path / "data" / "images" / "ab" / f"ab{'0' * 62}.png"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"x")
    os.utime(image, (0, 0))
    for arguments in (("gc", "--dry-run"), ("gc",)):
        done = terminal.run(*arguments)
        assert "1 orphaned file left alone: the database knows no organisation" in done.stderr
        assert " 0 orphaned files" in done.stdout
    assert image.exists()


def test_a_setting_that_cannot_be_used_is_told_in_a_line(terminal: Terminal) -> None:
    done = terminal.run("serve", RETESTR_WEB_THREADS="many")
    assert (done.exit_code, "RETESTR_WEB_THREADS must be" in done.output) == (1, True)


@pytest.mark.parametrize(
    "database", ["postgresql://retestr:hunter2@127.0.0.1:1/retestr", "sqlite:////nowhere/retestr.db"]
)
def test_a_database_that_is_away_is_told_in_a_line(terminal: Terminal, database: str) -> None:
    done = terminal.run("key", "list", "--organization", "Acme", RETESTR_DATABASE_URL=database)
    assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
    assert "The database is away: " in done.output
    assert "hunter2" not in done.output


def test_a_machine_without_a_worker_is_told_by_its_check(ready: Terminal) -> None:
    done = ready.run("worker", "--check")
    assert (done.exit_code, "no worker of" in done.output) == (1, True)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("RETESTR_BROKER_URL", "kafka://broker.example"),
        ("RETESTR_CAPTURE_ALLOW", "10.0.0.0/99"),
        ("RETESTR_PUBLIC_URL", "https://retestr.example:port"),
    ],
)
def test_an_address_that_cannot_be_read_is_told_before_anything_starts(
    terminal: Terminal, setting: str, value: str
) -> None:
    done = terminal.run("serve", **{setting: value})
    assert (done.exit_code, f"{setting} cannot be used" in done.output) == (1, True)


@pytest.mark.parametrize("password", ["hunter/2", "hunter#2", "hunter#/2"])
@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_a_brokers_password_that_is_no_part_of_an_address_is_told_and_not_shown(
    ready: Terminal, command: str, password: str
) -> None:
    done = ready.run(command, RETESTR_BROKER_URL=f"redis://:{password}@broker.example:6379/0")
    assert (done.exit_code, "RETESTR_BROKER_URL cannot be used" in done.output) == (1, True)
    assert "hunter" not in done.output


@pytest.mark.parametrize(
    "database",
    [
        "postgresql://retestr:hun@ter2@db.example/retestr",
        "postgresql://retestr:hun@ter:2@db.example/retestr",
        "postgresql://retestr:hun@ter/2@db.example/retestr",
        "postgresql+unknown://retestr:hunter2@db.example/retestr",
        "mysql://retestr:hunter2@db.example/retestr",
        "hunter2",
    ],
)
@pytest.mark.parametrize("command", [("serve",), ("doctor",), ("worker", "--check")])
def test_a_databases_address_that_is_none_is_told_and_not_shown(
    terminal: Terminal, command: tuple[str, ...], database: str
) -> None:
    done = terminal.run(*command, RETESTR_DATABASE_URL=database)
    assert (done.exit_code, "RETESTR_DATABASE_URL cannot be used: it must be" in done.output) == (1, True)
    assert "@ as %40" in done.output
    assert not any(piece in done.output for piece in ("hun@", "hunter", "ter2", "2@"))


def test_a_data_folder_that_cannot_be_one_is_told_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    for folder in (file, file / "data"):
        done = CliRunner().invoke(main, ["serve"], env={"RETESTR_DATA": str(folder)})
        assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
        assert f"The data folder {folder} cannot be used" in done.output
        assert "RETESTR_DATA" in done.output


def test_a_data_folder_that_may_not_be_written_is_told_in_a_line(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    done = terminal.run("serve")
    assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
    assert f"The data folder {tmp_path / 'data'} cannot be used: Permission denied." in done.output


def test_what_the_database_does_not_permit_is_told_in_a_line(
    ready: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Denied(Exception):
        sqlstate = "42501"

    def refuse(*_: object) -> None:
        raise ProgrammingError("CREATE TABLE x", {}, Denied("permission denied for schema public\nLINE 1: …"))

    monkeypatch.setattr(migrations, "upgrade", refuse)
    done = ready.run("key", "list", "--organization", "Acme")
    assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
    assert "permission denied for schema public" in done.output


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
