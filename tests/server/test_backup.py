"""Backups: every row and image of one server in another, whichever their databases.

What is backed up and restored into is SQLite, and PostgreSQL where RETESTR_TEST_DATABASE_URL names a server.
"""

from __future__ import annotations

import io
import stat
import tarfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, update

from server.access.audit import CLI
from server.cli import keeping
from server.config import Settings
from server.database import Base, now, writing
from server.images import ImageStore, open_store
from server.models import Image
from server.runs import secrets
from tests.conftest import World
from tests.postgres import Databases
from tests.runs.history import History
from tests.server.test_cli import Terminal

Rows = dict[str, list[dict[str, Any]]]


def rows_of(database: str) -> Rows:
    """Everything in a database, by table, in a stable order."""
    engine = create_engine(database)
    with engine.connect() as connection:
        found = {
            table.name: [
                dict(row)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
            ]
            for table in Base.metadata.sorted_tables
        }
    engine.dispose()
    return found


class Lived(Terminal):
    """A server with a year of runs, reviews and secrets, and the command line to it."""

    def __init__(self, world: World) -> None:
        settings: Settings = world.app.extensions["retestr"]
        super().__init__(settings.data.parent)
        self.environment["RETESTR_DATABASE_URL"] = settings.database_url
        self.database = settings.database
        self.storage = settings.storage
        history = History(world)
        history.run("main", "white")
        changed = history.run("feature", "black")
        history.reject(history.run("feature", "red"), "not meant")
        history.approve(changed)
        history.begin("main")  # waits
        secrets.put(world.shop, "TOKEN", "hunter2", ["https://x.example"], CLI, settings)


@pytest.fixture
def lived(world: World) -> Lived:
    return Lived(world)


@pytest.fixture
def elsewhere(tmp_path: Path, databases: Databases | None) -> Iterator[list[Terminal]]:
    """Command lines of two new servers, one after the other: on SQLite, and on PostgreSQL where there is one."""
    with databases.fresh() if databases else nullcontext("") as url:
        terminals = [Terminal(tmp_path / "second"), Terminal(tmp_path / "third")]
        terminals[1].environment["RETESTR_DATABASE_URL"] = url
        yield terminals


def settings_of(terminal: Terminal) -> Settings:
    environment = terminal.environment
    return Settings(
        data=Path(environment["RETESTR_DATA"]), database_url=environment.get("RETESTR_DATABASE_URL", "")
    )


def test_a_backup_restored_elsewhere_has_every_row_and_image(
    lived: Lived, elsewhere: list[Terminal], tmp_path: Path
) -> None:
    database, storage, terminal = lived.database, lived.storage, lived
    for other in elsewhere:
        file = tmp_path / f"{len(list(tmp_path.glob('*.tar')))}.tar"
        made = terminal.run("backup", str(file))
        assert made.exit_code == 0, made.output
        assert "Keep " in made.output  # the key that secrets are read with is not in it
        restored = other.run("restore", str(file))
        assert restored.exit_code == 0, restored.output
        assert "all were checked" in restored.output

        there = settings_of(other)
        assert rows_of(there.database) == rows_of(database)
        images = [row["sha256"] for row in rows_of(there.database)["image"]]
        assert len(images) >= 3
        assert all(open_store(there.storage).get(name) == open_store(storage).get(name) for name in images)
        terminal, database, storage = other, there.database, there.storage
        made = other.run("key", "create", "--organization", "Acme", "--name", "new", "--scope", "run:read")
        assert made.exit_code == 0, made.output  # the audit log goes on behind what was restored


