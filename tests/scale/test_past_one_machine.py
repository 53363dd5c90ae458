"""Two web servers and three workers that share nothing but one PostgreSQL, one broker and one S3 store, and faults.

Long (RETESTR_LONG=1, `make check-all`): each process is real, each fault really happens.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Server, Site, make_server, process_ids, site, suite_of, wait_until
from tests.scale.machines import Bucket, Postgres, RabbitMq, Redis, Workers

__all__ = ["make_server", "site"]
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.skipif(not os.environ.get("RETESTR_LONG"), reason="takes minutes; RETESTR_LONG=1 runs it"),
]
SECRET = "one secret for all of them"
STOPPED_S = 40.0


class House:
    """Two web servers, and workers, on shared parts."""

    def __init__(self, make: Callable[..., Server], site: Site, **shared: str) -> None:
        settings = {
            "RETESTR_SECRET_KEY": SECRET,
            "RETESTR_CAPTURE_ALLOW": site.url.removeprefix("http://"),
            "RETESTR_PAGES_AT_ONCE": "2",
            **shared,
        }
        self.site = site
        self.webs = [make(**settings) for _ in range(2)]
        self.workers = Workers(self.webs[0])

    def open(self, pages: list[str], slow_s: float, workers: int) -> None:
        """Starts all of it on a site with these pages, each of which takes so long."""
        for page in pages:
            self.site.page(page, f"<h1>{page}</h1>")
        self.site.slow = slow_s
        self.project = self.webs[0].set_up(suite_of(self.site.url, *pages))
        for web in self.webs:
            web.key = self.webs[0].key
            web.start()
        self.workers.start(workers)

    def close(self) -> None:
        self.workers.end(signal.SIGKILL)

    def assert_each_judged_once(self, run_id: str, snapshots: int, within_s: float) -> None:
        """The run passes, every page is new, and each made exactly one baseline; either web server says so."""
        run = self.webs[1].finished(run_id, within_s)
        counts = run["counts"]
        assert (run["status"], counts["new"], counts["done"]) == ("PASSED", snapshots, snapshots), run
        for web in self.webs:
            listed = web.api("GET", f"/projects/{self.project}/baselines?limit=200").json()["items"]
            assert len(listed) == snapshots
            assert {one["runId"] for one in listed} == {run_id}


@pytest.fixture
def redis_broker(tmp_path: Path) -> Iterator[Redis]:
    broker = Redis(tmp_path).start()
    yield broker
    broker.stop()


@pytest.fixture
def rabbitmq(tmp_path: Path) -> Iterator[RabbitMq]:
    broker = RabbitMq(tmp_path).start()
    yield broker
    broker.stop()


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    database = Postgres().start()
    yield database
    database.close()


@pytest.fixture
def build(
    make_server: Callable[..., Server], site: Site, postgres: Postgres, bucket: Bucket
) -> Iterator[Callable[[str], House]]:
    """Makes a house on the broker of an address, PostgreSQL and S3; its workers are gone after the test."""
    built: list[House] = []

    def build(broker_url: str) -> House:
        built.append(
            House(
                make_server,
                site,
                RETESTR_DATABASE_URL=postgres.url,
                RETESTR_BROKER_URL=broker_url,
                RETESTR_STORAGE_URL=bucket.url,
            )
        )
        return built[-1]

    yield build
    for house in built:
        house.close()


def test_every_run_ends_right_whatever_is_killed_stopped_or_restarted(
    build: Callable[[str], House], site: Site, postgres: Postgres, redis_broker: Redis, bucket: Bucket
) -> None:
    pages = [f"p{number}.html" for number in range(200)]
    house = build(redis_broker.url)
    house.open(pages, slow_s=0.4, workers=3)
    first, second = house.webs
    run_id = first.trigger(house.project)
    wait_until(lambda: second.run(run_id)["counts"]["done"] >= 5, "the run is on its way", 60)

    house.workers.signal(0, signal.SIGKILL)
    house.workers.signal(1, signal.SIGSTOP)
    stopped = time.monotonic()
    redis_broker.stop()
    time.sleep(3)
    redis_broker.start()
    assert second.run(run_id)["status"] == "RUNNING"
    postgres.stop()
    time.sleep(3)
    postgres.start()
    time.sleep(max(0.0, stopped + STOPPED_S - time.monotonic()))
    for web in house.webs:  # a connection from before is noticed to be dead, told as 503, and replaced
        wait_until(lambda web=web: "status" in web.run(run_id), "the web server is back", 10)
    assert first.run(run_id)["status"] == "RUNNING", "all faults happened while it ran"
    house.workers.signal(1, signal.SIGCONT)

    house.assert_each_judged_once(run_id, len(pages), 300)
    assert len(bucket.names()) == len(pages)
    site.slow = 0.0
    again = second.finished(second.trigger(house.project), 200)
    assert (again["status"], again["counts"]["unchanged"]) == ("PASSED", len(pages))


def test_rabbitmq_brings_work_to_workers_and_one_that_is_killed_loses_nothing(
    build: Callable[[str], House], rabbitmq: RabbitMq
) -> None:
    pages = [f"p{number}.html" for number in range(40)]
    house = build(rabbitmq.url)
    house.open(pages, slow_s=0.3, workers=2)
    run_id = house.webs[0].trigger(house.project)
    wait_until(lambda: house.webs[1].run(run_id)["counts"]["done"] >= 3, "the run is on its way", 60)
    house.workers.signal(0, signal.SIGKILL)
    house.assert_each_judged_once(run_id, len(pages), 120)
    assert process_ids(house.webs[0], "server.worker") == []
