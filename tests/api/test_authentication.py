"""Who may call the API: what every route answers to every kind of key. Routes come from the URL map."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.access import keys
from server.access.audit import CLI
from server.access.scopes import ORGANIZATION_WIDE, ROUTES, SCOPES, allows
from server.database import db, now, writing
from server.models import ApiKey
from tests.conftest import Api, World


def concrete(rule: str) -> str:
    """A path of a URL rule; its IDs belong to nobody."""
    path = rule.removeprefix("/api").replace("<any(actual, baseline, difference):kind>", "actual")
    for name in ("run_id", "snapshot_id", "project_id", "baseline_id", "key_id"):
        path = path.replace(f"<{name}>", "0000")
    return path


GUARDED = [(method, rule) for (method, rule), scope in ROUTES.items() if scope]


def test_every_route_has_its_scope_and_every_scope_its_route(world: World) -> None:
    served = {
        (method, rule.rule)
        for rule in world.app.url_map.iter_rules()
        if rule.rule.startswith("/api/") and not rule.endpoint.startswith("docs.")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert served == set(ROUTES)
    assert set(filter(None, ROUTES.values())) == set(SCOPES)
    assert set(ROUTES) > ORGANIZATION_WIDE


@pytest.mark.parametrize(("method", "rule"), GUARDED)
def test_without_a_valid_key_every_route_is_401(world: World, method: str, rule: str) -> None:
    key = world.key()
    flipped = key[:-1] + ("a" if key[-1] != "a" else "b")
    for wrong in (None, "", "nonsense", "vts_short", flipped, keys.new_key(), "x" * 5000):
        answer = Api(world.app.test_client(), wrong).call(method, concrete(rule))
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert not wrong or wrong not in answer.text


@pytest.mark.parametrize(("method", "rule"), GUARDED)
def test_a_key_without_the_scope_is_403_and_one_with_it_is_not(world: World, method: str, rule: str) -> None:
    needed = ROUTES[method, rule]
    for scope in SCOPES:
        answer = world.api(scope).call(method, concrete(rule), json={})
        assert (answer.status_code == 403) == (not allows([scope], needed)), (scope, answer.text)
        if answer.status_code == 403:
            assert needed in answer.json["error"]["message"]


@pytest.mark.parametrize(("method", "rule"), sorted(ORGANIZATION_WIDE))
def test_a_key_limited_to_projects_gets_403_on_what_concerns_the_organisation(
    world: World, method: str, rule: str
) -> None:
    api = world.api(project_ids=[world.shop.id])
    assert api.call(method, concrete(rule), json={}).status_code == 403


def test_a_key_limited_to_projects_sees_only_those(world: World) -> None:
    second = world.project(world.acme, "Second")
    run, hidden = world.trigger(), world.trigger(projectId=second.slug)
    api = world.api(project_ids=[world.shop.slug])
    assert [p["slug"] for p in api.get("/projects").json["items"]] == ["shop"]
    assert [r["id"] for r in api.get("/runs").json["items"]] == [run["id"]]
    assert api.get("/projects/second").status_code == 404
    assert api.get(f"/runs/{hidden['id']}").status_code == 404
    assert api.get("/runs?projectId=second").status_code == 404
    assert api.post("/runs", {"projectId": "second", "branch": "main"}).status_code == 404


def test_a_revoked_key_is_refused_from_the_next_request_on(world: World) -> None:
    api = world.api()
    assert api.get("/projects").status_code == 200
    row = db.session.query(ApiKey).filter_by(key_hash=keys.digest(api.key)).one()
    keys.revoke(row, CLI)
    answer = api.get("/projects")
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "key-revoked")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_an_expired_key_is_refused_and_told_so(world: World) -> None:
    api = world.api(expires_at=now() + timedelta(hours=1))
    assert api.get("/projects").status_code == 200
    with writing() as session:
        session.query(ApiKey).update({"expires_at": now() - timedelta(seconds=1)})
    answer = api.get("/projects")
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "key-expired")


def test_each_authenticated_request_counts_and_a_successful_one_is_the_last_use(world: World) -> None:
    api = world.api("project:read")
    row = db.session.query(ApiKey).filter_by(key_hash=keys.digest(api.key)).one()

    def usage() -> tuple[int, object]:
        db.session.refresh(row)
        return row.request_count, row.last_used_at

    assert usage() == (0, None)
    api.get("/runs")  # 403: counted, no use
    assert usage() == (1, None)
    api.get("/projects/nowhere")  # 404: counted, no use
    assert usage() == (2, None)
    api.get("/projects")
    count, used = usage()
    assert count == 3
    assert abs(used - now()) < timedelta(seconds=5)


def test_what_is_not_there_is_404_in_the_error_shape(world: World) -> None:
    answer = world.api().get("/nothing-here")
    assert answer.status_code == 404
    assert set(answer.json["error"]) == {"code", "message", "details"}


def test_a_wrong_method_is_405_and_names_the_right_ones(world: World) -> None:
    answer = world.api().call("DELETE", "/runs")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_options_is_405_and_a_fixed_address_allows_only_its_own_methods(world: World) -> None:
    answer = world.api().call("OPTIONS", "/runs/cancel-all")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert world.api().call("OPTIONS", "/runs/0000").status_code == 405


@pytest.mark.parametrize(
    ("path", "status"), [("/runs/%00", 404), ("/projects/a%00b", 404), ("/runs?branch=%00", 422)]
)
def test_a_nul_character_in_an_address_is_refused_before_the_database_sees_it(
    world: World, path: str, status: int
) -> None:
    assert world.api().get(path).status_code == status


def test_a_fault_of_our_own_is_500_without_a_traceback(world: World) -> None:
    api = world.api()
    with writing() as session:
        session.execute(db.text("DROP TABLE audit_event"))
    answer = api.get("/audit-logs")
    assert (answer.status_code, answer.json["error"]["code"]) == (500, "internal")
    assert "audit_event" not in answer.text
