"""Rotating, revoking and reporting keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from server import times
from server.access import keys
from server.access.audit import CLI
from server.database import db, now, writing
from server.models import ApiKey, AuditEvent
from server.problems import Conflict, Invalid
from tests.conftest import Api, World


def row_of(key: str) -> ApiKey:
    return db.session.query(ApiKey).filter_by(key_hash=keys.digest(key)).one()


def test_a_rotated_key_lives_on_for_the_overlap_and_both_are_linked(world: World) -> None:
    admin, old = world.api(), world.key("run:read", project_ids=[world.shop.id])
    answer = admin.post(f"/keys/{row_of(old).id}/rotate")
    assert answer.status_code == 201
    new = answer.json
    assert (new["scopes"], new["projectIds"], new["replacesId"]) == (
        ["run:read"],
        [world.shop.id],
        row_of(old).id,
    )
    left = row_of(old).expires_at - now()
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    details = db.session.query(AuditEvent).filter_by(action="API_KEY_ROTATE").one().details
    after = {"expiresAt": times.rfc_3339(row_of(old).expires_at)}
    assert details == {"successor": new["id"], "before": {"expiresAt": None}, "after": after}
    for key in (old, new["key"]):
        assert Api(world.app.test_client(), key).get("/runs").status_code == 200


def test_with_no_overlap_the_old_key_is_refused_from_the_next_request_on(world: World) -> None:
    admin, old = world.api(), world.key("run:read")
    assert admin.post(f"/keys/{row_of(old).id}/rotate", {"overlapHours": 0}).status_code == 201
    assert Api(world.app.test_client(), old).get("/runs").json["error"]["code"] == "key-expired"


def test_a_key_with_an_expiry_keeps_it_when_it_is_sooner_and_its_successor_lives_as_long(
    world: World,
) -> None:
    old = row_of(world.key("run:read", expires_at=now() + timedelta(hours=2)))
    ends = old.expires_at
    successor, _ = keys.rotate(old, CLI)
    assert old.expires_at == ends
    assert timedelta(hours=1, minutes=59) < successor.expires_at - now() <= timedelta(hours=2)


def test_the_successor_of_a_key_almost_without_an_end_lives_as_long_as_a_new_key_may(world: World) -> None:
    old = row_of(world.key("run:read"))
    with writing():  # as a key may be from when there was no limit
        old.created_at, old.expires_at = now() - timedelta(days=60), datetime(9999, 12, 1, tzinfo=UTC)
    successor, _ = keys.rotate(old, CLI)
    assert timedelta(0) <= now() + keys.LONGEST_LIFE - successor.expires_at < timedelta(minutes=1)


@pytest.mark.parametrize("overlap", [-1, 721, "soon"])
def test_a_senseless_overlap_is_422(world: World, overlap: object) -> None:
    key_id = row_of(world.key("run:read")).id
    assert world.api().post(f"/keys/{key_id}/rotate", {"overlapHours": overlap}).status_code == 422


def test_a_key_is_rotated_once_and_not_when_it_is_over(world: World) -> None:
    old = row_of(world.key("run:read"))
    keys.rotate(old, CLI)
    with pytest.raises(Conflict, match="rotated already"):
        keys.rotate(old, CLI)
    revoked = row_of(world.key("run:read"))
    keys.revoke(revoked, CLI)
    with pytest.raises(Conflict, match="revoked or expired"):
        keys.rotate(revoked, CLI)


def test_a_key_grants_no_more_and_lives_no_longer_than_its_maker(world: World) -> None:
    maker = world.api(expires_at=now() + timedelta(days=1))
    forever = maker.post("/keys", {"name": "forever", "scopes": ["run:read"]})
    assert (forever.status_code, forever.json["error"]["code"]) == (422, "key-invalid")
    within = {"name": "CI", "scopes": ["run:read"], "expiresAt": (now() + timedelta(hours=1)).isoformat()}
    assert maker.post("/keys", within).status_code == 201
    rotated = maker.post(f"/keys/{row_of(maker.key).id}/rotate").json
    assert rotated["expiresAt"] <= (now() + timedelta(days=1)).isoformat()
    holder = keys.find(world.key("run:read"))
    with pytest.raises(Invalid, match="no more than the key that makes it"):
        keys.create(world.acme.id, "more", ["run:write"], CLI, maker=holder)


def test_an_expiry_may_be_given_in_days(world: World) -> None:
    made = world.api().post("/keys", {"name": "CI", "scopes": ["run:read"], "expiresInDays": 30}).json
    left = row_of(made["key"]).expires_at - now()
    assert timedelta(days=29) < left <= timedelta(days=30)
    assert (
        world.api().post("/keys", {"name": "x", "scopes": ["run:read"], "expiresInDays": 0}).status_code
        == 422
    )


def test_whoever_holds_a_key_can_revoke_it_without_logging_in(world: World) -> None:
    found, stranger = world.key("run:read"), Api(world.app.test_client(), None)
    hit = stranger.post("/keys/revoke-leaked", {"key": found})
    assert hit.status_code == 200
    assert Api(world.app.test_client(), found).get("/runs").json["error"]["code"] == "key-revoked"
    (event,) = db.session.query(AuditEvent).filter_by(action="API_KEY_REVOKE_LEAKED")
    assert (event.target_id, event.address) == (row_of(found).id, "127.0.0.1")
    for miss in (found, keys.new_key(), "nonsense", " " + found + "\n"):
        answer = stranger.post("/keys/revoke-leaked", {"key": miss})
        assert (answer.status_code, answer.json) == (hit.status_code, hit.json)
    assert db.session.query(AuditEvent).filter_by(action="API_KEY_REVOKE_LEAKED").count() == 1


def test_reports_of_leaked_keys_are_limited_by_address(world: World) -> None:
    stranger = Api(world.app.test_client(), None)
    statuses = [stranger.post("/keys/revoke-leaked", {"key": "x"}).status_code for _ in range(31)]
    assert statuses == [200] * 30 + [429]


@pytest.mark.parametrize(
    ("values", "notes"),
    [
        ({"name": "CI"}, ["unused"]),
        ({"last_used_at": now()}, []),
        ({"created_at": now() - timedelta(days=91)}, ["unused", "stale"]),
        ({"last_used_at": now() - timedelta(days=91)}, ["stale"]),
        ({"last_used_at": now(), "expires_at": now() + timedelta(days=13)}, ["expiring"]),
        ({"last_used_at": now(), "expires_at": now() - timedelta(days=1)}, ["expired"]),
        ({"last_used_at": now(), "request_count": 30_000}, ["overactive"]),
        ({"last_used_at": now(), "revoked_at": now()}, ["revoked"]),
    ],
)
def test_keys_to_look_at_are_named(world: World, values: dict, notes: list[str]) -> None:
    row = row_of(world.key("run:read"))
    with writing() as session:
        session.query(ApiKey).filter_by(id=row.id).update(values)
    assert world.api().get(f"/keys/{row.id}").json["notes"] == notes
