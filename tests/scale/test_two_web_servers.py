"""Two web servers, each a real `retestr serve` of its own, on one database: what one knows, the other knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import requests

from server.access import passwords
from tests.e2e.conftest import Server, servers, suite_of
from tests.postgres import Databases

pytestmark = pytest.mark.e2e
PER_MINUTE = 6
EMAIL, PASSWORD = "ada@example.com", "a long password"


@pytest.fixture(scope="module")
def webs(databases: Databases | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Both without a worker; on PostgreSQL where the tests have one, else on one file of SQLite."""
    folder = tmp_path_factory.mktemp("webs")
    at = databases.fresh() if databases else nullcontext(f"sqlite:///{folder / 'shared.db'}")
    with at as url, servers(folder) as make:
        webs = [
            make(
                RETESTR_DATABASE_URL=url,
                RETESTR_SECRET_KEY="one for both",
                RETESTR_KEY_REQUESTS_PER_MINUTE=str(PER_MINUTE),
            )
            for _ in range(2)
        ]
        webs[0].set_up(suite_of("http://127.0.0.1:9", "a.html"))
        for web in webs:
            web.start("--no-worker")
        yield webs


@pytest.fixture
def key(webs: list[Server]) -> str:
    """A key of one test's own."""
    made = webs[0].api("POST", "/keys", json={"name": "a test", "scopes": ["run:read"]})
    assert made.status_code == 201, made.text
    return made.json()["key"]


def read_runs(web: Server, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.get(f"{web.url}/api/runs", headers=headers, timeout=30).status_code


def token_of(browser: requests.Session, url: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(url, timeout=30).text)
    assert found
    return found[1]


def log_in(browser: requests.Session, web: Server, email: str, password: str) -> requests.Response:
    form = {"csrf_token": token_of(browser, f"{web.url}/login"), "email": email, "password": password}
    return browser.post(f"{web.url}/login", form, allow_redirects=False, timeout=30)


def test_a_key_s_requests_are_counted_together(webs: list[Server], key: str) -> None:
    statuses = [read_runs(webs[number % 2], key) for number in range(PER_MINUTE + 1)]
    assert statuses == [200] * PER_MINUTE + [429]
    assert [read_runs(web, key) for web in webs] == [429, 429]


def test_a_key_that_one_revokes_is_refused_by_the_other_at_once(webs: list[Server], key: str) -> None:
    assert read_runs(webs[1], key) == 200
    answer = requests.post(f"{webs[0].url}/api/keys/revoke-leaked", json={"key": key}, timeout=30)
    assert answer.ok, answer.text
    assert read_runs(webs[1], key) == 401


def test_a_session_of_one_is_one_of_the_other_until_either_ends_it(webs: list[Server]) -> None:
    first, second = webs
    with requests.Session() as browser:
        assert log_in(browser, first, EMAIL, PASSWORD).status_code == 303
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
            assert log_in(browser, webs[number % 2], "eve@example.com", "wrong").status_code == 401
        refused = [log_in(browser, web, "eve@example.com", "wrong").status_code for web in webs]
    assert refused == [429, 429]
