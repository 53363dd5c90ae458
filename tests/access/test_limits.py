"""Rate limits: of keys, of addresses, of log-ins."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from apiflask import APIFlask

from server import create_app
from server.access import keys, limits, passwords, people
from server.access.limits import Limit, TooMany
from server.config import Settings
from server.database import db, writing
from server.models import ApiKey, LimitWindow
from tests.conftest import Api, World

THREE = Limit("test", 3, 60)


def test_a_limit_counts_each_party_apart_and_begins_anew_after_its_window(world: World) -> None:
    assert [limits.hit(THREE, "a").exceeded for _ in range(4)] == [False, False, False, True]
    assert not limits.hit(THREE, "b").exceeded
    assert 1 <= limits.look(THREE, "a").reset_s <= 60
    with writing() as session:
        session.query(LimitWindow).update({"ends_s": 1.0})
    assert limits.look(THREE, "a").remaining == 3
    assert not limits.hit(THREE, "a").exceeded


def test_a_limit_counts_exactly_under_concurrency(world: World) -> None:
    def one(_: int) -> int:
        with world.app.app_context():
            return limits.hit(Limit("many", 1000, 60), "a").remaining

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(one, range(100))) == list(range(900, 1000))


def test_whom_a_limit_is_for_is_not_kept_in_the_clear(world: World) -> None:
    limits.hit(THREE, "ada@acme.example")
    assert "acme" not in db.session.query(LimitWindow).one().name


@pytest.fixture
def strict(world: World, settings: Settings) -> Iterator[APIFlask]:
    """The same data behind a server that allows a key five requests a minute."""
    app = create_app(dataclasses.replace(settings, key_requests_per_minute=5))
    yield app
    with app.app_context():
        db.engine.dispose()


def test_a_key_over_its_limit_gets_429_with_retry_after_and_every_answer_tells_what_is_left(
    world: World, strict: APIFlask
) -> None:
    key = world.key("project:read")
    api = Api(strict.test_client(), key)
    answers = [api.get("/projects") for _ in range(7)]
    assert [a.status_code for a in answers] == [200] * 5 + [429] * 2
    assert [a.headers["RateLimit-Remaining"] for a in answers[:5]] == ["4", "3", "2", "1", "0"]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert answers[-1].json["error"]["code"] == "too-many-requests"
    db.session.expire_all()
    assert db.session.query(ApiKey).filter_by(key_hash=keys.digest(key)).one().request_count == 7
    assert Api(strict.test_client(), world.key("project:read")).get("/projects").status_code == 200


def test_guessing_keys_is_limited_by_address_and_typing_errors_are_not(world: World) -> None:
    for _ in range(100):
        assert Api(world.app.test_client(), "vts_mistyped").get("/projects").status_code == 401
    statuses = [Api(world.app.test_client(), keys.new_key()).get("/projects").status_code for _ in range(61)]
    assert statuses == [401] * 60 + [429]
    assert world.api().get("/projects").status_code == 200


def test_an_attacker_is_slowed_down_and_the_owner_is_not_locked_out(world: World) -> None:
    owner = passwords.check("ada@acme.example", "correct horse battery", "10.0.0.1")
    people.log_in(owner, "10.0.0.1", "a browser")
    with pytest.raises(TooMany):
        for _ in range(9):
            assert passwords.check("ada@acme.example", "a wrong password", "10.6.6.6") is None
    with writing() as session:  # and as many more from other addresses
        session.query(LimitWindow).filter(LimitWindow.name.like("login-person:%")).update({"count": 60})
    with pytest.raises(TooMany):
        passwords.check("ada@acme.example", "correct horse battery", "10.7.7.7")
    assert passwords.check("ada@acme.example", "correct horse battery", "10.0.0.1") == owner


def test_a_right_password_forgives_the_wrong_ones_before_it(world: World) -> None:
    for _ in range(3):
        for _ in range(5):
            passwords.check("ada@acme.example", "a wrong password", "10.0.0.1")
        assert passwords.check("ada@acme.example", "correct horse battery", "10.0.0.1") is not None
        with writing() as session:
            session.query(LimitWindow).filter(LimitWindow.name.like("login-address:%")).delete()


def test_what_is_open_to_everybody_is_limited_by_address(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OPEN", Limit("open-route", 3, 60))
    client = world.app.test_client()
    assert [client.get(path).status_code for path in ("/api/openapi.json", "/login", "/login")] == [200] * 3
    refused = client.get("/login")
    assert (refused.status_code, int(refused.headers["Retry-After"]) <= 60) == (429, True)
    assert client.get("/api/openapi.json").json["error"]["code"] == "too-many-requests"
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}
    assert client.get("/login", environ_overrides=elsewhere).status_code == 200
    assert client.get("/healthz").status_code == 200
    assert world.api().get("/projects").status_code == 200
