"""gunicorn's settings; `retestr serve` passes address, processes and threads on the command line."""

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
