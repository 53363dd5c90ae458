"""/settings/account: name, password, sessions."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sqlalchemy import select

from server.access import passwords, people
from server.access.passwords import CHANGES
from server.dashboard.browsers import in_words
from server.database import db
from server.models import AuditEvent, User
from tests.dashboard.conftest import PASSWORD, Site, Visitor

PATH = "/settings/account"
NEW = "staple orange window 7"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"


def _change(visitor: Visitor, current: str, new: str) -> tuple[int, str]:
    answer = visitor.send(f"{PATH}/password", {"current": current, "new": new})
    return answer.status_code, answer.text


def test_a_name_is_changed_and_an_empty_one_refused(site: Site) -> None:
    visitor = site.visit(site.viewer)
    assert visitor.send(f"{PATH}/name", {"name": " Vi Hart "}).location == PATH
    assert 'value="Vi Hart"' in visitor.page(PATH)
    answer = visitor.send(f"{PATH}/name", {"name": " "})
    assert answer.status_code == 422
    assert "A name has 1 to 200 characters on one line." in answer.text
    assert site.get(User, site.viewer.id).name == "Vi Hart"


def test_a_new_password_keeps_this_session_and_ends_the_others(site: Site) -> None:
    here, there = site.visit(site.viewer), site.visit(site.viewer)
    assert _change(here, PASSWORD, NEW)[0] == 303
    assert "You are logged out everywhere else." in here.page(PATH)
    assert there.get("/").location == "/login"
    with site.app.app_context():
        assert passwords.check("vi@acme.example", NEW, "127.0.0.1") is not None
        assert passwords.check("vi@acme.example", PASSWORD, "127.0.0.1") is None
    assert "PASSWORD_CHANGE" in site.actions()


@pytest.mark.parametrize(
    ("current", "new", "said"),
    [
        ("wrong", NEW, "The current password is not right."),
        (PASSWORD, "short", "The password has 5 characters"),
        (PASSWORD, "vi@acme.example", "easy to guess"),
    ],
)
def test_what_is_wrong_with_a_password_is_told_at_its_field(
    site: Site, current: str, new: str, said: str
) -> None:
    status, page = _change(site.visit(site.viewer), current, new)
    assert status == 422
    field = "current" if current == "wrong" else "new"
    assert re.search(rf'<p class="wrong" id="{field}-wrong">[^<]*{said}', page)
    assert NEW not in page


def test_an_open_browser_does_not_help_to_guess_the_password(site: Site) -> None:
    visitor = site.visit(site.viewer)
    answers = [_change(visitor, f"guess {n}", NEW)[0] for n in range(CHANGES.count + 1)]
    assert answers == [422] * CHANGES.count + [429]
    assert _change(visitor, PASSWORD, NEW)[0] == 429


def test_sessions_are_told_in_words_and_this_one_is_marked(site: Site, text_of: Callable[[str], str]) -> None:
    with site.app.app_context():
        people.log_in(site.viewer, "192.0.2.7", FIREFOX)
    text = text_of(site.visit(site.viewer).page(PATH))
    assert "Firefox on Linux 192.0.2.7" in text
    assert "pytest this one 127.0.0.1" in text


def test_one_other_session_is_ended_or_all(site: Site) -> None:
    here, *others = (site.visit(site.viewer) for _ in range(4))
    ends = re.findall(r'action="(/settings/account/sessions/\w+/end)"', here.page(PATH))
    assert len(ends) == 3
    assert here.send(ends[0]).location == PATH
    assert sorted(other.get("/").status_code for other in others) == [200, 200, 303]
    assert here.send(f"{PATH}/sessions/end-others").location == PATH
    assert [other.get("/").status_code for other in others] == [303] * 3
    page = here.page(PATH)
    assert "2 other sessions ended." in page
    assert "/end" not in page


def test_what_a_person_does_with_name_and_sessions_is_in_the_audit_log(site: Site) -> None:
    site.join(site.other, site.viewer, people.VIEWER)
    here, *_ = (site.visit(site.viewer) for _ in range(4))
    here.send(f"{PATH}/name", {"name": "Vi Hart"})
    here.send(f"{PATH}/name", {"name": "Vi Hart"})
    (ended, *_) = re.findall(r'action="(/settings/account/sessions/\w+/end)"', here.page(PATH))
    here.send(ended)
    here.send(f"{PATH}/sessions/end-others", {}, PATH)
    here.send(f"/organizations/{site.other.id}/switch")
    here.send(f"/organizations/{site.other.id}/switch")
    here.client.post("/logout", headers={"X-Request-Id": "abc"})  # no token: refused
    here.client.environ_base["HTTP_X_REQUEST_ID"] = "abc"
    answer = here.send("/logout")
    assert answer.headers["X-Request-Id"] == "abc"

    own, other = events_by(site, site.organization.id), events_by(site, site.other.id)
    assert [action for action, _ in own] == [
        *["LOGIN"] * 4, "USER_RENAME", "SESSION_END", "SESSIONS_END_OTHERS", "ORGANIZATION_SWITCH",
    ]  # fmt: skip
    assert [action for action, _ in other] == ["USER_RENAME", "ORGANIZATION_SWITCH", "LOGOUT"]
    details = {action: event.details for action, event in [*own, *other[1:]]}
    session = details["LOGOUT"]["session"]
    assert details["USER_RENAME"] == {"before": "vi", "after": "Vi Hart"}
    assert details["SESSION_END"] == {"session": ended.split("/")[-2], "address": "127.0.0.1"}
    assert details["SESSIONS_END_OTHERS"] == {"sessionsEnded": 2}
    assert own[-1][1].details == {"session": session, "before": "Acme"}  # nobody hears of the other one
    assert other[1][1].details == {"session": session, "after": "Other"}
    assert all(event.request_id for _, event in [*own[4:], *other])
    assert other[-1][1].request_id == "abc"
    assert {event.address for _, event in [*own, *other]} == {"127.0.0.1"}


def events_by(site: Site, organization_id: str) -> list[tuple[str, AuditEvent]]:
    """What an organisation's audit log tells of the Viewer, the newest last."""
    with site.app.app_context():
        query = select(AuditEvent).where(
            AuditEvent.organization_id == organization_id, AuditEvent.actor_id == site.viewer.id
        )
        return [(event.action, event) for event in db.session.scalars(query.order_by(AuditEvent.id))]


def test_nobody_ends_the_session_of_somebody_else(site: Site) -> None:
    admin = site.visit()
    with site.app.app_context():
        theirs = people.sessions_of(site.admin)[0].id
    assert site.visit(site.viewer).send(f"{PATH}/sessions/{theirs}/end").status_code == 404
    admin.page("/")


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", "Chrome on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        ("Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36", "Samsung Internet on Android"),
        ("curl/8.5.0", "curl"),
        ("Mozilla/5.0 (something new)", "Unknown browser"),
        ("<b>", "Unknown browser"),
        ("", "Unknown browser"),
    ],
)  # fmt: skip
def test_a_browser_is_told_by_what_it_says_of_itself(user_agent: str, words: str) -> None:
    assert in_words(user_agent) == words
