"""/settings/api-keys."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from server.access import keys, usage
from server.access.audit import CLI
from server.database import now, writing
from server.models import ApiKey, AuditEvent
from tests.dashboard.conftest import Site, Visitor

PATH = "/settings/api-keys"
FORM = {"name": "GitHub Actions CI", "scopes": ["run:read", "run:write"]}


def _create(visitor: Visitor, **form: Any) -> str:
    answer = visitor.send(PATH, {**FORM, **form})
    assert answer.status_code == 200
    found = re.search(r"vts_[0-9A-Za-z]{36}", answer.text)
    assert found
    assert answer.headers["Cache-Control"] == "no-store"
    return found[0]


def test_a_new_key_is_shown_once_and_never_again(site: Site, tmp_path: Path) -> None:
    visitor = site.visit()
    key = _create(visitor)
    with site.app.app_context():
        holder = keys.find(key)
        assert holder is not None
        assert holder.scopes == ("run:read", "run:write")
        assert all(key not in str(event.details) for event in AuditEvent.query)
    for path in (PATH, "/settings/audit-logs", f"{PATH}/{holder.id}/revoke", "/"):
        assert key not in visitor.page(path)
    assert all(key.encode() not in file.read_bytes() for file in tmp_path.glob("retestr.db*"))


def test_the_answer_holds_a_workflow_to_paste(site: Site, text_of: Callable[[str], str]) -> None:
    text = text_of(site.visit().send(PATH, FORM).text)
    assert "uses: retestr/action@v1" in text
    assert "api-key: ${{ secrets.RETESTR_API_KEY }}" in text
    assert "project-id: ${{ vars.RETESTR_PROJECT_ID }}" in text
    assert "server-url: http://localhost" in text


def test_the_usual_scopes_are_checked_and_each_is_explained(site: Site) -> None:
    page = site.visit().page(PATH)
    assert re.findall(r'name="scopes" value="([^"]+)" checked', page) == ["run:read", "run:write"]
    assert "Trigger and cancel runs. The usual one for CI." in page


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": " "}, "A key needs a name"),
        ({"scopes": []}, "at least one scope"),
        ({"scopes": ["root"]}, "Unknown scope"),
        ({"expires": "2020-01-01"}, "The expiry date is past"),
        ({"expires": "tomorrow"}, "is no date"),
        ({"name": "x" * 201}, "more than 200"),
        ({"projects": ["nothing"]}, "no project"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_lost(site: Site, form: dict[str, Any], said: str) -> None:
    answer = site.visit().send(PATH, {**FORM, "scopes": ["baseline:read"], **form})
    assert answer.status_code == 422
    assert said in answer.text
    if "name" not in form:
        assert 'value="GitHub Actions CI"' in answer.text
    if "scopes" not in form:
        assert re.findall(r'name="scopes" value="([^"]+)" checked', answer.text) == ["baseline:read"]
    with site.app.app_context():
        assert ApiKey.query.count() == 0


def test_a_key_expires_at_the_end_of_the_day_and_keeps_to_its_projects(site: Site) -> None:
    day = (now() + timedelta(days=5)).date()
    key = _create(site.visit(), expires=str(day), projects=[site.shop.id])
    with site.app.app_context():
        holder = keys.find(key)
        assert holder is not None and holder.expires_at is not None
        assert holder.expires_at.isoformat() == f"{day}T23:59:59+00:00"
        assert holder.project_ids == (site.shop.id,)
    assert "only Tea Shop" in site.visit().page(PATH)


def test_projects_of_others_are_neither_offered_nor_accepted(site: Site) -> None:
    assert "Secret plans" not in site.visit().page(PATH)
    assert site.visit().send(PATH, {**FORM, "projects": [site.theirs.id]}).status_code == 422


def test_the_list_tells_how_each_key_was_used(site: Site, text_of: Callable[[str], str]) -> None:
    visitor = site.visit()
    key = _create(visitor)
    with site.app.app_context():
        holder = keys.find(key)
        assert holder is not None
        for _ in range(3):
            usage.count(holder.id, True)
        used = site.get(ApiKey, holder.id).last_used_at
    page = visitor.page(PATH)
    text = text_of(page)
    assert f'<time datetime="{used.isoformat()}"' in page
    assert f"{used:%Y-%m-%d %H:%M:%S} UTC" in text
    assert re.search(r'data-label="Request count">3<', page)
    assert f"{key[:8]}…{key[-4:]}" in page
    assert "unused" not in text
    _create(visitor, name="Forgotten")
    assert re.search(r"Forgotten vts_\S+ unused", text_of(visitor.page(PATH)))


def test_revoking_asks_first_and_counts_from_the_next_request_on(site: Site) -> None:
    visitor = site.visit()
    key = _create(visitor)
    with site.app.app_context():
        holder = keys.find(key)
        assert holder is not None
    client = site.app.test_client()
    headers = {"Authorization": f"Bearer {key}"}
    assert client.get("/api/runs", headers=headers).status_code == 200
    question = visitor.page(f"{PATH}/{holder.id}/revoke")
    assert "Revoke GitHub Actions CI?" in question
    assert client.get("/api/runs", headers=headers).status_code == 200
    assert visitor.send(f"{PATH}/{holder.id}/revoke").location == PATH
    assert client.get("/api/runs", headers=headers).status_code == 401
    assert "No active key" in visitor.page(PATH)
    page = visitor.page(f"{PATH}?show=all")
    assert "revoked just now" in page
    assert f"{holder.id}/revoke" not in page


def test_keys_of_others_are_not_there(site: Site) -> None:
    with site.app.app_context():
        row, _ = keys.create(site.other.id, "Theirs", ["run:read"], CLI)
    assert "Theirs" not in site.visit().page(PATH)
    assert site.visit().send(f"{PATH}/{row.id}/revoke").status_code == 404
    assert site.get(ApiKey, row.id).revoked_at is None


def _rows(page: str) -> list[str]:
    return re.findall(r'<span class="strong">([^<]+)</span> <code class="hint">', page)


def _change(site: Site, name: str, **values: Any) -> None:
    with site.app.app_context(), writing() as session:
        session.execute(update(ApiKey).where(ApiKey.name == name).values(**values))


@pytest.fixture
def several(site: Site) -> Site:
    """Keys that differ in all that they can be sorted by, one of them expired and one revoked."""
    day = timedelta(days=1)
    with site.app.app_context():
        for name in ("beta", "Alpha", "gamma", "old", "gone"):
            keys.create(site.organization.id, name, ["run:read"], CLI)
    _change(site, "beta", request_count=5, last_used_at=now() - day)
    _change(site, "Alpha", request_count=900_000, last_used_at=now() - 2 * day, created_at=now() - 3 * day)
    _change(site, "old", expires_at=now() - day)
    _change(site, "gone", revoked_at=now() - day)
    return site


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["gamma", "Alpha", "beta"]),
        ("?sort=created", ["beta", "Alpha", "gamma"]),
        ("?sort=name", ["Alpha", "beta", "gamma"]),
        ("?sort=-name", ["gamma", "beta", "Alpha"]),
        ("?sort=-used", ["beta", "Alpha", "gamma"]),
        ("?sort=used", ["gamma", "Alpha", "beta"]),
        ("?sort=-requests", ["Alpha", "beta", "gamma"]),
        ("?sort=nonsense", ["gamma", "Alpha", "beta"]),
        ("?show=all&sort=name", ["Alpha", "beta", "gamma", "gone", "old"]),
    ],
)
def test_the_list_is_sorted_and_filtered_as_asked(several: Site, query: str, names: list[str]) -> None:
    assert _rows(several.visit().page(PATH + query)) == names


def test_the_heading_of_the_sorted_column_turns_it_round(several: Site) -> None:
    page = several.visit().page(f"{PATH}?sort=-requests")
    heading = re.search(r'<th[^>]*aria-sort="(\w+)"><a href="([^"]+)">([^<]+)', page)
    assert heading
    assert heading.groups() == ("descending", f"{PATH}?sort=requests", "Request count")


def test_each_key_says_what_is_worth_a_look(site: Site, text_of: Callable[[str], str]) -> None:
    day, at = timedelta(days=1), now()
    made: dict[str, dict[str, Any]] = {
        "new": {},
        "idle": {"created_at": at - 200 * day, "last_used_at": at - 91 * day},
        "ending": {"last_used_at": at, "expires_at": at + 13.5 * day},
        "busy": {"last_used_at": at, "request_count": 250_000, "created_at": at - 10 * day},
        "fine": {"last_used_at": at, "expires_at": at + 15 * day},
        "over": {"expires_at": at - 2.5 * day},
        "ended": {"revoked_at": at - 2.5 * day},
    }
    with site.app.app_context():
        for name in made:
            keys.create(site.organization.id, name, ["run:read"], CLI)
    for name, values in made.items():
        if values:
            _change(site, name, **values)
    page = site.visit().page(f"{PATH}?show=all")
    told = {
        row[0]: [html.unescape(note) for note in re.findall(r'class="note[^"]*">([^<]+)<', row[1])]
        for row in re.findall(r'<span class="strong">([^<]+)</span>(.*?)</tr>', page, re.S)
    }
    assert told == {
        "new": ["unused"],
        "idle": ["stale: no use in 90 days"],
        "ending": ["expires in 13 days"],
        "busy": ["overactive: 25\u202f000 requests/day"],
        "fine": [],
        "over": ["expired 2 days ago"],
        "ended": ["revoked 2 days ago"],
    }


@pytest.mark.parametrize(
    ("form", "days"),
    [
        ({"expires_in": ""}, None),
        ({"expires_in": "30"}, 30),
        ({"expires_in": "365"}, 365),
    ],
)
def test_a_key_lives_as_many_days_as_were_chosen(site: Site, form: dict[str, str], days: int | None) -> None:
    key = _create(site.visit(), **form)
    with site.app.app_context():
        holder = keys.find(key)
    assert holder is not None
    if days is None:
        assert holder.expires_at is None
    else:
        assert holder.expires_at is not None
        assert abs(holder.expires_at - now() - timedelta(days=days)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"expires_in": "30", "expires": "2099-01-01"}, "not both"),
        ({"expires_in": "date"}, "Give the date"),
        ({"expires_in": "31"}, "30, 90 or 365"),
    ],
)
def test_an_expiry_that_says_two_things_or_none_is_refused(
    site: Site, form: dict[str, str], said: str
) -> None:
    answer = site.visit().send(PATH, {**FORM, **form})
    assert answer.status_code == 422
    assert said in answer.text


@pytest.mark.parametrize(("hours", "works"), [("0", 401), ("24", 200), ("168", 200)])
def test_rotating_shows_the_successor_once_and_lets_the_old_key_live_as_chosen(
    site: Site, hours: str, works: int
) -> None:
    visitor = site.visit()
    old = _create(visitor)
    with site.app.app_context():
        holder = keys.find(old)
    assert holder is not None
    address = f"{PATH}/{holder.id}/rotate"
    assert re.search(r'name="overlap" value="24" checked', visitor.page(address))
    answer = visitor.send(address, {"overlap": hours})
    found = re.search(r"vts_[0-9A-Za-z]{36}", answer.text)
    assert found
    assert answer.headers["Cache-Control"] == "no-store"
    client = site.app.test_client()
    for key, status in ((found[0], 200), (old, works)):
        headers = {"Authorization": f"Bearer {key}"}
        assert client.get("/api/runs", headers=headers).status_code == status
    page = visitor.page(f"{PATH}?show=all")
    assert found[0] not in page
    with site.app.app_context():
        successor = keys.find(found[0])
    assert successor is not None
    assert re.search(rf'replaced by <a href="[^"]*#key-{successor.id}"', page)
    assert re.search(rf'replaces <a href="[^"]*#key-{holder.id}"', page)
    assert visitor.send(address, {"overlap": hours}).status_code == 409


def test_an_overlap_that_was_not_offered_is_refused(site: Site) -> None:
    key = _create(site.visit())
    with site.app.app_context():
        holder = keys.find(key)
    assert holder is not None
    assert site.visit().send(f"{PATH}/{holder.id}/rotate", {"overlap": "9999"}).status_code == 422
