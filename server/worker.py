"""The worker as a process: `python -m server.worker`, started by `retestr serve`, and by `retestr worker` where
there is no broker (with one it is `server.celery_app`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
from urllib.parse import urlsplit

from server import create_app, lifeline
from server.config import Settings
from server.runs.work import Worker
from server.vision import browser
from server.vision.addresses import AddressPolicy
from server.vision.capture import Browser
from server.vision.page import CaptureError

DEFAULT_PORTS = {
    "postgresql": 5432,
    "postgres": 5432,
    "redis": 6379,
    "rediss": 6379,
    "amqp": 5672,
    "https": 443,
}


def main() -> None:
    """Works until SIGTERM or SIGINT, then drains."""
    logging.basicConfig(level=logging.INFO, format="worker: %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    lifeline.hold_on()
    asyncio.run(_run())


async def _run() -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await make_worker().run(stopping)


def make_worker() -> Worker:
    """This process's worker, with the settings of the environment and an owner's name of its own."""
    app = create_app()
    owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
    return Worker(app, owner, lambda: open_browser(app.extensions["retestr"]))


def open_browser(settings: Settings) -> Browser:
    """The browser to capture with, not yet started. Raises `CaptureError` where the machine has none."""
    path = browser.find_browser(settings.browser or None)
    if path is None:
        raise CaptureError(
            "browser-missing", f"There is no browser on the worker's machine. {browser.install_hint()}"
        )
    policy = AddressPolicy(settings.capture_allow, never_captured(settings))
    return Browser(path, policy=policy, pages_at_once=settings.pages_at_once or 2 * (os.cpu_count() or 1))


def never_captured(settings: Settings) -> tuple[tuple[str, int], ...]:
    """Host and port of the server itself, its database, broker and store: closed to every page."""
    own = [settings.public_url, os.environ.get("RETESTR_LISTENS", "")]
    found = set()
    for url in (*own, settings.database_url, settings.broker_url, settings.storage_url):
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme.partition("+")[0])
        if parts.hostname and port:
            found.add((parts.hostname, port))
    return tuple(sorted(found))


if __name__ == "__main__":
    main()