def test_a_backup_is_readable_by_its_owner_alone_and_holds_no_key(lived: Lived, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"
    assert lived.run("backup", str(file)).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = (Path(lived.environment["RETESTR_DATA"]) / "secret").read_bytes().strip()
    with tarfile.open(file) as tar:
        assert [name for name in tar.getnames() if "secret" in name] == ["rows/project_secret.jsonl.gz"]
    assert key not in file.read_bytes()
    assert list(tmp_path.glob(".backup*")) == []


def test_a_server_that_holds_something_is_not_overwritten(lived: Lived, tmp_path: Path) -> None:
    assert lived.run("backup", str(tmp_path / "backup.tar")).exit_code == 0
    before = rows_of(lived.database)
    again = lived.run("restore", str(tmp_path / "backup.tar"))
    assert again.exit_code == 1
    assert "The database is not empty" in again.output
    assert rows_of(lived.database) == before


def spoiled(file: Path, how: str) -> None:
    """A backup with one thing wrong."""
    if how == "no backup":
        file.write_bytes(b"hello" * 1000)
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "cut off":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        with tarfile.open(file) as tar:
            members = [(entry, tar.extractfile(entry).read()) for entry in tar]
        with tarfile.open(file, "w") as tar:
            for entry, body in members:
                if how == "without its end" and entry.name == "counts.json":
                    continue
                if how == "other revision" and entry.name == "retestr.json":
                    body = body.replace(b'"revision": "', b'"revision": "9')
                if how == "other pixels" and entry.name.startswith("images/"):
                    body = body[:-1] + b"x"
                if how == "other bytes" and entry.name == "rows/run.jsonl.gz":
                    body = body[:20] + bytes(byte ^ 0xFF for byte in body[20:60]) + body[60:]
                if how == "fewer rows" and entry.name == "rows/snapshot.jsonl.gz":
                    continue
                entry.size = len(body)
                tar.addfile(entry, io.BytesIO(body))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("no backup", "damaged or no backup"),
        ("empty", "damaged or no backup"),
        ("cut off", "damaged or no backup"),
        ("without its end", "its end is missing"),
        ("other revision", "Restore it with that version, then upgrade"),
        ("other bytes", "damaged or no backup"),
        ("other pixels", "is not what its name says"),
        ("fewer rows", "as many rows and images as it says"),
    ],
)
def test_what_is_not_whole_is_refused_and_restores_nothing(
    lived: Lived, tmp_path: Path, how: str, says: str
) -> None:
    file = tmp_path / "backup.tar"
    assert lived.run("backup", str(file)).exit_code == 0
    spoiled(file, how)
    new = Terminal(tmp_path / "new")

    done = new.run("restore", str(file))
    assert done.exit_code == 1
    assert says in done.output
    assert "Traceback" not in done.output
    assert not any(rows_of(settings_of(new).database)[name] for name in ("organization", "run", "snapshot"))


def test_an_image_that_the_store_has_lost_is_told_and_marked(lived: Lived, tmp_path: Path) -> None:
    lost = next(row["sha256"] for row in rows_of(lived.database)["image"])
    open_store(lived.storage).delete([lost])
    made = lived.run("backup", str(tmp_path / "backup.tar"))
    assert made.exit_code == 1
    assert "not whole: 1 image that the database names could not be had" in made.stderr
    assert "RETESTR_STORAGE_URL" in made.stderr

    new = Terminal(tmp_path / "new")
    restored = new.run("restore", str(tmp_path / "backup.tar"))
    assert "marked as removed" in restored.output
    images = rows_of(settings_of(new).database)["image"]
    assert [row["sha256"] for row in images if row["removed_at"]] == [lost]


def test_an_image_that_retention_removes_meanwhile_is_no_mistake(
    lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Removing:
        """A store from which an image goes while it is read, with its row, as retention does it."""

        def __init__(self, store: ImageStore) -> None:
            self.store = store

        def get(self, name: str) -> bytes:
            if name == going:
                with writing() as session:
                    session.execute(update(Image).where(Image.sha256 == name).values(removed_at=now()))
                self.store.delete([name])
            return self.store.get(name)

    going = next(row["sha256"] for row in rows_of(lived.database)["image"])
    monkeypatch.setattr(keeping, "open_store", lambda url: Removing(open_store(url)))
    made = lived.run("backup", str(tmp_path / "backup.tar"))
    assert (made.exit_code, "1 image past" in made.output) == (0, True), made.output


def test_a_store_that_is_away_is_told_and_not_taken_for_the_file(lived: Lived, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"
    image = next(Path(lived.storage).glob("*/*.png"))
    content = image.read_bytes()
    image.unlink()
    image.symlink_to(image.name)  # in a circle: it can neither be read nor is it missing
    made = lived.run("backup", str(file))
    assert (made.exit_code, "The image store is away" in made.output) == (1, True), made.output
    assert not file.exists()

    image.unlink()
    image.write_bytes(content)
    assert lived.run("backup", str(file)).exit_code == 0
    new = Terminal(tmp_path / "new")
    images = settings_of(new).data / "images"
    images.mkdir(parents=True)
    (images / image.parent.name).write_text("in the way")
    restored = new.run("restore", str(file))
    assert (restored.exit_code, "The image store is away" in restored.output) == (1, True), restored.output


def test_a_folder_that_cannot_be_written_is_told(lived: Lived, tmp_path: Path) -> None:
    done = lived.run("backup", str(tmp_path / "missing" / "backup.tar"))
    assert done.exit_code == 1
    assert "cannot be written" in done.output
