"""Upgrading with two versions side by side: the tables only expand, so that the version before goes on with them.

What code of an earlier revision writes and reads must be there in the tables of the newest: no column gone, none that
it does not know and must fill, none narrower, nothing unique that was not. A change that contracts (takes away what no
version in use needs any more) is listed in `CONTRACTED`, with why nobody is left who needs it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Engine, MetaData, String, Table, create_engine, inspect, text

from server import migrations
from server.config import Settings

CONTRACTED = {
    "0005": {"run.suite is gone"},  # before the first release: no version in use knows it
}
REVISIONS = [
    script.revision for script in ScriptDirectory(str(Path(migrations.__file__).parent)).walk_revisions()
][::-1]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'test.db'}")
    yield engine
    engine.dispose()


def upgrade_to(engine: Engine, revision: str) -> MetaData:
    """Brings a database to a revision and returns its tables."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    found = MetaData()
    found.reflect(engine)
    return found


def uniques(engine: Engine, table: str) -> set[tuple[str, ...]]:
    """The sets of columns that may not be twice in a table."""
    looked = inspect(engine)
    constraints = [tuple(one["column_names"]) for one in looked.get_unique_constraints(table)]
    indexes = [tuple(map(str, one["column_names"])) for one in looked.get_indexes(table) if one["unique"]]
    return {*constraints, *indexes}


def broken(old: Table, new: Table | None) -> set[str]:
    """What of a table code that knows the old one cannot do with the new one."""
    if new is None:
        return {f"{old.name} is gone"}
    missing = {f"{old.name}.{name} is gone" for name in set(old.columns.keys()) - set(new.columns.keys())}
    must_be_filled = {
        f"{old.name}.{column.name} must be filled"
        for column in new.columns
        if column.name not in old.columns and not column.nullable and column.server_default is None
    }
    narrower = {
        f"{old.name}.{column.name} is narrower"
        for column in old.columns
        if column.name in new.columns and _is_narrower(new.columns[column.name], column)
    }
    return missing | must_be_filled | narrower


def _is_narrower(new: Column[object], old: Column[object]) -> bool:
    lengths = getattr(new.type, "length", None), getattr(old.type, "length", None)
    shorter = lengths[0] is not None and (lengths[1] is None or lengths[0] < lengths[1])
    return shorter or (old.nullable and not new.nullable)


@pytest.mark.parametrize(("before", "after"), list(pairwise(REVISIONS)))
def test_a_migration_takes_nothing_from_the_version_before(engine: Engine, before: str, after: str) -> None:
    old = upgrade_to(engine, before)
    were_unique = {name: uniques(engine, name) for name in old.tables}
    new = upgrade_to(engine, after)
    found = {problem for name in old.tables for problem in broken(old.tables[name], new.tables.get(name))}
    found |= {
        f"{name} {columns} became unique"
        for name in old.tables.keys() & new.tables.keys()
        for columns in uniques(engine, name) - were_unique[name]
    }
    assert found == CONTRACTED.get(after, set()), (
        f"{after} contracts. Expand first (columns that may be empty or have a default, new tables), contract in a "
        "later release, when no version in use needs it, and list it in CONTRACTED."
    )


def test_what_contracts_would_be_found() -> None:
    old = Table("t", MetaData(), Column("a", String(9)), Column("b"))
    new = Table("t", MetaData(), Column("a", String(8)), Column("c", nullable=False))
    assert broken(old, new) == {"t.b is gone", "t.c must be filled", "t.a is narrower"}
    assert broken(old, None) == {"t is gone"}


def test_a_process_of_the_version_before_starts_on_the_newer_tables_and_leaves_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(data=tmp_path / "data")
    settings.data.mkdir()
    engine = create_engine(settings.database)
    migrations.upgrade(engine, settings)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with caplog.at_level(logging.WARNING, "retestr"):
        migrations.upgrade(engine, settings)
    assert "9999" in caplog.text
    with engine.connect() as connection:
        assert migrations.revision_of(connection) == "9999"
    engine.dispose()
