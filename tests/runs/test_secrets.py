"""Secrets of projects: sealed at rest, filled in only for their origins, asked for in vain with a clear word."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from server.access.audit import CLI
from server.database import Base, db, writing
from server.models import AuditEvent, ProjectSecret, Run, Snapshot
from server.problems import Invalid, NotFound
from server.runs import projects, secrets, trigger
from server.runs.suite import Shot
from server.runs.trigger import Trigger
from server.vision.page import CaptureError
from server.vision.secrets import Secret, Secrets
from tests.conftest import World

VALUE = "hunter2 & ü/+"
ORIGIN = "https://staging.example.com"
SUITE = """\
baseUrl: https://staging.example.com
headers: {X-Key: "${{ secrets.KEY }}"}
tests:
  - {name: Home, path: /, steps: [{fill: {selector: a, value: "${{secrets.PASSWORD}}"}}]}
"""


def put(
    world: World, name: str = "KEY", value: str = VALUE, origins: tuple[str, ...] = (ORIGIN,)
) -> ProjectSecret:
    return secrets.put(world.shop, name, value, origins, CLI, world.app.extensions["retestr"])


def everything(world: World) -> str:
    """All that the database holds."""
    tables = Base.metadata.sorted_tables
    return repr([list(db.session.execute(text(f'SELECT * FROM "{table.name}"'))) for table in tables])


def test_a_secret_is_opened_for_the_worker_and_nothing_in_the_database_tells_it(world: World) -> None:
    put(world)
    put(world, "OTHER")
    found = secrets.opened(world.shop.id, {"KEY", "NOPE"}, world.app.extensions["retestr"])
    assert found.by_name == {"KEY": Secret("KEY", VALUE, frozenset({ORIGIN}))}
    assert "hunter2" not in repr(found)
    assert "hunter2" not in everything(world)
    assert db.session.get_one(ProjectSecret, (world.shop.id, "KEY")).sealed != (
        db.session.get_one(ProjectSecret, (world.shop.id, "OTHER")).sealed
    )
    assert [
        (e.action, e.details) for e in db.session.query(AuditEvent).filter(AuditEvent.action.like("SECRET%"))
    ] == [
        ("SECRET_SET", {"name": "KEY", "origins": [ORIGIN]}),
        ("SECRET_SET", {"name": "OTHER", "origins": [ORIGIN]}),
    ]


@pytest.mark.parametrize("what", ["name", "project", "a bit", "the key"])
def test_a_sealed_value_opens_nowhere_else(world: World, what: str) -> None:
    settings = world.app.extensions["retestr"]
    put(world)
    project = world.project(world.acme, "Second") if what == "project" else world.shop
    with writing() as session:
        row = session.get_one(ProjectSecret, (world.shop.id, "KEY"))
        values = {"sealed": row.sealed, "origins": row.origins, "created_by": "x"}
        if what in ("name", "project"):
            name = "OTHER" if what == "name" else "KEY"
            session.add(ProjectSecret(project_id=project.id, name=name, **values))
        if what == "a bit":
            row.sealed = row.sealed[:-1] + bytes([row.sealed[-1] ^ 1])
    if what == "the key":
        settings = replace(settings, secret_key="another")
    name = "OTHER" if what == "name" else "KEY"
    with pytest.raises(CaptureError, match=f"the secret {name} cannot be opened here: .*RETESTR_SECRET_KEY"):
        secrets.opened(project.id, [name], settings)


def test_storing_it_again_replaces_value_and_origins(world: World) -> None:
    put(world)
    put(world, value="something else", origins=("HTTPS://X.example:443/", "http://bücher.example:8080"))
    (row,) = secrets.listed(world.shop)
    assert row.origins == ["https://x.example", "http://xn--bcher-kva.example:8080"]
    opened = secrets.opened(world.shop.id, ["KEY"], world.app.extensions["retestr"])
    assert opened.by_name["KEY"].value == "something else"


@pytest.mark.parametrize(
    ("name", "value", "origins", "says"),
    [
        ("a-b", VALUE, (ORIGIN,), "name has up to 100 letters"),
        ("1A", VALUE, (ORIGIN,), "begins with no digit"),
        ("KEY", "abc", (ORIGIN,), "4 to 10000 characters"),
        ("KEY", "a\0bcd", (ORIGIN,), "no NUL"),
        ("KEY", VALUE, (), "1 to 20 origins"),
        ("KEY", VALUE, ("staging.example.com",), "is no origin"),
        ("KEY", VALUE, ("https://*.example.com",), "is no origin"),
        ("KEY", VALUE, ("https://x.example/path/in/it",), "is no origin"),
        ("KEY", VALUE, ("https://x.example@evil.example",), "is no origin"),
        ("KEY", VALUE, ("file:///etc/passwd",), "is no origin"),
    ],
)
def test_what_cannot_be_a_secret_is_refused(
    world: World, name: str, value: str, origins: tuple[str, ...], says: str
) -> None:
    with pytest.raises(Invalid, match=says):
        put(world, name, value, origins)
    assert secrets.listed(world.shop) == []


def test_a_run_whose_secrets_are_not_there_is_refused_and_names_them(world: World) -> None:
    put(world)
    with pytest.raises(Invalid, match="the secret PASSWORD") as caught:
        trigger.trigger(world.shop, Trigger("main", suite=SUITE), CLI, 100)
    assert caught.value.details == {"unknown": ["PASSWORD"]}
    assert db.session.query(Run).count() == 0


def test_a_snapshot_keeps_the_placeholder(world: World) -> None:
    put(world)
    put(world, "PASSWORD")
    trigger.trigger(world.shop, Trigger("main", suite=SUITE), CLI, 100)
    (snapshot,) = db.session.query(Snapshot)
    page = Shot.from_json(snapshot.shot).page
    assert page.visitor.headers == (("X-Key", "${{ secrets.KEY }}"),)
    assert secrets.names_used([Shot.from_json(snapshot.shot)]) == {"KEY", "PASSWORD"}
    assert "hunter2" not in everything(world)


def test_a_secret_is_gone_when_it_or_its_project_is_deleted(world: World) -> None:
    put(world)
    secrets.remove(world.shop, "KEY", CLI)
    with pytest.raises(NotFound, match="no secret 'KEY'"):
        secrets.remove(world.shop, "KEY", CLI)
    put(world)
    projects.remove(world.shop, CLI)
    assert db.session.query(ProjectSecret).count() == 0


SECRETS = Secrets(
    {"A": Secret("A", VALUE, frozenset({ORIGIN})), "B": Secret("B", "bbbb", frozenset({ORIGIN}))}
)


def test_placeholders_are_filled_in_for_the_right_origin_only() -> None:
    assert SECRETS.fill_in("x ${{ secrets.A }}${{secrets.B}}", ORIGIN, "it") == f"x {VALUE}bbbb"
    for origin in (None, "http://staging.example.com", f"{ORIGIN}:8443", "https://example.com"):
        with pytest.raises(CaptureError, match="it uses the secret A, which may not be sent to"):
            SECRETS.fill_in("${{ secrets.A }}", origin, "it")


@pytest.mark.parametrize(
    "said",
    [
        VALUE,
        "hunter2%20%26%20%C3%BC%2F%2B",
        "hunter2+%26+%C3%BC%2F%2B",
        "hunter2 &amp; ü/+",
        r"hunter2 & \u00fc/+",
        "aHVudGVyMiAmIMO8Lys=",
        "bWU6aHVudGVyMiAmIMO8Lys=",
        "YWRhOmh1bnRlcjIgJiDDvC8r",
    ],
)
def test_a_value_is_masked_however_it_is_written(said: str) -> None:
    masked = SECRETS.masked(f"before {said} after")
    assert "***" in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "unter2" not in masked
    assert not any(part in masked for part in ("dW50ZXIy", "h1bnRlcj", "VudGVyMi"))
