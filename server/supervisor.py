"""`retestr serve`: starts the web server and the worker as its children, restarts what dies, ends with both."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from server import lifeline
from server.config import Settings

log = logging.getLogger("retestr")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
CALM_S = 60.0  # a child that lived this long starts anew without a pause
DRAIN_S = 30.0


@dataclass
class Child:
    """A process that shall run: its command line and how it has fared."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause_s: float = field(default=FIRST_PAUSE_S)
    start_at: float = 0.0


class PortTaken(OSError):
    """Something else listens where the server shall."""


def serve(settings: Settings, host: str, port: int, *, with_worker: bool) -> None:
    """Runs until SIGTERM or SIGINT. Raises `PortTaken`."""
    _check_free(host, port)
    with tempfile.TemporaryDirectory(prefix="retestr-metrics-") as folder:
        environment = {**os.environ, "RETESTR_LISTENS": f"tcp://{address(host, port)}"}
        if settings.metrics_token:
            environment["PROMETHEUS_MULTIPROC_DIR"] = folder
        _supervise(settings, host, port, environment, with_worker)


def address(host: str, port: int) -> str:
    """Host and port as they stand in an address of the web: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _supervise(
    settings: Settings, host: str, port: int, environment: dict[str, str], with_worker: bool
) -> None:
    reading, writing = os.pipe()  # this process never closes the writing end: see `lifeline`
    os.set_inheritable(reading, True)
    environment[lifeline.VARIABLE] = str(reading)
    children = [Child("web", _web(settings, host, port))]
    if with_worker:
        children.append(Child("worker", [sys.executable, "-m", "server.worker"]))
    stopping = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopping:
        for child in children:
            _keep_running(child, environment, reading)
        time.sleep(0.1)
    _stop(children)
    os.close(writing)


def _web(settings: Settings, host: str, port: int) -> list[str]:
    return [
        sys.executable, "-m", "gunicorn", "server.wsgi:app", "--config", "python:server.gunicorn_config",
        "--bind", address(host, port),
        "--workers", str(settings.web_processes), "--threads", str(settings.web_threads),
        "--forwarded-allow-ips", "*" if settings.trusted_proxies else "127.0.0.1",
    ]  # fmt: skip


def _keep_running(child: Child, environment: dict[str, str], descriptor: int) -> None:
    now = time.monotonic()
    if child.process is not None and (code := child.process.poll()) is not None:
        child.process = None
        lived = now - child.started
        child.pause_s = FIRST_PAUSE_S if lived > CALM_S else min(child.pause_s * 2, LONGEST_PAUSE_S)
        child.start_at = now + child.pause_s
        log.warning("%s ended with code %s; starting it again in %.1f s", child.name, code, child.pause_s)
    if child.process is None and now >= child.start_at:
        # A session of its own: Ctrl-C in a terminal reaches this process, which then stops them in order.
        child.process = subprocess.Popen(
            child.command, env=environment, pass_fds=(descriptor,), start_new_session=True
        )
        child.started = now


def _stop(children: Sequence[Child]) -> None:
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + DRAIN_S
    for process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(
                f"Cannot listen on {host}:{port}: {error.strerror}. Choose another address with --host and --port."
            ) from None
