"""/settings/invitations and the page behind an invitation's link."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from server.access import mail, passwords, people
from server.database import db
from server.models import Membership
from tests.dashboard.conftest import PASSWORD, Site

PATH, MEMBERS = "/settings/invitations", "/settings/members"
NEW = "staple orange window 7"


def _invite(site: Site, email: str = "grace@example.com", role: str = "Editor") -> str:
    answer = site.visit().send(PATH, {"email": email, "role": role})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    found = re.search(r"http://localhost(/invitations/[\w-]{43})<", answer.text)
    assert found
    return found[1]


def test_the_link_is_shown_once_and_the_invitation_listed_until_it_is_withdrawn(site: Site) -> None:
    link, visitor = _invite(site), site.visit()
    page = visitor.page(MEMBERS)
    assert "grace@example.com" in page
    for path in (MEMBERS, "/settings/audit-logs"):
        assert link not in visitor.page(path)
    withdraw = re.search(r'action="(/settings/invitations/\w+/withdraw)"', page)
    assert withdraw
    assert visitor.send(withdraw[1]).location == MEMBERS
    assert withdraw[1] not in visitor.page(MEMBERS)
    gone = site.anonymous().get(link)
    assert gone.status_code == 404
    assert "This invitation is over" in gone.text
    assert visitor.send(withdraw[1]).status_code == 404


@pytest.mark.parametrize(
    ("form", "said", "status"),
    [
        ({"email": "grace", "role": "Editor"}, "is no email address", 422),
        ({"email": "grace@example.com", "role": "Owner"}, "A role is one of", 422),
        ({"email": "ed@acme.example", "role": "Admin"}, "is a member already", 409),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_lost(
    site: Site, form: dict[str, str], said: str, status: int
) -> None:
    answer = site.visit().send(PATH, form)
    assert answer.status_code == status
    assert said in answer.text
    assert f'value="{form["email"]}"' in answer.text


def test_mail_goes_out_where_it_is_set_up_and_the_page_says_which(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        "this server sends no mail"
        in site.visit().send(PATH, {"email": "a@x.example", "role": "Viewer"}).text
    )
    sent: list[tuple[str, ...]] = []
    monkeypatch.setattr(mail, "is_set_up", lambda: True)
    monkeypatch.setattr(mail, "send", lambda to, text, **values: sent.append((to, text, values["link"])))
    answer = site.visit().send(PATH, {"email": "b@x.example", "role": "Viewer"})
    assert "on its way to them by mail" in answer.text
    [(to, text, link)] = sent
    assert (to, text) == ("b@x.example", "invitation")
    assert link in answer.text


def test_a_new_person_makes_an_account_and_is_in_at_once(site: Site, text_of: Callable[[str], str]) -> None:
    link, visitor = _invite(site), site.anonymous()
    page = visitor.page(link)
    assert "ada@acme.example invites you as Editor" in text_of(page)
    assert re.search(r'value="grace@example.com" readonly', page)
    form = {"name": "Grace Hopper", "password": NEW, "email": "other@example.com"}
    assert visitor.send(link, form, page=link).location == "/"
    assert "Grace Hopper" in visitor.page("/")
    assert "Tea Shop" in visitor.page("/")
    with site.app.app_context():
        user = passwords.check("grace@example.com", NEW, "127.0.0.1")
        assert user is not None
        assert db.session.get_one(Membership, (site.organization.id, user.id)).role == "Editor"
    assert site.anonymous().get(link).status_code == 404


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": "Grace", "password": "short"}, "The password has 5 characters"),
        ({"name": "Grace", "password": "password1234"}, "password"),
        ({"name": " ", "password": NEW}, "A name has"),
    ],
)
def test_what_cannot_be_an_account_leaves_the_invitation_open(
    site: Site, form: dict[str, str], said: str
) -> None:
    link, visitor = _invite(site), site.anonymous()
    answer = visitor.send(link, form, page=link)
    assert answer.status_code == 422
    assert said in answer.text
    assert visitor.send(link, {"name": "Grace", "password": NEW}, page=link).status_code == 303


def test_who_is_logged_in_joins_with_one_button_and_is_taken_there(site: Site) -> None:
    link, eve = _invite(site, "eve@other.example", "Viewer"), site.visit(site.stranger)
    page = eve.page(link)
    assert "Join as eve" in page
    assert 'name="password"' not in page
    assert eve.send(link).location == "/"
    assert "Tea Shop" in eve.page("/")


def test_who_has_an_account_proves_it_with_its_password(site: Site) -> None:
    link, visitor = _invite(site, "eve@other.example", "Viewer"), site.anonymous()
    assert 'name="name"' not in visitor.page(link)
    for form in ({"password": "wrong"}, {"name": "Eve", "password": NEW}):
        answer = visitor.send(link, form, page=link)
        assert answer.status_code == 422
        assert "This is not the password of that account." in answer.text
    assert visitor.send(link, {"password": PASSWORD}, page=link).location == "/"
    assert "Tea Shop" in visitor.page("/")


def test_who_was_taken_out_of_every_organisation_can_come_back(site: Site) -> None:
    with site.app.app_context():
        people.remove_member(site.organization.id, site.editor.id, people.CLI)
    link, visitor = _invite(site, "ed@acme.example"), site.anonymous()
    assert visitor.send(link, {"password": PASSWORD}, page=link).location == "/"
    assert "Tea Shop" in visitor.page("/")


def test_another_account_is_one_link_away_and_comes_back(site: Site) -> None:
    link, visitor = _invite(site), site.anonymous()
    login = re.search(r'href="(/login\?next=[^"]+)"', visitor.page(link))
    assert login
    form = {"email": "eve@other.example", "password": PASSWORD, "next": link}
    assert visitor.send("/login", form, page=login[1]).location == link
    assert "counts for the account that accepts it" in visitor.page(link)


def test_a_member_does_not_use_up_an_invitation_by_looking_at_it(site: Site) -> None:
    link, admin = _invite(site), site.visit()
    assert "You are a member of Acme" in admin.page(link)
    assert admin.send(link).status_code == 200
    assert "Make an account and join" in site.anonymous().page(link)


def test_the_form_works_over_https_though_it_tells_no_referrer(site: Site) -> None:
    link, client = _invite(site), site.anonymous().client
    page = client.get(link, base_url="https://localhost")
    assert page.headers["Referrer-Policy"] == "no-referrer"
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token
    form = {"csrf_token": token[1], "name": "Grace", "password": NEW}
    assert client.post(link, data=form, base_url="https://localhost").status_code == 303
