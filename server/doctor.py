"""What `retestr doctor` looks at: each part by really using it, with what to do where it does not work."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Row, create_engine, func, inspect, select

from server.config import SettingError, Settings
from server.database import check_address, clock_s
from server.images import open_store
from server.models import WorkerRow
from server.runs import dispatch
from server.runs.workers import SILENT_S
from server.vision import browser


@dataclass(frozen=True)
class Check:
    """One part and what was found."""

    name: str
    works: bool
    finding: str


def checks(settings: Settings) -> Iterator[Check]:
    """Looks at one part after the other; never raises."""
    yield _browser(settings)
    for name, look in (
        ("database", _database),
        ("store", _store),
        ("queue", _queue),
        ("workers", _workers),
        ("clock", _clock),
    ):
        try:
            yield look(settings)
        except SettingError as error:
            yield Check(name, False, str(error))
        except Exception as error:
            yield Check(name, False, f"{type(error).__name__}: {_first_line(error)}")


def _browser(settings: Settings) -> Check:
    path = browser.find_browser(settings.browser or None)
    if path is None:
        return Check("browser", False, f"none found. {browser.install_hint()}")
    try:
        sandboxed = asyncio.run(_start(path, settings.capture_sandbox == "required"))
        how = (
            "in its sandbox" if sandboxed else "without its sandbox, which this machine or being root forbids"
        )
        return Check("browser", True, f"{path}, {browser.version(path)}, {how}")
    except ImportError as error:
        return Check(
            "browser", False, f"{error}; install the worker's packages: pip install 'retestr[capture]'"
        )
    except Exception as error:
        return Check(
            "browser",
            False,
            f"{path} does not start: {_first_line(error)}. Where a library is missing (the line above tells "
            f"which), install it: bare Debian lacks libatomic1. Else install the browser anew: {browser.install_hint()}",
        )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or "it says no more"


async def _start(path: Path, insist_on_sandbox: bool) -> bool:
    """Starts the browser as the worker does, its driver included; returns whether it has its sandbox."""
    from server.vision.capture import Browser

    async with Browser(path, insist_on_sandbox=insist_on_sandbox) as started:
        return started.sandboxed


def _database(settings: Settings) -> Check:
    settings.data.mkdir(parents=True, exist_ok=True)
    with _connected(settings) as connection:
        connection.execute(select(clock_s()))
        kind, url = connection.dialect.name, connection.engine.url
    return Check("database", True, f"{kind}, {settings.data.resolve() if kind == 'sqlite' else url.host}")


@contextmanager
def _connected(settings: Settings) -> Iterator[Connection]:
    try:
        check_address(settings.database)
    except ValueError as error:
        raise SettingError(f"RETESTR_DATABASE_URL cannot be used: {error}") from None
    engine = create_engine(settings.database)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _store(settings: Settings) -> Check:
    open_store(settings.storage).check()
    return Check("store", True, f"images in {settings.storage}")


def workers_here(settings: Settings) -> Check:
    """Those of this machine; works where there is one. Unlike the others it starts nothing: it is asked often."""
    here = socket.gethostname()[:64]
    for host, count, _ in _heard_of(settings):
        if host == here:
            return Check("workers", True, f"{count} on {here}")
    return Check("workers", False, f"no worker of {here} was heard of within {SILENT_S:.0f} s")


def _heard_of(settings: Settings) -> Sequence[Row[str, int, int]]:
    """Host, workers and their open pages: those heard of just now, by the rows that they write."""
    heard = WorkerRow.seen_at_s >= clock_s() - SILENT_S
    by_host = select(WorkerRow.host, func.count(), func.sum(WorkerRow.pages_open)).where(heard)
    with _connected(settings) as connection:
        made = inspect(connection).has_table(WorkerRow.__tablename__)  # by `retestr init` or `retestr serve`
        return connection.execute(by_host.group_by(WorkerRow.host)).all() if made else ()


def _workers(settings: Settings) -> Check:
    rows = _heard_of(settings)
    if not rows:
        return Check("workers", True, "none is running; `retestr serve` or `retestr worker` starts one")
    told = [
        f"{count} on {host} ({pages} {'page' if pages == 1 else 'pages'} open)" for host, count, pages in rows
    ]
    return Check("workers", True, ", ".join(told))


def _queue(settings: Settings) -> Check:
    if not settings.broker_url:
        return Check("queue", True, "none needed: the embedded worker claims rows")
    try:
        broker = dispatch.broker_name(settings.broker_url)
    except ValueError as error:
        return Check("queue", False, f"RETESTR_BROKER_URL cannot be used: {error}")
    try:
        workers = dispatch.workers(settings.broker_url)
    except Exception as error:
        return Check(
            "queue", False, f"{broker} does not answer: {str(error).rstrip('.')}. Runs wait until it does"
        )
    if not workers:
        return Check("queue", False, f"{broker}, no worker answers. Start one: retestr worker")
    return Check(
        "queue", True, f"{broker}, {workers} {'worker answers' if workers == 1 else 'workers answer'}"
    )


def _clock(settings: Settings) -> Check:
    with _connected(settings) as connection:
        apart = abs((connection.scalar(select(clock_s())) or 0) - time.time())
    if apart > 30:
        return Check(
            "clock", False, f"{apart:.0f} s apart from the database's; let both machines set theirs by NTP"
        )
    return Check("clock", True, f"{apart:.1f} s apart from the database's")
