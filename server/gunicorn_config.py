"""gunicorn's settings; `retestr serve` passes address, processes and threads on the command line."""

import itertools
import os
from typing import Any

from server import lifeline

worker_class = "gthread"
timeout = 120
graceful_timeout = 15
keepalive = 15
accesslog = None
errorlog = "-"
loglevel = "warning"
max_requests = 20_000
max_requests_jitter = 2_000
limit_request_line = 8190  # filters of a list may be long
control_socket_disable = True


def when_ready(server: Any) -> None:
    """Follows the parent that started this server."""
    del server
    lifeline.hold_on()


def pre_fork(server: Any, worker: Any) -> None:
    """Gives a web process the lowest number that no living one has."""
    taken = {getattr(other, "slot", None) for other in server.WORKERS.values()}
    worker.slot = next(number for number in itertools.count() if number not in taken)


def post_fork(server: Any, worker: Any) -> None:
    """Tells a web process its number, by which it counts its requests (`server.metrics`)."""
    del server
    os.environ["RETESTR_WEB_SLOT"] = str(worker.slot)
