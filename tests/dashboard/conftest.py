"""What the pages' tests share: a site with people of each role, runs with real images, and visitors who send forms.

No application context is held open, so that each request has its own, as in life.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from flask.testing import FlaskClient
from PIL import Image as Picture
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import event, select, update
from werkzeug.test import TestResponse

from server import create_app, migrations
from server.access import passwords, people
from server.access.audit import CLI, Actor
from server.config import Settings
from server.database import db, writing
from server.images import open_store
from server.models import AuditEvent, Chunk, Image, Membership, Organization, Run, Snapshot, User
from server.runs import baselines, lifecycle, projects, trigger
from server.runs.lifecycle import Outcome
from server.runs.trigger import Trigger
from server.vision.browser import find_browser

if TYPE_CHECKING:
    from tests.dashboard.browsing import Served

PASSWORD = "correct horse battery"
SIZE = (160, 120)
CHANGED_BOX = [40, 30, 50, 20]


def suite_of(names: list[str]) -> str:
    """A suite with these tests."""
    tests = "".join(f"  - {{name: {name}, path: /{name.lower()}}}\n" for name in names)
    return f"baseUrl: http://127.0.0.1:9\ntests:\n{tests}"


def picture(colour: str, marked: str | None = None) -> bytes:
    """A PNG of one colour, with another within CHANGED_BOX."""
    image = Picture.new("RGB", SIZE, colour)
    if marked:
        x, y, width, height = CHANGED_BOX
        image.paste(Picture.new("RGB", (width, height), marked), (x, y))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


class Visitor:
    """A browser: follows no redirect by itself and fills in the form's token."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.client.get(path, **kwargs)

    def page(self, path: str) -> str:
        """A page's HTML; it must be there."""
        answer = self.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return answer.text

    def send(self, path: str, form: Mapping[str, Any] | None = None, page: str = "/") -> TestResponse:
        """A form's POST, with the token of a page that this visitor sees."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page).text)
        assert found, f"{page} has no form"
        return self.client.post(path, data={"csrf_token": found[1], **(form or {})})


class Site:
    """An application with a shop, an Admin, an Editor and a Viewer, and another organisation."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app = create_app(settings)
        self.store = open_store(settings.storage)
        with self.app.app_context():
            migrations.upgrade(db.engine, settings)
            self.organization, self.other = self._organization("Acme"), self._organization("Other")
            self.admin = self.member(self.organization, "ada@acme.example", people.ADMIN)
            self.editor = self.member(self.organization, "ed@acme.example", people.EDITOR)
            self.viewer = self.member(self.organization, "vi@acme.example", people.VIEWER)
            self.stranger = self.member(self.other, "eve@other.example", people.ADMIN)
            self.shop = projects.create(self.organization.id, "Tea Shop", CLI, suite_of(["Home", "Prices"]))
            self.theirs = projects.create(self.other.id, "Secret plans", CLI, suite_of(["Plan"]))

    def _organization(self, name: str) -> Organization:
        with writing() as session:
            organization = Organization(name=name)
            session.add(organization)
        return organization

    def member(self, organization: Organization, email: str, role: str) -> User:
        """A new person with a role in an organisation."""
        with writing() as session:
            user = User(email=email, name=email.split("@")[0], password_hash=passwords.hashed(PASSWORD))
            session.add(user)
            session.flush()
            session.add(Membership(organization_id=organization.id, user_id=user.id, role=role))
        return user

    def anonymous(self) -> Visitor:
        return Visitor(self.app.test_client())

    def visit(self, user: User | None = None) -> Visitor:
        """A visitor who is logged in; the Admin unless named."""
        with self.app.app_context():
            token = people.log_in(user or self.admin, "127.0.0.1", "pytest")
        client = self.app.test_client()
        with client.session_transaction() as session:
            session["token"] = token
        return Visitor(client)

    def trigger(
        self, branch: str = "main", names: list[str] | None = None, by: Actor = CLI, **asked: Any
    ) -> str:
        """A PENDING run; returns its ID."""
        with self.app.app_context():
            suite = suite_of(names) if names else None
            return trigger.trigger(self.shop, Trigger(branch, suite=suite, **asked), by, 10_000)[0].id

    def run(
        self, looks: Mapping[str, str], branch: str = "main", judged: int | None = None, **asked: Any
    ) -> str:
        """A run whose tests look as told: `white`, `white/red` (a marked box), or `error`. Returns its ID."""
        run_id = self.trigger(branch, list(looks), **asked)
        with self.app.app_context():
            with writing() as session:
                lifecycle.start(session, run_id)
                session.execute(update(Chunk).where(Chunk.run_id == run_id).values(owner="w"))
            for snapshot in self._snapshots(run_id)[:judged]:
                lifecycle.record("w", snapshot.id, self._outcome(snapshot, looks[snapshot.test]))
        return run_id

    def changed(self, count: int = 2, branch: str = "feature/x", **asked: Any) -> str:
        """A FAILED run on a branch: `count` of its pages changed and one did not."""
        names = [f"Page{n:03}" for n in range(count)]
        self.run(dict.fromkeys([*names, "Same"], "white"))
        return self.run({**dict.fromkeys(names, "white/red"), "Same": "white"}, branch, **asked)

    def group(self, run_id: str, count: int) -> str:
        """Has a run's first `count` snapshots show the same change; returns the group's name."""
        name = f"{count:064x}"
        with self.app.app_context(), writing() as session:
            alike = [snapshot.id for snapshot in self._snapshots(run_id)[:count]]
            session.execute(update(Snapshot).where(Snapshot.id.in_(alike)).values(group=name))
        return name

    def _outcome(self, snapshot: Snapshot, look: str) -> Outcome:
        if look == "error":
            return Outcome("ERROR", error_kind="timeout", error_message="The page took more than 60 s.")
        colour, _, marked = look.partition("/")
        run = db.session.get_one(Run, snapshot.run_id)
        known = baselines.candidates(run, snapshot)
        image = self._image(picture(colour, marked))
        facts: dict[str, Any] = {
            "image": image,
            "http_status": 200,
            "seconds": 1.25,
            "identity": {"browser": "chromium 149"},
        }
        if not known:
            return Outcome("NEW", **facts)
        facts["baseline_id"] = known[0].id
        if known[0].image == image.sha256:
            return Outcome("UNCHANGED", **facts)
        return Outcome(
            "CHANGED",
            difference=self._image(picture("#cccccc", "magenta")),
            changed_pixels=1000,
            ratio=1000 / 19200,
            regions=[CHANGED_BOX],
            sentence="1000 pixels differ in one region.",
            **facts,
        )

    def _image(self, png: bytes) -> Image:
        return Image(sha256=self.store.put(png), width=SIZE[0], height=SIZE[1], size_bytes=len(png))

    def join(self, organization: Organization, user: User, role: str) -> None:
        """Makes a person a member of one more organisation."""
        with self.app.app_context(), writing() as session:
            session.add(Membership(organization_id=organization.id, user_id=user.id, role=role))

    def actions(self) -> list[str]:
        """What Acme's audit log tells, the newest last."""
        with self.app.app_context():
            query = select(AuditEvent.action).where(AuditEvent.organization_id == self.organization.id)
            return list(db.session.scalars(query.order_by(AuditEvent.id)))

    @staticmethod
    def _snapshots(run_id: str) -> list[Snapshot]:
        query = select(Snapshot).where(Snapshot.run_id == run_id).order_by(Snapshot.position)
        return list(db.session.scalars(query))

    def snapshots(self, run_id: str) -> list[Snapshot]:
        """A run's snapshots as they are now, in the suite's order."""
        with self.app.app_context():
            return self._snapshots(run_id)

    def get(self, kind: type[Any], key: Any) -> Any:
        """A row as it is now."""
        with self.app.app_context():
            return db.session.get(kind, key)

    @contextmanager
    def queries(self) -> Iterator[list[str]]:
        """Collects the statements that are executed meanwhile."""
        seen: list[str] = []

        def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            seen.append(statement)

        with self.app.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    site = Site(settings)
    yield site
    with site.app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def text_of() -> Callable[[str], str]:
    """HTML as a person reads it: without tags, spaces in one."""

    def read(page: str) -> str:
        return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page))).strip()

    return read


@pytest.fixture(scope="session")
def browser_path() -> str:
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium on this machine; `make setup` installs one")
    return str(path)


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    """A real Chromium, waited for as long as a busy machine may need."""
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def served(site: Site, browser: Browser) -> Iterator[Served]:
    """The site on a port with a browser at it; the browser complains of nothing, and no request leaves the server."""
    from tests.dashboard import browsing

    with browsing.served(site, browser) as made:
        yield made
    assert made.complaints == []
    assert made.left == []


@pytest.fixture
def axe() -> Callable[[Page], list[str]]:
    """What axe-core finds wrong with a page as it is shown now."""
    from tests.dashboard import browsing

    return browsing.violations
