"""Messages to workers elsewhere: one for each chunk, what is missing again, and a broker that is away."""

from __future__ import annotations

import logging
import secrets
import socket
import time
from dataclasses import replace

import pytest

from server.access.audit import CLI
from server.database import writing
from server.models import Schedule
from server.runs import claims, dispatch, trigger
from server.runs.trigger import Trigger
from tests.conftest import World


class Queue:
    """What lies in the broker's queue; a broker within this process, of its own for each test."""

    def __init__(self, broker_url: str) -> None:
        self.broker_url = broker_url

    def __len__(self) -> int:
        with dispatch._client(self.broker_url).connection() as connection:
            return connection.default_channel.queue_declare(dispatch.QUEUE).message_count

    def lose(self, count: int) -> None:
        with dispatch._client(self.broker_url).connection() as connection:
            for _ in range(count):
                assert connection.default_channel.basic_get(dispatch.QUEUE, no_ack=True) is not None


def use_broker(world: World, url: str) -> None:
    world.app.extensions["retestr"] = replace(world.app.extensions["retestr"], broker_url=url)


@pytest.fixture
def queue(world: World, monkeypatch: pytest.MonkeyPatch) -> Queue:
    name = f"retestr-{secrets.token_hex(4)}"
    monkeypatch.setattr(dispatch, "QUEUE", name)
    dispatch._client.cache_clear()
    use_broker(world, "memory://")
    yield Queue("memory://")
    dispatch._client.cache_clear()


def begin(world: World, tests: int) -> str:
    suite = "baseUrl: http://127.0.0.1:9\ntests:\n" + "".join(
        f"  - {{name: t{i}, path: /{i}}}\n" for i in range(tests)
    )
    return trigger.trigger(world.shop, Trigger("main", suite=suite), CLI, 20_000)[0].id


def sweep() -> None:
    with writing() as session:
        session.query(Schedule).update({"due_s": 0.0})
    assert claims.sweep() or claims.sweep()


def test_a_trigger_sends_one_message_for_each_chunk(world: World, queue: Queue) -> None:
    begin(world, 20)
    assert len(queue) == 3


def test_a_replayed_trigger_sends_nothing(world: World, queue: Queue) -> None:
    for _ in range(2):
        trigger.trigger(world.shop, Trigger("main"), CLI, 100, idempotency_key="same")
    assert len(queue) == 1


def test_a_huge_run_is_announced_in_part_and_the_sweep_sends_the_rest(
    world: World, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "AT_ONCE", 2)
    begin(world, 40)
    assert len(queue) == 2
    sweep()
    assert len(queue) == 5


def test_the_sweep_sends_what_the_broker_has_lost_and_no_more(world: World, queue: Queue) -> None:
    begin(world, 40)
    sweep()
    assert len(queue) == 5
    queue.lose(4)
    claims.claim("w")  # one chunk needs no message any more
    sweep()
    assert len(queue) == 4


def test_a_freed_chunk_is_announced_by_the_sweep_that_frees_it(world: World, queue: Queue) -> None:
    begin(world, 3)
    queue.lose(1)
    claims.claim("w")
    sweep()
    assert len(queue) == 0
    with writing() as session:
        session.query(claims.Chunk).update({"lease_until_s": 1.0})
    sweep()
    assert len(queue) == 1


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
@pytest.mark.parametrize("silent", [True, False], ids=["silent", "refusing"])
def test_a_broker_that_does_not_answer_delays_a_trigger_by_a_second_and_loses_nothing(
    world: World, scheme: str, silent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1] if silent else 9
        use_broker(world, f"{scheme}://:secret@127.0.0.1:{port}/0")
        began = time.monotonic()
        with caplog.at_level(logging.WARNING):
            run_id = begin(world, 3)
        assert time.monotonic() - began < 3
    assert "the broker does not answer" in caplog.text
    assert "secret" not in caplog.text
    assert claims.claim("w").run_id == run_id
