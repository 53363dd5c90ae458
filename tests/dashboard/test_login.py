"""/login and /logout."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete

from server.access import passwords
from server.database import writing
from server.models import LoginSession
from tests.dashboard.conftest import PASSWORD, Site


def _log_in(site: Site, **form: Any) -> Any:
    values = {"email": "ada@acme.example", "password": PASSWORD, **form}
    return site.anonymous().send("/login", values, page="/login")


def test_the_right_password_opens_the_projects(site: Site) -> None:
    visitor = site.anonymous()
    answer = visitor.send("/login", {"email": "Ada@acme.example ", "password": PASSWORD}, page="/login")
    assert (answer.status_code, answer.location) == (303, "/")
    assert "Tea Shop" in visitor.page("/")


def test_a_wrong_password_keeps_the_email_and_says_nothing_about_who_exists(site: Site) -> None:
    known = _log_in(site, password="wrong")
    unknown = _log_in(site, email="nobody@acme.example", password="wrong")
    assert known.status_code == unknown.status_code == 401
    assert 'value="ada@acme.example"' in known.text
    for answer in (known, unknown):
        assert "This email and password do not belong together." in answer.text


def test_guessing_is_slowed_down_and_the_form_says_until_when(site: Site) -> None:
    answers = [_log_in(site, password=f"guess {n}") for n in range(passwords.BY_PERSON_AND_ADDRESS.count + 1)]
    assert [answer.status_code for answer in answers[:-1]] == [401] * (len(answers) - 1)
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert "try again in" in answers[-1].text


def test_a_page_asks_to_log_in_and_comes_back_afterwards(site: Site) -> None:
    answer = site.anonymous().get("/projects/tea-shop?branch=main")
    assert answer.status_code == 303
    assert answer.location == "/login?next=/projects/tea-shop?branch%3Dmain"
    assert _log_in(site, next="/projects/tea-shop?branch=main").location == "/projects/tea-shop?branch=main"


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "///evil.example",
        "http:evil.example",
        "evil",
        "http://localhost@evil.example/",
        "http://[",
    ],
)
def test_it_never_leads_to_another_site(site: Site, address: str) -> None:
    assert _log_in(site, next=address).location == "/"


def test_a_part_of_a_page_that_needs_a_log_in_sends_the_whole_page_there(site: Site) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/projects/tea-shop?status=FAILED"}
    answer = site.anonymous().get("/runs/abc/progress", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/login?next=/projects/tea-shop?status%3DFAILED"


def test_an_address_that_is_none_leads_to_the_form_and_to_no_error(site: Site) -> None:
    assert site.anonymous().get("/login?next=http://[").status_code == 200
    headers = {"HX-Request": "true", "HX-Current-URL": "http://["}
    answer = site.anonymous().get("/runs/abc/progress", headers=headers)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/login")


def test_a_form_sent_after_the_session_ended_says_that_it_was_lost_and_leads_back(site: Site) -> None:
    visitor, path = site.visit(), "/projects/tea-shop/suite"
    token = visitor.page(path).partition('name="csrf_token" value="')[2].partition('"')[0]
    with site.app.app_context(), writing() as session:
        session.execute(delete(LoginSession))
    form = {"csrf_token": token, "suite": "tests: []"}
    answer = visitor.client.post(path, data=form, headers={"Referer": f"http://localhost{path}"})
    assert (answer.status_code, answer.location) == (303, f"/login?next={path}")
    assert "what you sent was not done" in visitor.page(answer.location)


def test_the_cookie_is_kept_from_scripts_and_other_sites(site: Site) -> None:
    cookie = _log_in(site).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Expires=" in cookie


def test_logging_out_ends_the_session_for_copies_of_the_cookie_too(site: Site) -> None:
    visitor = site.visit()
    cookie = visitor.client.get_cookie("retestr")
    assert cookie is not None
    assert visitor.send("/logout").location == "/login"
    thief = site.anonymous()
    thief.client.set_cookie("retestr", cookie.value)
    assert thief.get("/").status_code == 303


def test_who_is_logged_in_needs_no_form(site: Site) -> None:
    assert site.visit().get("/login").location == "/"
