"""/projects/<slug>/baselines and /baselines/<id>: the gallery, a page's history, restoring."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import select, update

from server.access.audit import Actor
from server.dashboard import baselines as pages
from server.database import db, now, writing
from server.models import Baseline, Image, Snapshot
from server.runs import review
from tests.dashboard.conftest import Site, picture


def approve(site: Site, run_id: str, by: str = "grace@acme.example") -> None:
    with site.app.app_context():
        for snapshot in site.snapshots(run_id):
            if snapshot.status == "CHANGED":
                review.review_snapshot(
                    db.session.get_one(Snapshot, snapshot.id), "APPROVED", Actor("user", None, by)
                )


def _baselines(site: Site, branch: str = "main", test: str = "Home") -> list[Baseline]:
    with site.app.app_context():
        query = select(Baseline).where(Baseline.branch == branch, Baseline.test == test)
        return list(db.session.scalars(query.order_by(Baseline.id)))


def _history(site: Site) -> list[Baseline]:
    """Home's on main: white at first, then approved with a red box. The oldest first."""
    site.run({"Home": "white", "Prices": "white"}, commit_sha="a" * 40)
    approve(site, site.run({"Home": "white/red", "Prices": "white"}, commit_sha="b" * 40))
    return _baselines(site)


def test_the_gallery_shows_what_counts_on_a_branch(site: Site, text_of: Callable[[str], str]) -> None:
    old, new = _history(site)
    page = site.visit(site.viewer).page("/projects/tea-shop/baselines")
    assert f'src="/baselines/{new.id}/image.png"' in page
    assert f"/baselines/{old.id}" not in page
    assert "2 baselines of main" in text_of(page)
    assert "Approved by grace@acme.example" in page
    assert "First picture of this page" in page
    assert page.count('loading="lazy"') == page.count("<img")


def test_the_gallery_is_by_branch_and_says_what_a_branch_without_its_own_is_compared_with(
    site: Site, text_of: Callable[[str], str]
) -> None:
    _history(site)
    approve(site, site.run({"Home": "blue", "Prices": "white"}, "feature/blue"))
    page = text_of(site.visit().page("/projects/tea-shop/baselines?branch=feature/blue"))
    assert "1 baseline of feature/blue . Pages without one are compared with main" in page
    assert "Runs on nowhere are compared with main" in text_of(
        site.visit().page("/projects/tea-shop/baselines?branch=nowhere")
    )


def test_the_gallery_finds_tests_by_a_part_of_the_name(site: Site) -> None:
    _history(site)
    page = site.visit().page("/projects/tea-shop/baselines?q=pri")
    assert re.findall(r'gallery-name">([^<]+)', page) == ["Prices"]
    assert "No test matches" in site.visit().page("/projects/tea-shop/baselines?q=nothing")


def test_a_long_gallery_has_pages_and_as_many_queries_as_a_short_one(site: Site) -> None:
    def count(visit: str) -> int:
        with site.queries() as seen:
            visitor.page(visit)
        return len(seen)

    visitor = site.visit()
    site.run({"Home": "white"})
    few = count("/projects/tea-shop/baselines")
    site.run({f"Page {n:03}": "white" for n in range(pages.PER_PAGE)})
    assert count("/projects/tea-shop/baselines") == few
    first = visitor.page("/projects/tea-shop/baselines")
    link = re.search(r'rel="next" href="([^"]+)"', first)
    assert link
    second = visitor.page(link[1].replace("&amp;", "&"))
    names = [re.findall(r'gallery-name">([^<]+)', page) for page in (first, second)]
    assert [len(some) for some in names] == [pages.PER_PAGE, 1]
    assert len(set(names[0] + names[1])) == pages.PER_PAGE + 1


def test_a_history_tells_source_person_commit_and_run_the_latest_first(
    site: Site, text_of: Callable[[str], str]
) -> None:
    old, new = _history(site)
    page = site.visit().page(f"/baselines/{old.id}")
    said = text_of(page)
    latest = said.index("Approved by grace@acme.example current")
    assert latest < said.index("run #2 bbbbbbbb") < said.index("First picture of this page")
    assert "run #1 aaaaaaaa" in said
    assert f'href="/baselines/{old.id}/restore"' in page
    assert f'href="/baselines/{new.id}/restore"' not in page  # it counts already


def test_rolling_back_asks_and_then_makes_the_old_look_count(
    site: Site, text_of: Callable[[str], str]
) -> None:
    old, _ = _history(site)
    visitor = site.visit(site.editor)
    assert "Restore this baseline of Home?" in text_of(visitor.page(f"/baselines/{old.id}/restore"))
    answer = visitor.send(f"/baselines/{old.id}/restore")
    assert answer.status_code == 303
    page = text_of(visitor.page(answer.location))
    assert "Restored by ed@acme.example current" in page
    assert _baselines(site)[-1].image == old.image
    assert site.snapshots(site.run({"Home": "white", "Prices": "white"}))[0].status == "UNCHANGED"
    assert "BASELINE_RESTORE" in site.actions()


def test_what_looks_so_already_or_was_removed_cannot_be_rolled_back_to(site: Site) -> None:
    old, new = _history(site)
    visitor = site.visit()
    assert "look already" in visitor.send(f"/baselines/{new.id}/restore").text
    with site.app.app_context(), writing() as session:
        session.execute(update(Image).where(Image.sha256 == old.image).values(removed_at=now()))
    page = visitor.page(f"/baselines/{old.id}")
    assert "Removed by retention" in page
    assert f"/baselines/{old.id}/restore" not in page
    assert visitor.send(f"/baselines/{old.id}/restore").status_code == 409


def test_a_baselines_image_is_there_for_members(site: Site) -> None:
    old, _ = _history(site)
    assert site.visit(site.viewer).get(f"/baselines/{old.id}/image.png").data == picture("white")
