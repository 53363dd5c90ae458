"""Telling workers on other machines that there is work, through a Celery broker.

A message carries nothing: whichever worker gets it claims the chunk that deserves it most (`claims`). The rows
are the truth, so a message that is lost, or sent twice, changes only how soon somebody looks. Without a broker
nothing is sent, and Celery is not even imported. What workers do with a message is in `server.celery_app`.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import current_app

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger("retestr.dispatch")

PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}
TASK = "retestr.work"
QUEUE = "retestr"
CONNECT_TIMEOUT_S = 1.0
AT_ONCE = 200
"""Messages that a trigger sends itself, at half a millisecond each; the sweep sends the rest."""


def broker_name(broker_url: str) -> str:
    """`redis at broker.example:6379`. Raises ValueError, which says nothing of the password, for what is no broker."""
    parts = urlsplit(broker_url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:  # its text quotes what stands after the colon
        host = port = None
    if parts.scheme not in PORTS or not host or parts.fragment:
        raise ValueError(
            "it must be redis://user:password@host:port, rediss://, amqp:// or amqps://; "
            "in the password write / as %2F, # as %23, @ as %40 and : as %3A"
        )
    return f"{parts.scheme} at {host}:{port or PORTS[parts.scheme]}"


def has_broker() -> bool:
    """Whether workers on other machines wait for messages."""
    return bool(current_app.extensions["retestr"].broker_url)


def announce(chunks: int) -> None:
    """Sends one message for each chunk, the first 200 of them. Call it when they are committed: a worker looks at once.

    A broker that does not answer within a second is logged; the sweep makes up for it.
    """
    _send(min(chunks, AT_ONCE))


def announce_missing(chunks: int) -> None:
    """Sends what the queue has less than `chunks`: after the broker was down, or has lost its memory."""
    if chunks <= 0:
        return
    broker_url = current_app.extensions["retestr"].broker_url
    try:
        with _client(broker_url).connection_for_write() as connection:
            queue = _client(broker_url).amqp.queues[QUEUE].bind(connection.default_channel)
            waiting = queue.queue_declare().message_count
    except Exception as error:
        log.warning("the broker does not answer (%s); %s chunks wait for it", error, chunks)
        return
    _send(chunks - waiting)


def workers(broker_url: str) -> int:
    """How many workers answer within a second. Raises what Celery raises where the broker does not."""
    answers = _client(broker_url).control.inspect(timeout=CONNECT_TIMEOUT_S).ping()
    return len(answers or ())


def _send(count: int) -> None:
    broker_url = current_app.extensions["retestr"].broker_url
    if not broker_url or count <= 0:
        return
    try:
        with _client(broker_url).producer_pool.acquire(block=True, timeout=CONNECT_TIMEOUT_S) as producer:
            for _ in range(count):
                _client(broker_url).send_task(TASK, producer=producer, retry=False)
    except Exception as error:
        log.warning("the broker does not answer (%s); the sweep will announce %s chunks", error, count)


def application(broker_url: str) -> Celery:
    """The Celery application as both sides need it: where the broker is and what the queue is called."""
    from celery import Celery

    application = Celery("retestr", broker=broker_url, set_as_current=False)
    application.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        broker_connection_timeout=CONNECT_TIMEOUT_S,
    )
    return application


@cache
def _client(broker_url: str) -> Celery:
    client = application(broker_url)
    client.conf.broker_transport_options = {
        "max_retries": 0,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": CONNECT_TIMEOUT_S,
    }
    return client
