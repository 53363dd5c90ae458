"""The worker's side of the broker: what `retestr worker` runs where RETESTR_BROKER_URL is set.

Each process of the Celery worker has one `Station`: a thread with an asyncio loop where a browser, the heartbeat
and the watch over the claims live from task to task. A task works one chunk, whichever deserves it most; one that
finds nothing returns at once. Never imported by the web process: it sends through `runs.dispatch`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import worker_process_init, worker_process_shutdown

from server import logs
from server.config import load
from server.runs import dispatch
from server.runs.work import DRAIN_S, GIVE_BACK_S
from server.worker import make_worker

log = logging.getLogger("retestr.worker")
settings = load()

SOFT_LIMIT_S = settings.run_timeout_s + 60
"""A chunk's run has ended by then, which stops its pages."""
HARD_LIMIT_S = SOFT_LIMIT_S + 60

logs.configure(settings, "worker: %(message)s")
app = dispatch.application(settings.broker_url)
app.conf.update(
    worker_hijack_root_logger=False,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_soft_time_limit=SOFT_LIMIT_S,
    task_time_limit=HARD_LIMIT_S,
    worker_prefetch_multiplier=1,
    worker_soft_shutdown_timeout=DRAIN_S,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
)


class Station:
    """A thread where a worker lives from task to task; `start` and `stop` belong to the process's own life."""

    def __init__(self) -> None:
        self._worker = make_worker()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._live, name="station", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def work_once(self) -> bool:
        """Works one chunk; returns False where there was none."""
        working = self._run(self._worker.work_once())
        try:
            return working.result()
        except SoftTimeLimitExceeded:
            log.error("a chunk took longer than %s s and was given back", SOFT_LIMIT_S)
            working.cancel()
            return True

    def stop(self) -> None:
        """Gives back what is unfinished and closes the browser."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(2 * GIVE_BACK_S)

    def _run(self, coroutine: Coroutine[Any, Any, bool]) -> Future[bool]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._be_on_duty())

    async def _be_on_duty(self) -> None:
        async with self._worker.on_duty():
            await self._stopping.wait()


_station: Station | None = None


def _begin(**_: object) -> None:
    global _station
    _station = Station()
    _station.start()


def _end(**_: object) -> None:
    if _station is not None:
        _station.stop()


def work() -> None:
    """There is work: takes one chunk and works it."""
    assert _station is not None
    _station.work_once()


worker_process_init.connect(_begin)
worker_process_shutdown.connect(_end)
app.task(work, name=dispatch.TASK)
