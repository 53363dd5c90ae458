"""What `retestr doctor` looks at: each part by really using it, with what to do where it does not work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import create_engine, select

from server.config import Settings
from server.database import clock_s
from server.images import open_store
from server.runs import dispatch
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
    for name, look in (("database", _database), ("store", _store), ("queue", _queue), ("clock", _clock)):
        try:
            yield look(settings)
        except Exception as error:
            yield Check(name, False, f"{type(error).__name__}: {str(error).splitlines()[0]}")


def _browser(settings: Settings) -> Check:
    path = browser.find_browser(settings.browser or None)
    if path is None:
        return Check("browser", False, f"none found. {browser.install_hint()}")
    try:
        asyncio.run(_start(path))
        return Check("browser", True, f"{path}, {browser.version(path)}")
    except ImportError as error:
        return Check(
            "browser", False, f"{error}; install the worker's packages: pip install 'retestr[capture]'"
        )
    except Exception as error:
        return Check(
            "browser", False, f"{path} does not start: {str(error).splitlines()[0]}. {browser.install_hint()}"
        )


async def _start(path: Path) -> None:
    """Starts the browser as the worker does, its driver included."""
    from server.vision.capture import Browser

    async with Browser(path):
        pass


def _database(settings: Settings) -> Check:
    settings.data.mkdir(parents=True, exist_ok=True)
    engine = create_engine(settings.database)
    with engine.connect() as connection:
        connection.execute(select(clock_s()))
    kind = engine.dialect.name
    engine.dispose()
    where = settings.data.resolve() if kind == "sqlite" else urlsplit(settings.database_url).hostname
    return Check("database", True, f"{kind}, {where}")


def _store(settings: Settings) -> Check:
    open_store(settings.storage).check()
    return Check("store", True, f"images in {settings.storage}")


def _queue(settings: Settings) -> Check:
    if not settings.broker_url:
        return Check("queue", True, "none needed: the embedded worker claims rows")
    parts = urlsplit(settings.broker_url)
    port = parts.port or {"redis": 6379, "rediss": 6379}.get(parts.scheme, 5672)
    broker = f"{parts.scheme} at {parts.hostname}:{port}"
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
    engine = create_engine(settings.database)
    with engine.connect() as connection:
        apart = abs((connection.scalar(select(clock_s())) or 0) - time.time())
    engine.dispose()
    if apart > 30:
        return Check(
            "clock", False, f"{apart:.0f} s apart from the database's; let both machines set theirs by NTP"
        )
    return Check("clock", True, f"{apart:.1f} s apart from the database's")
