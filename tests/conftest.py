"""What tests share: an application on a real database, and small objects to talk to it.

The database is SQLite; PostgreSQL where RETESTR_TEST_DATABASE_URL names a server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Any, ClassVar

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import create_engine
from werkzeug.routing import Rule
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from server import create_app, migrations
from server.access import keys, passwords, people
from server.access.audit import CLI
from server.access.scopes import ADMIN
from server.config import Settings
from server.database import db
from server.models import Organization, Project
from server.runs import projects
from tests.postgres import Databases

SUITE = """\
baseUrl: http://127.0.0.1:9
viewports:
  - {name: desktop, width: 800, height: 600}
  - {name: phone, width: 390, height: 844}
tests:
  - {name: Home, path: /}
  - {name: Prices, path: /prices}
"""


class Api:
    """Talks to the API with one key."""

    def __init__(self, client: FlaskClient, key: str | None) -> None:
        self.client = client
        self.key = key

    def call(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        """One request under /api."""
        headers = {
            **({"Authorization": f"Bearer {self.key}"} if self.key else {}),
            **kwargs.pop("headers", {}),
        }
        return self.client.open("/api" + path, method=method, headers=headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.call("GET", path, **kwargs)

    def post(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        return self.call("POST", path, **({"json": json} if json is not None else {}), **kwargs)


class World:
    """An application with two organisations; `acme` has a project and hands out keys."""

    def __init__(self, app: APIFlask) -> None:
        self.app = app
        self.acme = self.organization("Acme", "ada@acme.example")
        self.other = self.organization("Other", "eve@other.example")
        self.shop = self.project(self.acme, "Shop")

    def organization(self, name: str, email: str) -> Organization:
        return people.found_organization(name, email, "correct horse battery")[0]

    def project(self, organization: Organization, name: str) -> Project:
        return projects.create(organization.id, name, CLI, suite=SUITE)

    def key(self, *scopes: str, organization: Organization | None = None, **limits: Any) -> str:
        owner = organization or self.acme
        return keys.create(owner.id, "a key", scopes or (ADMIN,), CLI, **limits)[1]

    def api(self, *scopes: str, **kwargs: Any) -> Api:
        """The API as seen with a new key of these scopes; an Admin's unless named."""
        return Api(self.app.test_client(), self.key(*scopes, **kwargs))

    def trigger(self, **values: Any) -> dict[str, Any]:
        """A run of the shop, triggered through the API."""
        body = {"projectId": self.shop.slug, "branch": "main", **values}
        answer = self.api("run:write").post("/runs", body)
        assert answer.status_code == 201, answer.text
        return answer.json


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases | None]:
    """The PostgreSQL server to test on; None: SQLite."""
    url = os.environ.get("RETESTR_TEST_DATABASE_URL")
    if not url:
        yield None
        return
    databases = Databases(url, tmp_path_factory.mktemp("postgres"))
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database of the newest revision, to be copied: migrating takes 20 times as long."""
    settings = Settings(data=tmp_path_factory.mktemp("migrated"))
    engine = create_engine(settings.database)
    migrations.upgrade(engine, settings)
    engine.dispose()
    return settings.data / "retestr.db"


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Passwords are hashed at a 32nd of the real cost, at which each application of a test would take 0.2 s longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            passwords, "generate_password_hash", partial(generate_password_hash, method="scrypt:1024:8:1")
        )
        yield


class CompiledOnce(Rule):
    """A route that takes over what Werkzeug compiled for the same route of an earlier application."""

    compiled: ClassVar[dict[str, dict[str, object]]] = {}

    def compile(self) -> None:
        if self.rule not in self.compiled:
            super().compile()
            made = ("arguments", "_parts", "_trace", "_converters", "_build", "_build_unknown")
            self.compiled[self.rule] = {name: getattr(self, name) for name in made}
        vars(self).update(self.compiled[self.rule])


@pytest.fixture(scope="session", autouse=True)
def cheap_applications(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Routes and templates are compiled once, not for each application: that takes longer than what most tests do."""
    with pytest.MonkeyPatch.context() as patch:
        templates = FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))
        patch.setitem(APIFlask.jinja_options, "bytecode_cache", templates)
        patch.setattr(APIFlask, "url_rule_class", CompiledOnce)
        yield


@pytest.fixture(autouse=True)
def same_umask() -> Iterator[None]:
    """Commands change the umask of their process, which here is that of all tests."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture
def settings(tmp_path: Path, databases: Databases | None, migrated: Path) -> Iterator[Settings]:
    """Settings with a fresh, migrated database."""
    data = tmp_path / "data"
    data.mkdir()
    if databases:
        with databases.fresh() as url:
            yield Settings(data=data, database_url=url)
    else:
        copyfile(migrated, data / migrated.name)
        yield Settings(data=data)


@pytest.fixture
def app(settings: Settings) -> Iterator[APIFlask]:
    """The application on a fresh, migrated database, within its context."""
    app = create_app(settings)
    with app.app_context():
        yield app
        db.session.remove()
        engine = db.engine
    engine.dispose()  # when the context has given back its connections


@pytest.fixture
def world(app: APIFlask) -> World:
    return World(app)
