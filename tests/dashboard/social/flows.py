"""Logging in by a provider, step by step."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import requests
from sqlalchemy import select
from werkzeug.test import TestResponse

from server.database import db
from server.models import ExternalLogin
from tests.dashboard.conftest import Site, Visitor

Read = Callable[[str], str]
HOME = "http://localhost"


def begin(visitor: Visitor, name: str = "oidc", page: str = "/login", **form: str) -> str:
    """Sends the form; returns the address at the provider to which the answer goes on."""
    path = f"/login/with/{name}" if page == "/login" else f"/settings/account/connect/{name}"
    answer = visitor.send(path, form, page=page)
    assert answer.status_code == 200, answer.text
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', answer.text)
    assert found
    return html.unescape(found[1])


def consent(address: str) -> str:
    """The provider's part: returns the path of ours that it sends the browser to."""
    answer = requests.get(address, allow_redirects=False, timeout=5)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"{HOME}/login/with/")
    return answer.headers["Location"].removeprefix(HOME)


def come(visitor: Visitor, name: str = "oidc", **form: str) -> TestResponse:
    """The whole way there and back."""
    return visitor.get(consent(begin(visitor, name, **form)))


def rows(site: Site, kind: type[Any]) -> list[Any]:
    with site.app.app_context():
        return list(db.session.scalars(select(kind)))


def is_in(visitor: Visitor) -> bool:
    return visitor.get("/").status_code == 200


def refused(site: Site, answer: TestResponse, visitor: Visitor, says: str, status: int = 502) -> None:
    assert answer.status_code == status, answer.text
    assert says in html.unescape(answer.text)
    assert not is_in(visitor)
    assert rows(site, ExternalLogin) == []


def forge(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda claims: claims.update(values)
