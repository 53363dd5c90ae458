"""The secrets on a project's settings: for Admins, written and never shown; and what a run's page tells."""

from __future__ import annotations

from sqlalchemy import update

from server.access.audit import CLI
from server.database import db, writing
from server.models import ProjectSecret, Run, Snapshot
from server.runs import secrets
from tests.dashboard.conftest import Site

SETTINGS = "/projects/tea-shop/settings"
VALUE = "hunter2-Zebra"
FORM = {"secret": "KEY", "value": VALUE, "origins": "https://x.example  http://y.example:8080/"}


def stored(site: Site) -> list[ProjectSecret]:
    with site.app.app_context():
        return list(secrets.listed(site.shop))


def test_an_admin_stores_replaces_and_deletes_a_secret_and_no_page_shows_it(site: Site) -> None:
    admin = site.visit(site.admin)
    answers = [admin.send("/projects/tea-shop/secrets", FORM)]
    (row,) = stored(site)
    assert (row.name, row.origins) == ("KEY", ["https://x.example", "http://y.example:8080"])
    answers.append(admin.get(SETTINGS))
    assert "http://y.example:8080" in answers[-1].text
    answers.append(admin.send("/projects/tea-shop/secrets", FORM | {"origins": "https://z.example"}))
    assert stored(site)[0].origins == ["https://z.example"]
    answers.append(admin.get("/settings/audit-logs"))
    answers.append(admin.send("/projects/tea-shop/secrets", FORM | {"origins": "nowhere"}))
    assert answers[-1].status_code == 422
    assert "is no origin" in answers[-1].text
    assert 'value="nowhere"' in answers[-1].text
    assert all(VALUE not in answer.text for answer in answers)
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert admin.send("/projects/tea-shop/secrets/delete", {"secret": "KEY"}).status_code == 303
    assert stored(site) == []
    assert [action for action in site.actions() if "SECRET" in action] == [
        "SECRET_SET",
        "SECRET_SET",
        "SECRET_DELETE",
    ]


def test_an_editor_sees_no_secrets_and_stores_none(site: Site) -> None:
    with site.app.app_context():
        secrets.put(site.shop, "KEY", VALUE, ["https://x.example"], CLI, site.settings)
    editor = site.visit(site.editor)
    assert "https://x.example" not in editor.page(SETTINGS)
    assert editor.send("/projects/tea-shop/secrets", FORM).status_code == 403
    assert editor.send("/projects/tea-shop/secrets/delete", {"secret": "KEY"}).status_code == 403
    assert len(stored(site)) == 1


def test_another_organisations_secrets_are_not_there(site: Site) -> None:
    assert site.visit(site.stranger).send("/projects/tea-shop/secrets", FORM).status_code == 404
    assert stored(site) == []


def test_a_runs_page_tells_its_notice_and_what_the_browser_reported(site: Site) -> None:
    run = site.run({"Home": "error"})
    evidence = {
        "httpStatus": 200, "redirects": [], "failedRequests": [{"url": "http://a/x", "reason": "HTTP 404"}],
        "consoleErrors": ["<b>oh</b>"], "pageErrors": ["ReferenceError: boom"], "timingMs": {"navigation": 12},
    }  # fmt: skip
    with site.app.app_context(), writing() as session:
        session.execute(update(Run).values(notice="Captured with Chromium 157, the baselines with 156."))
        session.execute(update(Snapshot).values(evidence=evidence))
        db.session.expire_all()
    page = site.visit(site.viewer).page(f"/runs/{run}")
    assert page.index("Captured with Chromium 157") < page.index('id="subject"')
    assert "The browser reported 3 problems" in page
    for said in ("&lt;b&gt;oh&lt;/b&gt;", "ReferenceError: boom", "http://a/x: HTTP 404", "navigation 12 ms"):
        assert said in page
