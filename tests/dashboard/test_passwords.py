"""/password/forgot and /password/reset."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from werkzeug.test import TestResponse

from server.access import mail, passwords
from server.config import Settings
from server.dashboard import passwords as pages
from server.database import db
from server.models import User
from tests.dashboard.conftest import Site

FORGOT = "/password/forgot"
NEW = "staple orange window 7"


@pytest.fixture
def mailing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site that can send mail, and does so without delay."""
    monkeypatch.setattr(pages, "ANSWERED_AFTER_S", 0)
    site = Site(replace(settings, smtp_url="smtp://127.0.0.1:9", public_url="https://retestr.example"))
    yield site
    with site.app.app_context():
        db.engine.dispose()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(to, link) of what is mailed."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(mail, "send", lambda to, text, **values: found.append((to, values["link"])))
    return found


def forget(site: Site, email: str) -> TestResponse:
    """Asks for a link for an address, and waits until what happens beside the answer is over."""
    answer = site.anonymous().send(FORGOT, {"email": email}, page=FORGOT)
    wait()
    return answer


def wait() -> None:
    for thread in threading.enumerate():
        if thread.name == "password-reset":
            thread.join(10)


def test_the_log_in_page_leads_there(site: Site) -> None:
    assert f'href="{FORGOT}"' in site.anonymous().page("/login")


def test_without_mail_it_says_whom_to_ask(site: Site, sent: list[tuple[str, str]]) -> None:
    page = site.anonymous().page(FORGOT)
    assert "Ask an Admin" in page
    assert "<form" not in page
    site.anonymous().send(FORGOT, {"email": "ada@acme.example"}, page="/login")
    assert sent == []


def test_the_answer_is_the_same_for_everybody_and_only_the_owner_gets_a_link(
    mailing: Site, sent: list[tuple[str, str]]
) -> None:
    known, unknown = (forget(mailing, email).text for email in ("ADA@acme.example", "nobody@acme.example"))
    assert known == unknown
    assert "a link to set a new password is on its way" in known
    [(to, link)] = sent
    assert to == "ada@acme.example"
    path = link.removeprefix("https://retestr.example")
    assert mailing.anonymous().send(path, {"password": NEW}, page=path).location == "/login"
    with mailing.app.app_context():
        assert passwords.check("ada@acme.example", NEW, "127.0.0.1") is not None
    assert "PASSWORD_RESET" in mailing.actions()


def test_the_answer_does_not_wait_for_the_look_up_which_takes_longer_for_the_owner(
    mailing: Site, sent: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, begin = threading.Event(), passwords.begin_reset

    def later(email: str, token: str) -> User | None:
        assert answered.wait(10)
        return begin(email, token)

    monkeypatch.setattr(passwords, "begin_reset", later)
    answer = mailing.anonymous().send(FORGOT, {"email": "ada@acme.example"}, page=FORGOT)
    assert (answer.status_code, sent) == (200, [])
    answered.set()
    wait()
    assert [to for to, _ in sent] == ["ada@acme.example"]


def test_the_link_does_not_follow_the_host_that_the_request_names(
    mailing: Site, sent: list[tuple[str, str]]
) -> None:
    visitor = mailing.anonymous()
    visitor.client.environ_base["HTTP_X_FORWARDED_HOST"] = "evil.example"
    visitor.client.environ_base["HTTP_HOST"] = "evil.example"
    visitor.send(FORGOT, {"email": "ada@acme.example"}, page=FORGOT)
    wait()
    assert [link.split("/password")[0] for _, link in sent] == ["https://retestr.example"]


def test_asking_again_and_again_is_slowed_down(mailing: Site, sent: list[tuple[str, str]]) -> None:
    answers = [forget(mailing, "ada@acme.example") for _ in range(passwords.RESETS.count + 1)]
    assert [answer.status_code for answer in answers] == [200] * passwords.RESETS.count + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert len(sent) == passwords.RESETS.count


def test_a_weak_password_leaves_the_link_open(site: Site) -> None:
    with site.app.app_context():
        link = f"/password/reset/{passwords.make_reset(site.viewer)}"
    visitor = site.anonymous()
    answer = visitor.send(link, {"password": "short"}, page=link)
    assert answer.status_code == 422
    assert "The password has 5 characters" in answer.text
    assert "vi@acme.example" in visitor.page(link)


def test_a_link_that_is_worth_nothing_says_so_and_how_to_get_another(site: Site) -> None:
    for method in ("get", "post"):
        visitor = site.anonymous()
        path = "/password/reset/abc"
        answer = visitor.get(path) if method == "get" else visitor.send(path, {"password": NEW}, "/login")
        assert answer.status_code == 404
        assert "This link is over" in answer.text
        assert f'href="{FORGOT}"' in answer.text
