"""/settings/organization, and the switch between organisations."""

from __future__ import annotations

import re

import pytest

from server.access import people
from server.models import Organization
from tests.dashboard.conftest import Site

PATH = "/settings/organization"


def test_an_admin_renames_it_and_the_bar_says_so(site: Site) -> None:
    visitor = site.visit()
    assert visitor.send(PATH, {"name": " Acme Ltd "}).location == PATH
    assert 'title="Organisation">Acme Ltd<' in visitor.page("/")
    assert "ORGANIZATION_UPDATE" in site.actions()


@pytest.mark.parametrize(
    ("name", "said", "status"),
    [("", "on one line", 422), ("Other", "already", 409), ("x" * 201, "1 to 200", 422)],
)
def test_a_name_that_cannot_be_used_is_told_and_kept_in_the_form(
    site: Site, name: str, said: str, status: int
) -> None:
    answer = site.visit().send(PATH, {"name": name})
    assert answer.status_code == status
    assert said in answer.text
    assert f'value="{name}"' in answer.text
    assert site.get(Organization, site.organization.id).name == "Acme"


def test_who_belongs_to_one_organisation_has_no_menu(site: Site) -> None:
    assert "/switch" not in site.visit().page("/")


def test_who_belongs_to_several_switches_in_the_bar(site: Site) -> None:
    visitor = site.visit()
    site.join(site.other, site.admin, people.VIEWER)
    there = re.search(
        r'action="(/organizations/\w+/switch)".*?<button[^>]*>([^<]+)<', visitor.page("/"), re.S
    )
    assert there
    assert there[2] == "Other"
    assert visitor.send(there[1]).location == "/"
    page = visitor.page("/")
    assert "Secret plans" in page
    assert "Tea Shop" not in page
    assert visitor.get("/settings/api-keys").status_code == 403
    assert visitor.send(f"/organizations/{site.organization.id}/switch").status_code == 303
    assert "Tea Shop" in visitor.page("/")


def test_nobody_switches_to_where_they_do_not_belong(site: Site) -> None:
    visitor = site.visit()
    assert visitor.send(f"/organizations/{site.other.id}/switch").status_code == 404
    assert "Tea Shop" in visitor.page("/")
