"""Two web servers, each a real `retestr serve` of its own, on one database: what one knows, the other knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import requests

from server.access import passwords
from tests.e2e.conftest import Server, make_server, suite_of
from tests.postgres import Databases

__all__ = ["make_server"]
pytestmark = pytest.mark.e2e
PER_MINUTE = 6
EMAIL, PASSWORD = "ada@example.com", "a long password"


@pytest.fixture
def webs(
    make_server: Callable[..., Server], databases: Databases | None, tmp_path: Path
) -> Iterator[list[Server]]:
    """Both without a worker; on PostgreSQL where the tests have one, else on one file of SQLite."""
    with databases.fresh() if databases else nullcontext(f"sqlite:///{tmp_path / 'shared.db'}") as url:
        webs = [
            make_server(
                RETESTR_DATABASE_URL=url,
                RETESTR_SECRET_KEY="one for both",
                RETESTR_KEY_REQUESTS_PER_MINUTE=str(PER_MINUTE),
            )
            for _ in range(2)
        ]
        webs[0].set_up(suite_of("http://127.0.0.1:9", "a.html"))
        webs[1].key = webs[0].key
        for web in webs:
            web.start("--no-worker")
        yield webs
        for web in webs:
            web.stop()


def token_of(browser: requests.Session, url: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(url, timeout=30).text)
    assert found
    return found[1]


def log_in(browser: requests.Session, web: Server, password: str = PASSWORD) -> requests.Response:
    form = {"csrf_token": token_of(browser, f"{web.url}/login"), "email": EMAIL, "password": password}
    return browser.post(f"{web.url}/login", form, allow_redirects=False, timeout=30)


def test_a_key_s_requests_are_counted_together(webs: list[Server]) -> None:
    statuses = [webs[number % 2].api("GET", "/runs").status_code for number in range(PER_MINUTE + 1)]
    assert statuses == [200] * PER_MINUTE + [429]
    assert webs[0].api("GET", "/runs").status_code == webs[1].api("GET", "/runs").status_code == 429


def test_a_key_that_one_revokes_is_refused_by_the_other_at_once(webs: list[Server]) -> None:
    assert webs[1].api("GET", "/runs").status_code == 200
    leaked = {"key": webs[0].key}
    answer = requests.post(f"{webs[0].url}/api/keys/revoke-leaked", json=leaked, timeout=30)
    assert answer.ok, answer.text
    assert webs[1].api("GET", "/runs").status_code == 401


def test_a_session_of_one_is_one_of_the_other_until_either_ends_it(webs: list[Server]) -> None:
    first, second = webs
    with requests.Session() as browser:
        assert log_in(browser, first).status_code == 303
        page = browser.get(f"{second.url}/settings/account", allow_redirects=False, timeout=30)
        assert page.status_code == 200
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token, "a form of one may be sent to the other"
        copy = dict(browser.cookies)
        left = browser.post(
            f"{first.url}/logout", {"csrf_token": token[1]}, allow_redirects=False, timeout=30
        )
        assert left.status_code == 303
    again = requests.get(f"{second.url}/settings/account", cookies=copy, allow_redirects=False, timeout=30)
    assert again.status_code == 303
    assert "/login" in again.headers["Location"]


def test_log_ins_that_fail_at_one_slow_down_the_other(webs: list[Server]) -> None:
    with requests.Session() as browser:
        for number in range(passwords.BY_PERSON_AND_ADDRESS.count):
            assert log_in(browser, webs[number % 2], "wrong").status_code == 401
        refused = [log_in(browser, web).status_code for web in webs]
    assert refused == [429, 429]
