"""The database's schema over time (Alembic). `upgrade()` brings a database to the newest, under a lock."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from server.config import Settings

log = logging.getLogger("retestr")
LOCK = 0x72657465  # "rete": PostgreSQL's advisory locks are numbers


def upgrade(engine: Engine, settings: Settings) -> None:
    """Applies what is missing; several processes may call it at once, and one of them does it.

    Tables of a newer version stay as they are: migrations only expand, so that two versions can run side by side.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    with _lock(engine, settings), engine.connect() as connection:
        found = revision_of(connection)
        if found == newest:
            return
        if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
            log.warning("the database is of a newer version (revision %s); this one goes on with it", found)
            return
        connection.rollback()
        log.info("bringing the database to revision %s", newest)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def revision_of(connection: Connection) -> str | None:
    """Which revision a database's tables are of."""
    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def _lock(engine: Engine, settings: Settings) -> Iterator[None]:
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            _advisory(connection, "pg_advisory_lock")
            try:
                yield
            finally:
                _advisory(connection, "pg_advisory_unlock")
        return
    settings.data.mkdir(parents=True, exist_ok=True)
    with (settings.data / "migrating").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _advisory(connection: Connection, function: str) -> None:
    connection.execute(text(f"SELECT {function}(:lock)"), {"lock": LOCK})
    connection.commit()
