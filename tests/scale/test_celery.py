"""Past one machine, with real processes: `retestr serve`, Celery workers, Redis, SQLite or PostgreSQL. No mocks."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from server.config import load
from tests.e2e.conftest import (
    BIN,
    Server,
    Site,
    make_server,
    process_ids,
    site,
    suite_of,
    wait_until,
)
from tests.postgres import Databases
from tests.scale.machines import Redis, Workers

__all__ = ["make_server", "site"]
BROKER = os.environ.get("RETESTR_TEST_BROKER_URL", "")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.skipif(not BROKER, reason="RETESTR_TEST_BROKER_URL is not set; use scripts/services run …"),
]
PAGES = [f"p{i}.html" for i in range(40)]
only_postgresql = pytest.mark.parametrize("server", ["postgresql"], indirect=True)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server to stop and start; use scripts/services run …")
    broker = Redis(tmp_path).start()
    yield broker
    broker.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest,
    make_server: Callable[..., Server],
    databases: Databases | None,
    site: Site,
    broker: Redis,
) -> Iterator[Server]:
    """A server that is set up and serves, with no worker yet."""
    for name in PAGES:
        site.page(name, f"<h1>{name}</h1>")
    with contextlib.ExitStack() as stack:
        url = ""
        if request.param == "postgresql":
            if databases is None:
                pytest.skip("RETESTR_TEST_DATABASE_URL is not set; use scripts/services run …")
            url = stack.enter_context(databases.fresh())
        server = make_server(
            RETESTR_CAPTURE_ALLOW=site.url.removeprefix("http://"),
            RETESTR_BROKER_URL=broker.url,
            RETESTR_DATABASE_URL=url,
        )
        server.project = server.set_up(suite_of(site.url, *PAGES))
        yield server.start()
        if server.process.poll() is None:
            server.stop()


@pytest.fixture
def workers(server: Server) -> Iterator[Workers]:
    workers = Workers(server)
    yield workers
    workers.end(signal.SIGTERM)
    wait_until(lambda: not process_ids(server, "celery"), "no worker is left", 20)


def begun(server: Server, done: int = 1) -> str:
    """A run of all pages that is on its way."""
    run_id = server.trigger(server.project)
    wait_until(lambda: server.run(run_id)["counts"]["done"] >= done, f"{done} snapshots are judged", 40)
    return run_id


def assert_judged_once(server: Server, run_id: str, within_s: float = 90) -> None:
    """The run passes, every page is new, and each made exactly one baseline."""
    run = server.finished(run_id, within_s)
    assert (run["status"], run["counts"]["new"], run["counts"]["done"]) == ("PASSED", 40, 40), run
    baselines = server.api("GET", f"/projects/{server.project}/baselines?limit=200").json()["items"]
    assert len(baselines) == 40
    assert {snapshot["status"] for snapshot in server.snapshots(run_id)} == {"NEW"}


def chunks(server: Server, column: str) -> list[int]:
    """A column of the chunks' table."""
    engine = create_engine(load(server.environment).database)
    with engine.connect() as connection:
        found = list(connection.scalars(text(f"SELECT {column} FROM chunk")))
    engine.dispose()
    return found


def deaths(server: Server) -> list[int]:
    return chunks(server, "deaths")


def test_serve_starts_no_worker_of_its_own_and_two_workers_share_a_run(
    server: Server, workers: Workers
) -> None:
    run_id = server.trigger(server.project)
    time.sleep(2)
    assert process_ids(server, "server.worker") == []
    assert server.run(run_id)["status"] == "PENDING"
    workers.start(2)
    assert_judged_once(server, run_id)
    doctor = subprocess.run(
        [BIN / "retestr", "doctor"], env=server.environment, capture_output=True, text=True
    )
    assert "2 workers answer" in doctor.stdout, doctor.stdout
    assert workers.end(signal.SIGTERM) == [0, 0]
    wait_until(lambda: not process_ids(server, "--type="), "no browser is left", 5)


@pytest.mark.parametrize("whole", [True, False], ids=["whole worker", "one process of it"])
def test_a_worker_killed_in_the_middle_loses_nothing_and_nothing_is_judged_twice(
    server: Server, site: Site, workers: Workers, whole: bool
) -> None:
    site.slow = 0.5
    workers.start(2)
    run_id = begun(server)
    mains = {worker.pid for worker in workers.running}
    child = next(pid for pid in process_ids(server, "--app server.celery_app") if pid not in mains)
    os.kill(min(mains) if whole else child, signal.SIGKILL)
    assert_judged_once(server, run_id)
    assert sum(deaths(server)) == 1


@only_postgresql
def test_a_redis_that_comes_back_empty_in_the_middle_does_not_stop_a_run(
    server: Server, site: Site, workers: Workers, broker: Redis
) -> None:
    site.slow = 0.5
    workers.start(2)
    run_id = begun(server)
    broker.stop()
    time.sleep(1)
    broker.start()
    assert_judged_once(server, run_id)


@only_postgresql
def test_a_run_triggered_while_the_broker_is_down_is_worked_when_it_is_back(
    server: Server, workers: Workers, broker: Redis
) -> None:
    workers.start()
    wait_until(lambda: len(process_ids(server, "--app server.celery_app")) == 2, "the worker runs", 20)
    broker.stop()
    began = time.monotonic()
    run_id = server.trigger(server.project)
    assert time.monotonic() - began < 2
    assert "the broker does not answer" in server.log()
    time.sleep(3)
    assert server.run(run_id)["status"] == "PENDING"
    broker.start()
    assert_judged_once(server, run_id)


@only_postgresql
def test_a_worker_that_is_stopped_gives_back_what_20_seconds_do_not_finish(
    server: Server, site: Site, workers: Workers
) -> None:
    site.slow = 100.0
    workers.start()
    run_id = server.trigger(server.project)
    wait_until(lambda: process_ids(server, "--type=renderer"), "pages are open", 30)
    assert workers.end(signal.SIGTERM) == [0]
    assert set(deaths(server)) == {0}
    assert chunks(server, "count(owner)") == [0]
    wait_until(lambda: not process_ids(server, "--type="), "no browser is left", 5)
    site.slow = 0.0
    workers.start()
    assert_judged_once(server, run_id)
