"""Hot paths find their rows by an index, on tables that grow without end: each statement that they send is EXPLAINed.

SQLite must say SEARCH. PostgreSQL reads small tables whole whatever indexes there are, so that is made expensive: a
Seq Scan that remains says that no index leads to the rows. How long it takes is the benchmarks' to measure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select

from server.access import keys, limits, people, usage
from server.access.audit import CLI
from server.access.limits import Limit
from server.database import db, writing
from server.models import Run, Schedule, User
from server.runs import claims, judge, lifecycle, trigger, workers
from server.runs.lifecycle import Outcome
from server.runs.trigger import Trigger
from tests.conftest import World

GROW = {"run", "snapshot", "chunk", "baseline", "api_key", "login_session", "audit_event", "image", "limit_window",
        "idempotency", "user", "membership"}  # fmt: skip
Statement = tuple[str, Any]


@contextmanager
def sent() -> Iterator[list[Statement]]:
    """The statements that are sent meanwhile, with their parameters."""
    found: list[Statement] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            found.append((statement, parameters[0] if many else parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def read_whole(statement: Statement) -> set[str]:
    """The growing tables that the database would read from one end to the other."""
    db.session.rollback()
    connection = db.session.connection()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        lines = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement[0]}", statement[1])]
        tables = {found[1] for line in lines if (found := re.search(r'Seq Scan on "?(\w+)"?', line))}
    else:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement[0]}", statement[1])
        tables = {found[1] for row in rows if (found := re.match(r"SCAN (\w+)", row[3]))}
    db.session.rollback()
    return tables & GROW


def assert_all_by_index(statements: list[Statement], least: int = 1) -> None:
    assert len(statements) >= least, "nothing was sent that could be looked at"
    wrong = {statement[0]: tables for statement in statements if (tables := read_whole(statement))}
    assert not wrong, "\n\n".join(f"{tables} read whole by\n{text}" for text, tables in wrong.items())


@pytest.fixture
def busy(world: World) -> World:
    """With a run that has baselines, and one that is half done."""
    for _ in range(2):
        trigger.trigger(world.shop, Trigger("main", base_branch="main"), CLI, 1000)
    claim = claims.claim("w")
    assert claim is not None
    lifecycle.record("w", claim.snapshot_ids[0], Outcome("ERROR", error_kind="http", error_message="404"))
    return world


def test_a_worker_s_statements(busy: World) -> None:
    with sent() as statements:
        claim = claims.claim("a")
        assert claim is not None
        claims.renew("a", [claim.chunk_id])
        claims.still_wanted("a", [claim])
        for job in judge.jobs(claim.snapshot_ids):
            lifecycle.record("a", job.snapshot_id, Outcome("UNCHANGED"))
        claims.finish("a", claim)
    assert_all_by_index(statements, 15)


def test_the_sweep_s(busy: World) -> None:
    with writing() as session:
        session.query(Schedule).update({"due_s": 0.0})
    with sent() as statements:
        assert claims.sweep() or claims.sweep()
    assert_all_by_index(statements, 4)


def test_what_people_see_of_workers(busy: World) -> None:
    with sent() as statements:
        workers.working_on(busy.acme.id)
        workers.waiting()
    assert_all_by_index(statements, 2)


@pytest.mark.parametrize(
    "query",
    ["", "?projectId=shop", "?branch=main", "?status=FAILED", "?status=RUNNING", "?projectId=shop&branch=main", "?limit=1&cursor={run}"],
)  # fmt: skip
def test_lists_of_runs(busy: World, query: str) -> None:
    api = busy.api()
    first = api.get("/runs?limit=1").json
    with sent() as statements:
        answer = api.get("/runs" + query.format(run=first["nextCursor"]))
    assert answer.status_code == 200, answer.json
    assert_all_by_index(statements)


def test_a_run_s_snapshots_and_a_project_s_baselines(busy: World) -> None:
    api = busy.api()
    run_id = api.get("/runs").json["items"][0]["id"]
    with sent() as statements:
        assert api.get(f"/runs/{run_id}/snapshots").status_code == 200
        assert api.get("/projects/shop/baselines").status_code == 200
    assert_all_by_index(statements, 2)


def test_triggering_and_cancelling(busy: World) -> None:
    with sent() as statements:
        run, _ = trigger.trigger(busy.shop, Trigger("main"), CLI, 1000, "a key of its own")
        lifecycle.cancel(run, CLI)
        lifecycle.cancel_all(busy.acme.id, CLI)
    assert_all_by_index(statements, 4)


def test_every_request_s_key_session_and_limits(busy: World) -> None:
    user = db.session.scalars(select(User)).first()
    assert user is not None
    token = people.log_in(user, "127.0.0.1", "pytest")
    with sent() as statements:
        assert people.visitor(str(token)) is not None
        limits.look(Limit("test", 3, 60), "a")
        for prepared, values in (
            (keys._BY_HASH, {"hash": "0" * 64}),
            (keys._BY_HASH_WITH_RUN, {"hash": "0" * 64, "run_id": "1"}),
            (usage._COUNT, {"key": "1", "used_at": None}),
        ):
            db.session.execute(prepared._statement, values)
        db.session.rollback()
    assert_all_by_index(statements, 5)


def test_a_statement_without_an_index_would_be_found(busy: World) -> None:
    with sent() as statements:
        db.session.scalars(select(Run).where(Run.name == "x")).all()
    with pytest.raises(AssertionError, match="read whole"):
        assert_all_by_index(statements)
