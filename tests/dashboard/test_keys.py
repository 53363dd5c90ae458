"""/settings/api-keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from server.access import keys, usage
from server.access.audit import CLI
from server.database import now
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
    page = visitor.page(PATH)
    assert "revoked</strong>" in page
    assert f"{holder.id}/revoke" not in page


def test_keys_of_others_are_not_there(site: Site) -> None:
    with site.app.app_context():
        row, _ = keys.create(site.other.id, "Theirs", ["run:read"], CLI)
    assert "Theirs" not in site.visit().page(PATH)
    assert site.visit().send(f"{PATH}/{row.id}/revoke").status_code == 404
    assert site.get(ApiKey, row.id).revoked_at is None
