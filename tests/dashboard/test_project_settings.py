"""/projects/<slug>/settings, and what pages say of images that retention has removed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import update

from server.database import now, writing
from server.models import Image, Project, Run
from server.runs import retention
from tests.dashboard.conftest import Site

FORM = {"name": "Tea Shop", "default_branch": "main"}


def collect_after(site: Site, days: int) -> None:
    """All runs are so many days old, and retention comes by."""
    old = now() - timedelta(days=days)
    with site.app.app_context():
        with writing() as session:
            session.execute(update(Run).where(Run.finished_at.is_not(None)).values(finished_at=old))
            session.execute(update(Image).values(used_at=old))
        retention.collect(site.store, site.settings)


def test_days_are_saved_and_emptied_again(site: Site) -> None:
    visitor, path = site.visit(site.editor), "/projects/tea-shop/settings"
    page = visitor.page(path)
    assert [f'placeholder="{days}"' in page for days in (7, 30, 400)] == [True] * 3
    days = {"keep_passing_days": "3", "keep_failing_days": "0", "keep_runs_days": ""}
    assert visitor.send(path, FORM | days).status_code == 303
    project = site.get(Project, site.shop.id)
    assert (project.keep_passing_days, project.keep_failing_days, project.keep_runs_days) == (3, 0, None)
    assert 'value="3"' in visitor.page(path)
    visitor.send(path, FORM | {"name": "Tea"})
    project = site.get(Project, site.shop.id)
    assert (project.name, project.keep_passing_days, project.keep_failing_days) == ("Tea", None, None)
    assert site.actions()[-2:] == ["PROJECT_UPDATE", "PROJECT_UPDATE"]


def test_settings_that_somebody_else_has_changed_meanwhile_are_not_undone(site: Site) -> None:
    visitor, path = site.visit(site.editor), "/projects/tea-shop/settings"
    visitor.send(path, FORM | {"auto_approve": "renovate/*"})
    seen = visitor.page(path).partition('name="seen" value="')[2].partition('"')[0]
    site.visit().send(path, FORM)  # the Admin takes the pattern out
    older = FORM | {"name": "Tea", "auto_approve": "renovate/*", "seen": seen}
    answer = visitor.send(path, older)
    assert answer.status_code == 409
    assert "saved this meanwhile" in answer.text
    assert 'value="Tea"' in answer.text
    project = site.get(Project, site.shop.id)
    assert (project.name, project.auto_approve) == ("Tea Shop", [])


def test_what_is_no_number_of_days_stays_in_the_form_and_nothing_is_saved(site: Site) -> None:
    visitor, path = site.visit(site.editor), "/projects/tea-shop/settings"
    for wrong in ("-1", "soon", "1.5", "36501", "9999999999999999999999", "²"):
        answer = visitor.send(path, FORM | {"keep_runs_days": wrong, "keep_passing_days": "5"})
        assert answer.status_code == 422
        assert f'value="{wrong}"' in answer.text
        assert "whole number of days" in answer.text
    assert site.get(Project, site.shop.id).keep_passing_days is None


def test_a_page_whose_image_is_gone_says_why_and_what_to_change(
    site: Site, text_of: Callable[[str], str]
) -> None:
    run = site.changed(1, branch="feature/x")
    editor = site.visit(site.editor)
    editor.send(f"/runs/{run}/reject")
    collect_after(site, 31)
    page = editor.page(f"/runs/{run}")
    said = text_of(page)
    assert "Retention removed this image: Tea Shop keeps images of failing runs for 30 days." in said
    assert 'href="/projects/tea-shop/settings#retention"' in page
    assert "Approve" not in said
    assert "<img" not in page
    assert "Keep the images of later runs" not in text_of(site.visit(site.viewer).page(f"/runs/{run}"))
    changed = site.snapshots(run)[0]
    for kind in ("actual", "difference"):
        answer = editor.get(f"/snapshots/{changed.id}/{kind}.png")
        assert (answer.status_code, "keeps images of failing runs" in answer.text) == (404, True)
    assert editor.get(f"/snapshots/{changed.id}/baseline.png").status_code == 200


def test_a_change_that_nobody_has_reviewed_is_shown_and_approved_however_old(site: Site) -> None:
    run = site.changed(1, branch="feature/x")
    collect_after(site, 300)
    editor = site.visit(site.editor)
    page = editor.page(f"/runs/{run}")
    assert page.count('draggable="false"') == 3
    snapshot = site.snapshots(run)[0]
    assert editor.get(f"/snapshots/{snapshot.id}/actual.png").status_code == 200
    assert editor.send(f"/snapshots/{snapshot.id}/approve").status_code == 303


def test_new_pages_without_an_image_are_no_longer_to_be_reviewed(site: Site) -> None:
    run = site.run({"Home": "white", "Prices": "black"}, "feature/x")
    editor = site.visit(site.editor)
    assert "Approve all 2" in editor.page(f"/runs/{run}")
    collect_after(site, 8)
    assert "Approve all" not in editor.page(f"/runs/{run}")
    assert "No snapshot of this run is" in editor.page(f"/runs/{run}?show=review")


def test_a_run_of_which_only_its_row_is_left_says_so(site: Site) -> None:
    run = site.run({"Home": "white"})
    collect_after(site, 401)
    assert "Retention has removed the pages of this run" in site.visit().page(f"/runs/{run}")


def test_patterns_of_branches_are_approved_without_a_person(site: Site) -> None:
    visitor, path = site.visit(site.editor), "/projects/tea-shop/settings"
    visitor.send(path, FORM | {"auto_approve": " renovate/* \r\n\r\ndependabot/*"})
    assert site.get(Project, site.shop.id).auto_approve == ["renovate/*", "dependabot/*"]
    assert "renovate/*\ndependabot/*</textarea>" in visitor.page(path)
    too_many = visitor.send(path, FORM | {"auto_approve": "a\n" * 51})
    assert (too_many.status_code, "up to 50 patterns" in too_many.text) == (422, True)
    assert len(site.get(Project, site.shop.id).auto_approve) == 2
    visitor.send(path, FORM | {"auto_approve": ""})
    assert site.get(Project, site.shop.id).auto_approve == []


def test_an_admin_deletes_a_project_after_a_question_but_not_while_it_runs(
    site: Site, text_of: Callable[[str], str]
) -> None:
    visitor, path = site.visit(), "/projects/tea-shop/delete"
    run = site.trigger()
    assert "Its 1 run, baselines, suite and secrets are gone" in text_of(visitor.page(path))
    assert visitor.send(path).status_code == 409
    visitor.send(f"/runs/{run}/cancel")
    assert visitor.send(path).location == "/"
    assert "Tea Shop is deleted." in visitor.page("/")
    assert site.get(Project, site.shop.id) is None
    assert site.actions()[-1] == "PROJECT_DELETE"
