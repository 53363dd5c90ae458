"""The worker's browser: started once, anew when it has died or is worn, and never under a chunk that uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from apiflask import APIFlask

from server import supervisor
from server.config import Settings
from server.runs import work
from server.runs.work import Worker
from server.vision.page import CaptureError
from server.worker import never_captured


class Started:
    """Stands for a running browser, as far as its life goes."""

    def __init__(self) -> None:
        self.alive = False

    async def __aenter__(self) -> Started:
        self.alive = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.alive = False


@pytest.fixture
def worker(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setattr(work.processes, "kept_bytes", lambda: 0)
    return Worker(app, "a worker", Started)  # type: ignore[arg-type]


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 5))


async def used(worker: Worker, *, pages: int = 0) -> Any:
    async with worker._using_browser() as browser:
        assert browser.alive
        worker._pages += pages
        return browser


def test_one_browser_serves_chunk_after_chunk(worker: Worker) -> None:
    async def scene() -> None:
        assert await used(worker, pages=work.MOST_PAGES - 1) is await used(worker)

    play(scene)


def test_after_so_many_pages_it_is_started_anew(worker: Worker) -> None:
    async def scene() -> None:
        first = await used(worker, pages=work.MOST_PAGES)
        second = await used(worker)
        assert second is not first
        assert not first.alive
        assert await used(worker) is second

    play(scene)


def test_when_it_has_kept_too_much_memory_it_is_started_anew(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        first = await used(worker)
        monkeypatch.setattr(work.processes, "kept_bytes", lambda: work.MOST_KEPT_BYTES)
        assert await used(worker) is not first

    play(scene)


def test_when_it_has_died_it_is_started_anew(worker: Worker) -> None:
    async def scene() -> None:
        first = await used(worker)
        first.alive = False
        assert await used(worker) is not first

    play(scene)


def test_a_worn_browser_ends_when_no_chunk_uses_it_any_more(worker: Worker) -> None:
    async def scene() -> None:
        async with worker._using_browser() as first:
            worker._pages = work.MOST_PAGES
            next_one = asyncio.create_task(used(worker))
            after_it = asyncio.create_task(used(worker))
            await asyncio.sleep(0.05)
            assert first.alive
            assert not next_one.done()
        assert await next_one is await after_it is not first

    play(scene)


def test_a_chunk_that_is_cancelled_while_it_waits_keeps_nobody_waiting(worker: Worker) -> None:
    async def scene() -> None:
        async with worker._using_browser() as first:
            worker._pages = work.MOST_PAGES
            waiting = asyncio.create_task(used(worker))
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert await used(worker) is not first

    play(scene)


def test_settings_that_no_browser_can_be_had_with_end_a_run_and_hang_none(app: APIFlask) -> None:
    def unreadable() -> Any:
        raise ValueError("Port could not be cast to integer value as 'port'")

    async def scene() -> None:
        with pytest.raises(CaptureError, match="does not start on the worker's machine"):
            await used(Worker(app, "a worker", unreadable))

    play(scene)


def test_what_the_server_works_with_is_closed_to_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETESTR_LISTENS", "http://0.0.0.0:8000")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio.internal:9000")
    settings = Settings(
        public_url="http://retestr.internal",
        database_url="postgresql://retestr:secret@db.internal/retestr",
        broker_url="redis://broker.internal:6380",
        storage_url="s3://images?endpoint=https://store.internal",
        capture_proxy="http://ada:secret@proxy.internal:3128",
    )

    assert set(never_captured(settings)) == {
        ("0.0.0.0", 8000),
        ("retestr.internal", 80),
        ("db.internal", 5432),
        ("broker.internal", 6380),
        ("minio.internal", 9000),
        ("store.internal", 443),
        ("proxy.internal", 3128),
    }


@pytest.mark.parametrize("password", ["pa/ss", "pa#ss", "pa?ss", "pa:ss"])
def test_a_database_is_closed_to_pages_whatever_its_password(password: str) -> None:
    settings = Settings(database_url=f"postgresql://retestr:{password}@db.internal/retestr")
    assert never_captured(settings) == (("db.internal", 5432),)


@pytest.mark.parametrize("host", ["::", "::1", "127.0.0.1"])
def test_a_server_is_closed_to_its_own_pages_on_ipv6_too(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETESTR_LISTENS", f"tcp://{supervisor.address(host, 8000)}")
    assert never_captured(Settings()) == ((host, 8000),)
