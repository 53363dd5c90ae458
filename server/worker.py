"""The worker as a process: `python -m server.worker`, started by `retestr serve`, and by `retestr worker` where
there is no broker (with one it is `server.celery_app`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import signal
import socket
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

from server import create_app, lifeline, logs
from server.config import Settings, load
from server.images import endpoint_of
from server.runs.work import Worker
from server.vision import browser
from server.vision.addresses import AddressPolicy
from server.vision.capture import Browser
from server.vision.page import CaptureError
from server.vision.upstream import Upstream

DEFAULT_PORTS = {
    "postgresql": 5432,
    "redis": 6379,
    "rediss": 6379,
    "amqp": 5672,
    "http": 80,
    "https": 443,
}
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE_BYTES = 1024**2
STORE_ENDPOINTS = ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
"""Where the store reads its address from, if its URL does not name it."""


def main() -> None:
    """Works until SIGTERM or SIGINT, then drains; when its supervisor is gone, it gives back its work and ends."""
    logs.configure(load(), "worker: %(message)s")
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_run())


async def _run() -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    work = asyncio.ensure_future(make_worker().run(stopping))

    def stop_at_once() -> None:
        stopping.set()  # or what is given back would be claimed again
        work.cancel()

    lifeline.hold_on(lambda: loop.call_soon_threadsafe(stop_at_once))
    await work


def make_worker() -> Worker:
    """This process's worker, with the settings of the environment and an owner's name of its own."""
    give_memory_back()
    app = create_app()
    owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
    return Worker(app, owner, lambda: open_browser(app.extensions["retestr"]))


def give_memory_back() -> None:
    """Have the C library give large memory that is freed back to the system at once; glibc only.

    Else it learns from the first pictures to keep such memory for each thread, in pieces: a worker grew by 100 MB in
    half an hour.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def open_browser(settings: Settings) -> Browser:
    """The browser to capture with, not yet started. Raises `CaptureError` where the machine has none."""
    path = browser.find_browser(settings.browser or None)
    if path is None:
        raise CaptureError(
            "browser-missing", f"There is no browser on the worker's machine. {browser.install_hint()}"
        )
    policy = AddressPolicy(settings.capture_allow, never_captured(settings))
    return Browser(
        path,
        policy=policy,
        upstream=Upstream.parse(settings.capture_proxy),
        pages_at_once=settings.pages_at_once or 2 * (os.cpu_count() or 1),
        insist_on_sandbox=settings.capture_sandbox == "required",
    )


def never_captured(settings: Settings) -> tuple[tuple[str, int], ...]:
    """Host and port of the server itself, its database, broker, store and proxy: closed to every page."""
    own = [settings.public_url, os.environ.get("RETESTR_LISTENS", "")]
    near = [settings.broker_url, endpoint_of(settings.storage_url), settings.capture_proxy]
    database = make_url(settings.database)  # whose password may hold what ends an address elsewhere
    found = {(database.host, database.port or DEFAULT_PORTS["postgresql"])} if database.host else set()
    for url in (*own, *near, *(os.environ.get(name, "") for name in STORE_ENDPOINTS)):
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme.partition("+")[0])
        if parts.hostname and port:
            found.add((parts.hostname, port))
    return tuple(sorted(found))


if __name__ == "__main__":
    main()
