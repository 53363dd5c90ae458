"""The audit log: kept, filtered, exported, never changed."""

from __future__ import annotations

import csv
import io
import json

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from server.access import audit
from server.access.audit import CLI, Actor
from server.database import db, writing
from server.models import AuditEvent
from tests.conftest import World


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET action = 'X'",
        "DELETE FROM audit_event",
        "INSERT OR REPLACE INTO audit_event SELECT * FROM audit_event",
    ],
)
def test_the_database_refuses_to_change_the_log(world: World, statement: str) -> None:
    if "OR REPLACE" in statement and db.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite knows REPLACE")
    count = db.session.query(AuditEvent).count()
    with pytest.raises(DatabaseError, match="only ever added to"), writing() as session:
        session.execute(text(statement))
    assert db.session.query(AuditEvent).count() == count > 0


def test_an_event_tells_who_what_when_from_where_and_by_which_request(world: World) -> None:
    api = world.api(project_ids=None)
    api.post("/projects", {"name": "New"}, headers={"X-Request-Id": "abc-123"})
    event = api.get("/audit-logs?action=PROJECT_CREATE&limit=1").json["items"][0]
    assert event["actor"] == {
        "kind": "key",
        "id": event["actor"]["id"],
        "name": "a key",
        "address": "127.0.0.1",
    }
    assert event["target"]["name"] == "new"
    assert event["requestId"] == "abc-123"
    assert event["time"].endswith("Z")


def test_a_change_is_logged_with_before_and_after(world: World) -> None:
    api = world.api()
    api.call("PATCH", "/projects/shop", json={"name": "Store"})
    event = api.get("/audit-logs?action=PROJECT_UPDATE").json["items"][0]
    assert event["metadata"] == {"before": {"name": "Shop"}, "after": {"name": "Store"}}


def test_events_are_filtered_by_actor_action_target_and_time(world: World) -> None:
    api = world.api()
    api.post("/projects", {"name": "New"})
    created = api.get("/audit-logs?action=PROJECT_CREATE").json["items"]
    assert {event["action"] for event in created} == {"PROJECT_CREATE"}
    assert {e["actor"]["name"] for e in api.get("/audit-logs?actor=a key").json["items"]} == {"a key"}
    assert [e["target"]["name"] for e in api.get("/audit-logs?target=new").json["items"]] == ["new"]
    at = created[0]["time"]
    assert created[0] in api.get(f"/audit-logs?since={at}").json["items"]
    assert created[0] not in api.get(f"/audit-logs?until={at}").json["items"]
    assert api.get("/audit-logs?since=yesterday").status_code == 422


def test_another_organisations_events_are_not_shown(world: World) -> None:
    world.api().post("/projects", {"name": "Secret plans"})
    assert "ecret" not in world.api(organization=world.other).get("/audit-logs").text


def test_the_log_is_exported_whole_as_json_lines_and_csv(world: World) -> None:
    with writing():
        for number in range(audit.BATCH + 10):
            audit.record(world.acme.id, CLI, "TEST", ("thing", None, f"thing {number}"))
        audit.record(
            world.acme.id, Actor("user", None, "=cmd()"), "TEST", ("thing", None, 'a "name",\nwith all')
        )
    api = world.api()
    lines = api.get("/audit-logs/export?action=TEST").text.splitlines()
    assert [json.loads(line)["target"]["name"] for line in lines[:2]] == ["thing 0", "thing 1"]
    assert len(lines) == audit.BATCH + 11
    answer = api.get("/audit-logs/export?action=TEST&format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.mimetype == "text/csv"
    assert len(rows) == audit.BATCH + 11
    assert rows[-1]["target_name"] == 'a "name",\nwith all'
    assert rows[-1]["actor_name"] == "'=cmd()"  # no formula in a spreadsheet
    assert api.get("/audit-logs/export?format=xml").status_code == 422


def test_no_secret_is_in_any_event(world: World) -> None:
    api = world.api()
    made = api.post("/keys", {"name": "CI", "scopes": ["run:read"]}).json
    api.post(f"/keys/{made['id']}/rotate")
    told = api.get("/audit-logs/export").text
    assert "vts_" not in told
    assert "correct horse" not in told
