"""API keys: format, storage, and what is refused when one is made."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from server.access import keys
from server.access.audit import CLI
from server.database import db, now
from server.models import ApiKey, AuditEvent
from server.problems import Invalid
from tests.conftest import World


def test_a_key_has_the_documented_shape_and_a_checksum() -> None:
    made = {keys.new_key() for _ in range(200)}
    assert len(made) == 200
    for key in made:
        assert re.fullmatch(keys.PATTERN, key)
        assert keys.is_well_formed(key)


@pytest.mark.parametrize("position", [0, 4, 20, 33, 34, 39])
def test_one_wrong_character_is_noticed_without_the_database(position: int) -> None:
    key = keys.new_key()
    wrong = "A" if key[position] != "A" else "B"
    assert not keys.is_well_formed(key[:position] + wrong + key[position + 1 :])


def test_the_key_itself_is_nowhere_in_the_database(world: World) -> None:
    key = world.key()
    rows = (row for table in db.metadata.sorted_tables for row in db.session.execute(table.select()))
    dump = "\n".join(map(repr, rows))
    assert sha256(key.encode()).hexdigest() in dump
    assert key not in dump
    assert key[8:-4] not in dump
    row = db.session.query(ApiKey).one()
    assert row.hint == f"{key[:8]}…{key[-4:]}"
    assert all(key not in json.dumps(event.details) for event in db.session.query(AuditEvent))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"scopes": []}, "at least one scope"),
        ({"scopes": ["run:read", "root"]}, "Unknown scope 'root'"),
        ({"name": "  "}, "needs a name"),
        ({"expires_at": now() - timedelta(days=1)}, "past"),
        ({"expires_at": datetime(9999, 12, 31, tzinfo=UTC)}, "100 years at most"),
        ({"project_ids": ["nowhere"]}, "no project 'nowhere'"),
        ({"project_ids": []}, "empty"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(world: World, values: dict, says: str) -> None:
    wanted = {"name": "CI", "scopes": ["run:read"], "actor": CLI, **values}
    with pytest.raises(Invalid, match=says):
        keys.create(world.acme.id, **wanted)
    assert db.session.query(ApiKey).count() == 0


def test_through_the_api_a_key_is_shown_once_listed_and_revoked(world: World) -> None:
    api = world.api()
    made = api.post("/keys", {"name": "CI", "scopes": ["run:write"]})
    assert made.status_code == 201
    assert keys.is_well_formed(made.json["key"])
    listed = api.get(f"/keys/{made.json['id']}").json
    assert set(listed) == {
        "id", "name", "hint", "scopes", "projectIds", "expiresAt", "createdAt", "lastUsedAt", "requestCount",
        "revokedAt", "createdBy", "replacesId", "notes", "requestsPerDay",
    }  # fmt: skip
    assert made.json["key"] not in api.get("/keys").text
    assert api.call("DELETE", f"/keys/{made.json['id']}").status_code == 204
    assert api.get(f"/keys/{made.json['id']}").json["revokedAt"] is not None
    actions = [event["action"] for event in api.get("/audit-logs").json["items"]]
    assert actions[:2] == ["API_KEY_REVOKE", "API_KEY_CREATE"]


def test_another_organisations_key_is_404(world: World) -> None:
    mine = world.api().post("/keys", {"name": "CI", "scopes": ["run:write"]}).json["id"]
    stranger = world.api(organization=world.other)
    assert stranger.get(f"/keys/{mine}").status_code == 404
    assert stranger.call("DELETE", f"/keys/{mine}").status_code == 404
