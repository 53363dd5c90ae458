"""Every route of the dashboard x every kind of visitor, generated from the URL map: `visitors.ROLES` holds.

Things named in an address exist and belong to Acme; so the only reason for a refusal is the visitor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from werkzeug.routing import Rule

from server.access import invitations, keys, passwords, people
from server.access.audit import CLI
from server.access.people import ADMIN, EDITOR, VIEWER
from server.access.scopes import ROUTES as API_ROUTES
from server.config import Settings
from server.dashboard.visitors import ROLES
from server.database import db
from server.runs import projects
from tests.dashboard.conftest import Site, Visitor

NOBODY, STRANGER = "nobody", "an Admin of another organisation"
OWNED = {
    "run_id",
    "snapshot_id",
    "slug",
    "key_id",
    "user_id",
    "invitation_id",
    "organization_id",
    "session_id",
    "baseline_id",
}
ENDS_THE_SESSION = {"log_out", "leave_organization"}
"""After these a visitor is at the log-in page, as somebody is who was refused."""


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    site = Site(replace(settings, github_client_id="id", github_client_secret="secret"))
    yield site
    with site.app.app_context():
        db.engine.dispose()


def routes(site: Site) -> list[tuple[str, str, Rule]]:
    """Each (method, endpoint, rule) of the dashboard; reading ones first."""
    found = [
        (method, rule.endpoint.removeprefix("dashboard."), rule)
        for rule in site.app.url_map.iter_rules()
        if rule.endpoint.startswith("dashboard.")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]
    return sorted(found, key=lambda route: route[:2])


class Addresses:
    """Fills in a route's rule: with things of Acme, and the visitor's own session unless they are a stranger."""

    def __init__(self, site: Site) -> None:
        run = site.changed()
        self.site, self.numbers = site, count()
        self.values: dict[str, Any] = {
            "run_id": run,
            "snapshot_id": site.snapshots(run)[0].id,
            "baseline_id": site.snapshots(run)[0].baseline_id,
            "organization_id": site.organization.id,
            "decision": "approve",
            "kind": "actual",
            "form": "csv",
            "name": "github",
            "filename": "app.css",
        }
        with site.app.app_context():
            self.session_id = self._session(site.admin)

    def _session(self, user: Any) -> str:
        people.log_in(user, "127.0.0.1", "another browser")
        return people.sessions_of(user)[0].id

    def of(self, endpoint: str, rule: Rule, user: Any, role: str) -> str:
        """The address of a route, with things made for this request alone."""
        with self.site.app.app_context():
            organization = self.site.organization
            invited = f"invited-{next(self.numbers)}@x.example"
            fresh = {
                "slug": lambda: (
                    projects.create(organization.id, invited, CLI).slug
                    if endpoint == "delete_project"
                    else "tea-shop"
                ),
                "key_id": lambda: keys.create(organization.id, "CI", ["run:read"], CLI)[0].id,
                "user_id": lambda: self.site.member(organization, f"target-{invited}", VIEWER).id,
                "session_id": lambda: self._session(user) if role in people.ROLES else self.session_id,
                "invitation_id": lambda: invitations.invite(organization, invited, VIEWER, CLI)[0].id,
                "token": lambda: (
                    passwords.make_reset(self.site.viewer)
                    if endpoint == "reset_password"
                    else invitations.invite(organization, invited, VIEWER, CLI)[1]
                ),
            }
            values = {name: fresh[name]() if name in fresh else self.values[name] for name in rule.arguments}
        with self.site.app.test_request_context():
            return str(self.site.app.url_for(rule.endpoint, **values))


def ask(visitor: Visitor, method: str, address: str, role: str) -> Any:
    if method == "GET":
        return visitor.get(address)
    return visitor.send(address, page="/login" if role == NOBODY else "/")


def expected(method: str, endpoint: str, rule: Rule, role: str) -> set[str]:
    """How a request may be answered: its status, or `login` for the way to the log-in page."""
    needed = ROLES[method, endpoint]
    if needed is not None and role == NOBODY:
        return {"login"}
    if needed is not None and role == STRANGER and rule.arguments & OWNED:
        return {"404"}
    if needed is not None and role != STRANGER and not _suffices(role, needed):
        return {"403"}
    if endpoint == "found_organization":
        return {"login"}  # there are organisations already
    if endpoint == "come_back":
        return {"400"}  # nothing was begun
    if endpoint in ("disconnect_login", "delete_secret"):
        return {"404", "303"}  # there is none
    if endpoint in ENDS_THE_SESSION and method == "POST":
        return {"login"}
    if endpoint == "run_rows":
        return {"204"}  # nothing moved
    if method == "GET":
        return {"200", "303"}
    return {"200", "303", "409", "422"} | ({"401"} if endpoint == "log_in" else set())


def _suffices(role: str, needed: str) -> bool:
    ranks = [VIEWER, EDITOR, ADMIN]
    return ranks.index(role) >= ranks.index(needed)


def test_each_route_has_an_entry_and_each_entry_a_route(site: Site) -> None:
    assert {(method, endpoint) for method, endpoint, _ in routes(site)} == set(ROLES)


def test_a_viewer_changes_nothing_but_their_own_and_settings_are_for_admins(site: Site) -> None:
    own = re.compile(
        r"/settings/account|/logout|/settings/members/leave|/organizations/<organization_id>/switch"
    )
    for method, endpoint, rule in routes(site):
        needed, address = ROLES[method, endpoint], rule.rule
        if needed is None or own.match(address) or address == "/settings/members":
            continue
        if address.startswith("/settings"):
            assert needed == ADMIN, address
        elif method == "POST":
            assert needed == (ADMIN if "/secrets" in address or "/delete" in address else EDITOR), address


@pytest.mark.parametrize("role", [NOBODY, VIEWER, EDITOR, ADMIN, STRANGER])
def test_each_visitor_gets_what_their_role_allows_and_no_more(site: Site, role: str) -> None:
    addresses, wrong = Addresses(site), []
    for number, (method, endpoint, rule) in enumerate(routes(site)):
        user, visitor = None, site.anonymous()
        if role != NOBODY:
            with site.app.app_context():
                organization, held = (site.other, ADMIN) if role == STRANGER else (site.organization, role)
                user = site.member(organization, f"visitor-{number}@x.example", held)
            visitor = site.visit(user)
        address = addresses.of(endpoint, rule, user, role)
        with ask(visitor, method, address, role) as answer:
            went = "login" if (answer.location or "").startswith("/login") else str(answer.status_code)
        if went not in expected(method, endpoint, rule, role):
            wrong.append(f"{method} {address} ({endpoint}): {went}")
    assert wrong == []


@pytest.mark.parametrize("role", [VIEWER, EDITOR, ADMIN])
def test_a_session_of_any_role_is_no_key(site: Site, role: str) -> None:
    users = {VIEWER: site.viewer, EDITOR: site.editor, ADMIN: site.admin}
    visitor = site.visit(users[role])
    for (method, rule), scope in API_ROUTES.items():
        path = re.sub(r"<any[^>]*>", "actual", rule)
        if scope is not None:
            assert visitor.client.open(re.sub(r"<\w+>", "0000", path), method=method).status_code == 401, rule


def test_looking_without_a_body_changes_nothing_either(site: Site) -> None:
    """HEAD is answered by the view of GET, which for a form must not be taken for its POST."""
    addresses, visitor = Addresses(site), site.visit()
    with site.app.app_context():
        user = people.members(site.organization.id)[0][0]
    visitor.page("/")
    for method, endpoint, rule in routes(site):
        if method == "GET":
            address = addresses.of(endpoint, rule, user, ADMIN)
            with site.queries() as seen, visitor.client.head(address) as head:
                assert head.status_code < 500
            assert [s for s in seen if s.split()[0] in ("INSERT", "UPDATE", "DELETE")] == [], address


def test_no_form_is_taken_without_its_token(site: Site) -> None:
    addresses, visitor = Addresses(site), site.visit()
    for method, endpoint, rule in routes(site):
        if method == "POST":
            address = addresses.of(endpoint, rule, site.admin, ADMIN)
            for path in (address, f"{address}?csrf_token=x"):
                answer = visitor.client.post(path, data={"name": "x"})
                assert answer.status_code == 400, path
                assert "This form is no longer valid" in answer.text


def test_no_form_of_another_site_is_taken_even_with_a_token(site: Site) -> None:
    visitor = site.visit()
    visitor.client.environ_base["HTTP_SEC_FETCH_SITE"] = "cross-site"
    assert visitor.send("/settings/organization", {"name": "Taken"}).status_code == 400
    visitor.client.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    assert visitor.send("/settings/organization", {"name": "Renamed"}).status_code == 303
