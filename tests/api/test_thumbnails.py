"""The small picture of a change: who is told its address, and what the address opens."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image as Picture
from werkzeug.test import TestResponse

from server.access import thumbnails
from server.api import thumbnails as resource
from server.database import db, now
from server.models import AuditEvent, Snapshot
from tests.conftest import World
from tests.runs.history import History

PUBLIC = "https://retestr.example.com"


def at(world: World, **settings: Any) -> None:
    world.app.extensions["retestr"] = replace(world.app.extensions["retestr"], **settings)


@pytest.fixture
def changed(world: World) -> Snapshot:
    history = History(world)
    history.run("main", "white")
    return history.run("main", "black")


def address(world: World, snapshot: Snapshot) -> str | None:
    return world.api("run:read").get(f"/snapshots/{snapshot.id}").json["thumbnailUrl"]


def fetch(world: World, url: str) -> TestResponse:
    """As GitHub does: without a key."""
    return world.app.test_client().get(url.removeprefix(PUBLIC))


def test_a_change_has_an_address_that_anybody_can_fetch(world: World, changed: Snapshot) -> None:
    at(world, public_url=PUBLIC)
    url = address(world, changed)
    assert url is not None
    assert url.startswith(f"{PUBLIC}/api/thumbnails/{changed.id}.")
    answer = fetch(world, url)
    assert (answer.status_code, answer.content_type) == (200, "image/png")
    width, height = Picture.open(io.BytesIO(answer.data)).size
    assert width <= 488
    assert height <= 180
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers


def test_the_list_of_a_run_tells_the_same_of_changes_alone(world: World, changed: Snapshot) -> None:
    at(world, public_url=PUBLIC)
    (one,) = world.api("run:read").get(f"/runs/{changed.run_id}/snapshots").json["items"]
    assert one["thumbnailUrl"].startswith(PUBLIC)
    unchanged = History(world).run("main", "white")
    assert address(world, unchanged) is None


@pytest.mark.parametrize(
    "setting",
    [
        {"public_url": ""},
        {"public_url": "https://retestr.internal"},
        {"public_url": PUBLIC, "thumbnail_days": 0},
    ],
)
def test_a_server_that_is_not_public_or_offers_none_tells_no_address(
    world: World, changed: Snapshot, setting: dict[str, Any]
) -> None:
    at(world, **setting)
    assert address(world, changed) is None


def test_caches_keep_it_for_as_long_as_its_address_lasts(
    world: World, changed: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(world, public_url=PUBLIC, thumbnail_days=2)
    url = address(world, changed) or ""
    control = fetch(world, url).cache_control
    assert control.public
    assert not control.private
    assert 2 * 86_400 - 60 < (control.max_age or 0) <= 2 * 86_400

    later = now() + timedelta(days=2)
    monkeypatch.setattr(resource, "now", lambda: later)
    over = fetch(world, url)
    assert over.status_code == 404
    assert over.json["error"]["code"] == "thumbnail-not-found"
    assert over.cache_control.no_store


def test_an_address_opens_one_picture_alone(world: World, changed: Snapshot) -> None:
    at(world, public_url=PUBLIC)
    other = History(world).run("main", "red")
    url = address(world, changed) or ""
    assert fetch(world, url.replace(changed.id, other.id)).status_code == 404
    assert fetch(world, f"{PUBLIC}/api/thumbnails/{changed.id}.png").status_code == 404
    assert fetch(world, f"{PUBLIC}/api/thumbnails/").status_code == 404
    token = url.rpartition("/")[2].removesuffix(".png")
    for kind in ("actual", "baseline", "difference"):
        closed = fetch(world, f"/api/snapshots/{changed.id}/{kind}.png?token={token}")
        assert closed.status_code == 401
    header = {"Authorization": f"Bearer {token}"}
    assert world.app.test_client().get("/api/runs", headers=header).status_code == 401


def test_switched_off_they_end(world: World, changed: Snapshot) -> None:
    at(world, public_url=PUBLIC)
    url = address(world, changed) or ""
    at(world, public_url=PUBLIC, thumbnail_days=0)
    assert fetch(world, url).status_code == 404


def test_images_that_are_gone_or_older_than_small_pictures_have_none(world: World, changed: Snapshot) -> None:
    at(world, public_url=PUBLIC)
    url = address(world, changed) or ""
    changed.difference = changed.image  # one that carries none
    db.session.commit()
    assert fetch(world, url).status_code == 404
    changed.difference = None  # as retention leaves it
    db.session.commit()
    assert fetch(world, url).status_code == 404
    assert address(world, changed) is None


def test_who_has_it_already_gets_it_not_again(world: World, changed: Snapshot) -> None:
    at(world, public_url=PUBLIC)
    url = address(world, changed) or ""
    etag = fetch(world, url).headers["ETag"]
    again = world.app.test_client().get(url.removeprefix(PUBLIC), headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")


def test_looking_leaves_no_trace_of_a_key(world: World, changed: Snapshot) -> None:
    at(world, public_url=PUBLIC)
    url = address(world, changed) or ""
    before = db.session.query(AuditEvent).count()
    fetch(world, url)
    assert db.session.query(AuditEvent).count() == before


def test_a_stranger_s_key_is_told_no_address(world: World, changed: Snapshot) -> None:
    at(world, public_url=PUBLIC)
    stranger = world.api("run:read", organization=world.other)
    assert stranger.get(f"/snapshots/{changed.id}").status_code == 404


def test_another_secret_of_the_server_ends_all_addresses(world: World, changed: Snapshot) -> None:
    token = thumbnails.sign(changed.id, now() + timedelta(days=1), "another")
    assert fetch(world, f"/api/thumbnails/{token}.png").status_code == 404
