"""Every route x every kind of caller, generated from the URL map: the status is exactly as the contract says.

Things named in a path exist and belong to `acme`; so the only reason for a refusal is the caller.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.access import keys, thumbnails
from server.access.audit import CLI
from server.access.scopes import ORGANIZATION_WIDE, ROUTES, SCOPES, allows
from server.database import db, now, writing
from server.models import ApiKey, Baseline
from server.runs import secrets
from tests.conftest import SUITE, Api, World
from tests.runs.history import History

CLOSED = sorted((route for route, scope in ROUTES.items() if scope), key=str)
BODIES = {
    ("POST", "/api/runs"): {"json": {"projectId": "shop", "branch": "main"}},
    ("POST", "/api/projects"): {"json": {"name": "Another"}},
    ("PATCH", "/api/projects/<project_id>"): {"json": {"name": "Renamed"}},
    ("PUT", "/api/projects/<project_id>/suite"): {"data": SUITE},
    ("PUT", "/api/projects/<project_id>/secrets/<name>"): {
        "json": {"value": "a secret", "origins": ["https://x.example"]}
    },
    ("POST", "/api/keys"): {"json": {"name": "CI", "scopes": ["run:read"]}},
}
CREATING = {
    ("POST", "/api/runs"), ("POST", "/api/projects"), ("POST", "/api/keys"), ("POST", "/api/keys/<key_id>/rotate"),
    ("POST", "/api/baselines/<baseline_id>/restore"),
}  # fmt: skip


@pytest.fixture
def paths(world: World) -> dict[tuple[str, str], str]:
    """The path of each route, with the ID of a thing that is there and that the route can be used on."""
    history = History(world)
    history.run("main", "white")
    history.approve(history.run("main", "red"))  # so that the first baseline is one to go back to
    changed = history.run("main", "black")
    origins = ["https://x.example"]
    secrets.put(world.shop, "KEY", "a secret", origins, CLI, world.app.extensions["retestr"])
    ids = {
        "name": "KEY",
        "run_id": changed.run_id,
        "snapshot_id": changed.id,
        "project_id": world.shop.id,
        "baseline_id": db.session.query(Baseline).order_by(Baseline.id).first().id,
        "key_id": keys.create(world.acme.id, "target", ["run:read"], CLI)[0].id,
        "token": thumbnails.sign(changed.id, now() + timedelta(days=1), str(world.app.secret_key)),
    }
    found = {}
    for route in ROUTES:
        path = route[1].removeprefix("/api").replace("<any(actual, baseline, difference):kind>", "difference")
        for name, value in ids.items():
            path = path.replace(f"<{name}>", value)
        found[route] = path
    return found


def status(api: Api, route: tuple[str, str], paths: dict[tuple[str, str], str]) -> int:
    return api.call(route[0], paths[route], **BODIES.get(route, {})).status_code


def success(route: tuple[str, str]) -> int:
    return 201 if route in CREATING else 204 if route[0] == "DELETE" else 200


@pytest.mark.parametrize("route", CLOSED, ids=" ".join)
def test_who_may_use_a_route(world: World, paths: dict[tuple[str, str], str], route: tuple[str, str]) -> None:
    needed, names_a_thing = ROUTES[route], "<" in route[1]
    client = world.app.test_client()
    expired, revoked = world.key(expires_at=now() + timedelta(hours=1)), world.key()
    keys.revoke(db.session.query(ApiKey).filter_by(key_hash=keys.digest(revoked)).one(), CLI)
    with writing() as session:
        session.query(ApiKey).filter_by(key_hash=keys.digest(expired)).update({"expires_at": now()})

    for wrong in (None, "vts_malformed", keys.new_key(), expired, revoked):
        assert status(Api(client, wrong), route, paths) == 401

    stranger = world.api(organization=world.other)
    if names_a_thing or route == ("POST", "/api/runs"):
        assert status(stranger, route, paths) == 404

    second = world.project(world.acme, "Second")
    elsewhere = world.api(project_ids=[second.id])
    if route in ORGANIZATION_WIDE:
        assert status(elsewhere, route, paths) == 403
    elif names_a_thing or route == ("POST", "/api/runs"):
        assert status(elsewhere, route, paths) == 404

    for scope in SCOPES:
        if not allows([scope], needed):
            assert status(world.api(scope), route, paths) == 403, scope
    if route == ("DELETE", "/api/projects/<project_id>"):
        paths[route] = paths[route].replace(world.shop.id, second.id)  # one without an unfinished run
    assert status(world.api(needed), route, paths) == success(route)


@pytest.mark.parametrize("route", [route for route, scope in ROUTES.items() if scope is None], ids=" ".join)
def test_open_routes_need_no_key(
    world: World, paths: dict[tuple[str, str], str], route: tuple[str, str]
) -> None:
    body = {"json": {"key": "x"}} if route[0] == "POST" else {}
    assert Api(world.app.test_client(), None).call(route[0], paths[route], **body).status_code == 200
