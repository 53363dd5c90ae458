"""How the server talks to its database: engine set-up, writing transactions, the database's clock.

The tables are in `models/`; what may be written is decided in `runs` and `access`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flask import g
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    Connection,
    CursorResult,
    DateTime,
    Delete,
    Dialect,
    Engine,
    Float,
    MetaData,
    Select,
    Update,
    event,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

BUSY_TIMEOUT_S = 30
SAFE_FROM_POWER_CUTS, SAFE_FROM_KILLS = "synchronous=FULL", "synchronous=NORMAL"
"""SQLite's `synchronous` with a WAL: whether a commit waits for the disk (https://sqlite.org/pragma.html)."""


class Base(DeclarativeBase):
    """Declarative base of all tables; every constraint gets a name, so that a migration can change it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC `datetime`, on databases that keep no zone too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone was about to be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class clock_s(FunctionElement[float]):  # noqa: N801 - stands in SQL expressions like func.now()
    """The database's clock in seconds since 1970: the same for every machine that shares it."""

    type = Float()
    inherit_cache = True


@compiles(clock_s, "sqlite")
def _sqlite_clock(element: clock_s, compiler: Any, **kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(clock_s, "postgresql")
def _postgresql_clock(element: clock_s, compiler: Any, **kw: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


def execute(session: Session, statement: Update | Delete) -> int:
    """Runs a statement past the objects that the session holds, and returns how many rows it changed."""
    result = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return result.rowcount


def add_if_new(session: Session, table: type[Base], **values: Any) -> None:
    """Inserts a row unless one with its primary key is there, also when somebody else is just inserting it."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())


def now() -> datetime:
    """This machine's time, UTC."""
    return datetime.now(UTC)


def check_address(url: str) -> None:
    """Raises ValueError, which quotes nothing of it, for an address that cannot be that of a database of ours."""
    try:
        address = make_url(url)
        ours = address.get_backend_name() in ("sqlite", "postgresql")
        dialect = address.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):  # their texts quote what stands after the colon
        ours = False
    if not ours or (dialect.name == "postgresql" and "@" in f"{address.host}{address.database}"):
        raise ValueError(
            "it must be postgresql://user:password@host:port/name or sqlite:////folder/file.db; "
            "in the password write / as %2F, # as %23, @ as %40 and : as %3A"
        ) from None
    try:
        dialect.import_dbapi()
    except ImportError:
        raise ValueError(
            f"the package {dialect.driver!r} is not installed; pip install 'retestr[postgres]'"
        ) from None


def prepare(engine: Engine) -> None:
    """Makes connections begin transactions where this module says so, and those of SQLite durable and patient.

    The drivers would begin one by themselves; `Prepared` wants none. On SQLite, a transaction that will write starts
    with BEGIN IMMEDIATE: one that began by reading could not be upgraded once another connection has written
    (SQLITE_BUSY_SNAPSHOT, https://sqlite.org/isolation.html).
    """
    sqlite = engine.dialect.name == "sqlite"

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, record: Any) -> None:
        if not sqlite:
            connection.autocommit = True
            return
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_S * 1000}",
            "journal_mode=WAL",
            SAFE_FROM_POWER_CUTS,
            "foreign_keys=ON",
            "recursive_triggers=ON",  # or REPLACE would delete past the audit log's trigger
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        begin = connection.get_execution_options().get("begin", "BEGIN") if sqlite else "BEGIN"
        if begin != "BEGIN":  # it writes, on a connection that `Prepared` had before, perhaps
            connection.exec_driver_sql(f"PRAGMA {SAFE_FROM_POWER_CUTS}")
        connection.exec_driver_sql(begin)


@contextmanager
def writing() -> Iterator[Session]:
    """One writing transaction on the current session: committed at the end, rolled back on an error.

    Inside another `writing()` it joins it. What was only read before is released first.
    """
    session = db.session()
    if session.info.get("writing"):
        yield session
        return
    session.rollback()
    session.info["writing"] = True
    try:
        session.connection(execution_options={"begin": "BEGIN IMMEDIATE"})
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info["writing"] = False


class Prepared:
    """A Core statement of the hot path (authenticate, read a run, count): compiled once, executed by the driver.

    SQLAlchemy takes 80 to 130 µs to execute a small statement and make a row of it, the drivers 5 to 25 µs. With three
    statements in each request that was half of its CPU (`benchmarks/auth.py` compares it with a bare Flask route). One
    connection serves the request from the first statement to the last. Types are converted as everywhere. Each
    execution is a transaction of its own, on PostgreSQL one round trip instead of three; never use one inside
    `writing()`. On SQLite it does not wait for the disk: what it writes, counters, a power cut may take back.
    """

    def __init__(self, statement: Select[Any] | Update) -> None:
        self._statement = statement
        self._for: dict[str, Callable[[Any, dict[str, Any]], Any]] = {}

    def __call__(self, **values: Any) -> Any:
        """Executes it and returns the first row, its columns as attributes; None where there is none."""
        held = g.get("prepared")
        if held is None:
            engine = db.engine
            connection = engine.raw_connection()
            cursor = connection.info.get("cursor") or connection.info.setdefault(
                "cursor", connection.cursor()
            )
            if engine.dialect.name == "sqlite":
                cursor.execute(f"PRAGMA {SAFE_FROM_KILLS}")
            held = g.prepared = connection, cursor, engine.dialect
        connection, cursor, dialect = held
        execute = self._for.get(dialect.name) or self._for.setdefault(dialect.name, self._compiled(dialect))
        try:
            return execute(cursor, values)
        except Exception as error:
            if dialect.is_disconnect(error, connection.driver_connection, cursor):
                connection.invalidate(error)
                db.engine.dispose()  # the database has gone away: the others are dead as well
            raise

    def _compiled(self, dialect: Dialect) -> Callable[[Any, dict[str, Any]], Any]:
        compiled = self._statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        sql, fixed, order = str(compiled), compiled.params, compiled.positiontup
        into = {
            name: process
            for bind, name in compiled.bind_names.items()
            if (process := bind.type.dialect_impl(dialect).bind_processor(dialect))
        }
        columns = list(self._statement.selected_columns) if isinstance(self._statement, Select) else []
        row = namedtuple("Row", [str(column.key) for column in columns])  # type: ignore[misc]
        out: list[Any] = []

        def execute(cursor: Any, values: dict[str, Any]) -> Any:
            given = {**fixed, **values}
            for name, process in into.items():
                given[name] = process(given[name])
            cursor.execute(sql, [given[name] for name in order] if order else given)
            found = next(iter(cursor.fetchall()), None) if columns else None
            if found and not out:  # how to convert depends on the types that the database answers
                out[:] = [
                    column.type.dialect_impl(dialect).result_processor(dialect, about[1])
                    for column, about in zip(columns, cursor.description, strict=True)
                ]
            return found and row._make(p(v) if p else v for p, v in zip(out, found, strict=True))

        return execute


def end_reading() -> None:
    """Ends what the session was reading, so that it holds no old view of the data; does nothing without one."""
    if db.session.registry.has() and not db.session.info.get("writing"):
        db.session.rollback()


def give_back(error: BaseException | None = None) -> None:
    """Returns the connection that the request's prepared statements used."""
    del error
    held = g.pop("prepared", None)
    if held is not None:
        held[0].close()
