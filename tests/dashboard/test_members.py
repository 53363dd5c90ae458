"""/settings/members: roles, removing, leaving, and the reset links that Admins make."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from server.access import passwords, people
from server.models import Membership
from tests.dashboard.conftest import PASSWORD, Site

PATH = "/settings/members"
NEW = "staple orange window 7"


def _role(site: Site, user_id: str) -> str | None:
    found = site.get(Membership, (site.organization.id, user_id))
    return found.role if found else None


def test_everybody_sees_who_is_a_member_with_which_role(site: Site, text_of: Callable[[str], str]) -> None:
    page = site.visit(site.viewer).page(PATH)
    text = text_of(page)
    for told in ("ada ada@acme.example Admin", "ed ed@acme.example Editor", "vi you vi@acme.example Viewer"):
        assert told in text
    assert "eve@other.example" not in page
    assert "<select" not in page
    assert "Invite" not in text


def test_a_role_is_changed_for_the_very_next_request(site: Site) -> None:
    editor = site.visit(site.editor)
    editor.page("/projects/new")
    answer = site.visit().send(f"{PATH}/{site.editor.id}/role", {"role": "Viewer"})
    assert (answer.status_code, answer.location) == (303, PATH)
    assert editor.get("/projects/new").status_code == 403
    assert "MEMBER_ROLE_CHANGE" in site.actions()


def test_a_role_that_does_not_exist_is_refused(site: Site) -> None:
    assert site.visit().send(f"{PATH}/{site.editor.id}/role", {"role": "Owner"}).status_code == 422
    assert _role(site, site.editor.id) == "Editor"


def test_removing_asks_first_and_counts_from_the_next_request_on(site: Site) -> None:
    editor, admin = site.visit(site.editor), site.visit()
    address = f"{PATH}/{site.editor.id}/remove"
    assert "Remove ed?" in admin.page(address)
    editor.page("/")
    assert admin.send(address).location == PATH
    assert editor.get("/").location == "/login"
    assert "ed@acme.example" not in admin.page(PATH)


@pytest.mark.parametrize(
    ("path", "form"), [("{id}/role", {"role": "Viewer"}), ("leave", {}), ("leave", {"role": "x"})]
)
def test_the_last_admin_stays_and_is_told_why(site: Site, path: str, form: dict[str, str]) -> None:
    visitor = site.visit()
    visitor.client.environ_base["HTTP_REFERER"] = f"http://localhost{PATH}"
    answer = visitor.send(f"{PATH}/{path.format(id=site.admin.id)}", form)
    assert answer.location == PATH
    assert "The last Admin of an organisation stays" in visitor.page(PATH)
    assert _role(site, site.admin.id) == "Admin"


def test_who_leaves_their_only_organisation_is_logged_out(site: Site) -> None:
    visitor = site.visit(site.editor)
    assert "you are logged out" in visitor.page(f"{PATH}/leave")
    assert visitor.send(f"{PATH}/leave").location == "/login"
    assert "You have left Acme." in visitor.page("/login")
    assert _role(site, site.editor.id) is None


def test_who_leaves_one_of_several_goes_on_in_another(site: Site) -> None:
    visitor = site.visit(site.editor)
    site.join(site.other, site.editor, people.VIEWER)
    assert visitor.send(f"{PATH}/leave").location == "/"
    assert "Secret plans" in visitor.page("/")
    assert "MEMBER_LEAVE" in site.actions()


def test_an_admin_is_led_to_leaving_instead_of_removing_themselves(site: Site) -> None:
    assert site.visit().get(f"{PATH}/{site.admin.id}/remove").location == f"{PATH}/leave"


def test_a_reset_link_is_shown_once_works_once_and_is_audited(site: Site) -> None:
    admin, viewer = site.visit(), site.visit(site.viewer)
    address = f"{PATH}/{site.viewer.id}/reset-link"
    assert "/password/reset/" not in admin.page(address)
    answer = admin.send(address)
    assert answer.headers["Cache-Control"] == "no-store"
    link = re.search(r"http://localhost(/password/reset/[\w-]{43})<", answer.text)
    assert link
    assert site.actions()[-1] == "PASSWORD_RESET_LINK"
    for path in (PATH, "/settings/audit-logs"):
        assert link[1] not in admin.page(path)
    anonymous = site.anonymous()
    assert anonymous.send(link[1], {"password": NEW}, page=link[1]).location == "/login"
    assert viewer.get("/").location == "/login"
    with site.app.app_context():
        assert passwords.check("vi@acme.example", NEW, "127.0.0.1") is not None
    assert anonymous.get(link[1]).status_code == 404


def test_no_link_is_made_for_one_whose_account_opens_other_organisations(site: Site) -> None:
    site.join(site.other, site.viewer, people.VIEWER)
    answer = site.visit().send(f"{PATH}/{site.viewer.id}/reset-link")
    assert answer.status_code == 409
    assert "belongs to other organisations too" in answer.text
    assert "/password/reset/" not in answer.text
    assert "PASSWORD_RESET_LINK" not in site.actions()


def test_who_joins_elsewhere_makes_a_link_worthless_that_was_made_before(site: Site) -> None:
    address = f"{PATH}/{site.viewer.id}/reset-link"
    link = re.search(r"(/password/reset/[\w-]{43})<", site.visit().send(address).text)
    assert link
    eve, viewer = site.visit(site.stranger), site.visit(site.viewer)
    invited = eve.send("/settings/invitations", {"email": "vi@acme.example", "role": "Viewer"})
    invitation = re.search(r"(/invitations/[\w-]{43})<", invited.text)
    assert invitation
    assert viewer.send(invitation[1]).location == "/"
    assert site.anonymous().get(link[1]).status_code == 404
    with site.app.app_context():
        assert passwords.check("vi@acme.example", PASSWORD, "127.0.0.1") is not None
