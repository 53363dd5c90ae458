"""/runs/<id>: the review."""

from __future__ import annotations

import re
from collections.abc import Callable

from server.dashboard import outline
from server.database import writing
from server.models import Run, Snapshot
from tests.dashboard.conftest import Site


def _listed(page: str) -> list[str]:
    return [name.strip() for name in re.findall(r'class="snapshot-name"><span>([^<]+)', page)]


def _shown(page: str) -> list[str]:
    return re.findall(r'<figure class="pane" data-kind="(\w+)"', page)


def test_the_verdict_comes_first_then_where_it_comes_from(site: Site, text_of: Callable[[str], str]) -> None:
    run = site.changed(
        2,
        commit_sha="c" * 40,
        pull_request=7,
        base_branch="release",
        workflow_url="https://github.com/acme/site/actions/runs/1",
    )
    page = site.visit().page(f"/runs/{run}")
    text = text_of(page)
    assert "2 of 3 pages changed , failed Tea Shop #2 feature/x cccccccc PR #7" in text
    assert "Compared with feature/x, else release, else main" in text
    assert "Triggered with command line" in text
    for link in ("actions/runs/1", "pull/7", f"commit/{'c' * 40}"):
        assert f'href="https://github.com/acme/site/{link}"' in page
    assert page.index("2 of 3 pages changed</span>") < page.index("feature/x")


def test_a_run_with_errors_names_its_changes_too(site: Site, text_of: Callable[[str], str]) -> None:
    site.run({"Home": "white", "Prices": "white"})
    both = site.run({"Home": "error", "Prices": "white/red"}, "feature/x")
    alone = site.run({"Home": "error", "Prices": "white"}, "feature/x")
    visitor = site.visit()
    assert "1 of 2 pages could not be judged, 1 changed" in text_of(visitor.page(f"/runs/{both}"))
    assert "1 of 2 pages could not be judged ," in text_of(visitor.page(f"/runs/{alone}"))


def test_the_worst_is_first_and_selected(site: Site) -> None:
    site.run({"A": "white", "B": "white", "C": "white", "D": "white"})
    looks = {"A": "white", "B": "error", "C": "white/red", "D": "white/red", "E": "white"}
    run = site.run(looks, "feature/x")
    changed = site.snapshots(run)[2]
    visitor = site.visit()
    page = visitor.page(f"/runs/{run}")
    assert _listed(page) == ["C", "D", "B", "E", "A"]
    assert _shown(page) == ["baseline", "actual", "difference"]
    visitor.send(f"/snapshots/{changed.id}/approve")
    assert _listed(visitor.page(f"/runs/{run}")) == ["D", "B", "E", "C", "A"]


def test_the_facts_tell_what_it_was_compared_with(site: Site, text_of: Callable[[str], str]) -> None:
    run = site.changed(1, commit_sha="c" * 40)
    visitor = site.visit()
    text = text_of(visitor.page(f"/runs/{run}"))
    assert "1000 pixels differ in one region." in text
    assert "1\u202f000 px, 5.21\u202f%" in visitor.page(f"/runs/{run}")
    assert "First picture of this page" in text
    assert "HTTP 200" in text
    visitor.send(f"/snapshots/{site.snapshots(run)[0].id}/approve")
    again = site.run({"Page000": "white/blue"}, "feature/x")
    text = text_of(visitor.page(f"/runs/{again}"))
    assert "Baseline feature/x cccccccc Approved by ada@acme.example" in text


def test_a_new_page_shows_only_the_actual_image(site: Site) -> None:
    run = site.run({"Home": "white"}, "feature/x")
    page = site.visit().page(f"/runs/{run}")
    assert _shown(page) == ["actual"]
    assert "data-mode-button" not in page
    assert 'id="approve"' in page


def test_an_error_tells_what_happened_instead_of_images(site: Site, text_of: Callable[[str], str]) -> None:
    run = site.run({"Home": "error"})
    page = site.visit().page(f"/runs/{run}")
    assert _shown(page) == []
    assert "The page took more than 60 s. timeout" in text_of(page)
    assert 'id="approve"' not in page


def test_change_regions_and_ignored_boxes_are_drawn_in_image_pixels(site: Site) -> None:
    run = site.changed(1)
    with site.app.app_context(), writing() as session:
        session.get_one(Snapshot, site.snapshots(run)[0].id).ignore = [[1, 2, 30, 40]]
    page = site.visit().page(f"/runs/{run}")
    assert 'viewBox="0 0 160 120"' in page
    assert '<rect class="region" x="38" y="28" width="54" height="24"/>' in page
    assert '<rect class="ignored" x="1" y="2" width="30" height="40"' in page


def test_the_list_is_filtered_and_keeps_the_filter(site: Site) -> None:
    run = site.changed(2)
    visitor = site.visit()
    assert _listed(visitor.page(f"/runs/{run}?show=unchanged")) == ["Same"]
    page = visitor.page(f"/runs/{run}?show=changed")
    assert _listed(page) == ["Page000", "Page001"]
    assert f"/runs/{run}?snapshot={site.snapshots(run)[1].id}&amp;show=changed" in page
    assert "is “errors”" in visitor.page(f"/runs/{run}?show=error")


def test_a_long_list_comes_in_pages_around_the_selected_one(site: Site) -> None:
    count = outline.ROWS_PER_PAGE + 5
    run = site.trigger("big", [f"Page{n:03}" for n in range(count)])
    last = site.snapshots(run)[-1]
    visitor = site.visit()
    assert len(_listed(visitor.page(f"/runs/{run}"))) == outline.ROWS_PER_PAGE
    page = visitor.page(f"/runs/{run}?snapshot={last.id}")
    assert _listed(page)[-1] == last.test
    assert len(_listed(page)) == 5
    assert f"{count} / {count}" in page


def test_the_same_change_is_one_line_that_opens_to_its_pages(
    site: Site, text_of: Callable[[str], str]
) -> None:
    run = site.changed(4)
    site.group(run, 3)
    first, second, third, alone, _ = site.snapshots(run)
    visitor = site.visit()
    page = visitor.page(f"/runs/{run}")
    assert _listed(page) == ["Page000", "Page003", "Same"]
    text = text_of(page)
    assert "Page000 + 2 alike" in text
    assert "The same change is on 3 pages : Page000, Page001, Page002." in text
    assert f"snapshot={alone.id}" in re.findall(r'id="after"[^>]+', page)[0]
    opened = visitor.page(f"/runs/{run}?snapshot={first.id}&open=1")
    assert _listed(opened) == ["Page000", "Page000", "Page001", "Page002", "Page003", "Same"]
    assert f"snapshot={second.id}&amp;open=1" in re.findall(r'id="after"[^>]+', opened)[0]
    last = visitor.page(f"/runs/{run}?snapshot={third.id}&open=1")
    assert f'snapshot={alone.id}"' in re.findall(r'id="after"[^>]+', last)[0]


def test_the_largest_change_is_first(site: Site) -> None:
    run = site.changed(3)
    with site.app.app_context(), writing() as session:
        session.get_one(Snapshot, site.snapshots(run)[2].id).ratio = 0.7
    assert _listed(site.visit().page(f"/runs/{run}"))[0] == "Page002"


def test_filters_are_combined_in_the_address_and_kept_by_every_link_and_form(site: Site) -> None:
    run = site.changed(4)
    with site.app.app_context(), writing() as session:
        for snapshot in site.snapshots(run)[:3]:
            session.get_one(Snapshot, snapshot.id).viewport = "phone"
        session.get_one(Snapshot, site.snapshots(run)[1].id).flaky = True
        session.get_one(Snapshot, site.snapshots(run)[3].id).flaky = True
    visitor = site.visit()
    assert _listed(visitor.page(f"/runs/{run}?viewport=phone")) == ["Page000", "Page001", "Page002"]
    assert _listed(visitor.page(f"/runs/{run}?viewport=phone&flaky=1")) == ["Page001"]
    assert _listed(visitor.page(f"/runs/{run}?name=PAGE00&show=changed&viewport=desktop")) == ["Page003"]
    page = visitor.page(f"/runs/{run}?viewport=phone&flaky=1")
    links = re.findall(r'class="row"[^>]+href="([^"]+)"', page)
    assert all(link.endswith("&amp;viewport=phone&amp;flaky=1") for link in links)
    answer = visitor.send(
        f"/snapshots/{site.snapshots(run)[1].id}/approve", {"viewport": "phone", "flaky": "1"}
    )
    assert answer.location.endswith("&viewport=phone&flaky=1")
    assert "fits the filter" in visitor.page(f"/runs/{run}?name=nothing")


def test_the_notice_of_another_browser_is_the_first_fact(site: Site) -> None:
    run = site.changed(1)
    with site.app.app_context(), writing() as session:
        session.get_one(Run, run).notice = "Captured with Chromium 149, the baselines with 148."
    facts = site.visit().page(f"/runs/{run}").partition('<aside class="facts"')[2]
    assert 0 < facts.index("the baselines with 148") < facts.index('id="subject"')


def test_the_number_of_queries_does_not_grow_with_the_snapshots(site: Site) -> None:
    counts = []
    visitor = site.visit()
    for size in (2, 30):
        run = site.changed(size, f"branch-{size}")
        site.group(run, size - 1)
        with site.queries() as seen:
            visitor.page(f"/runs/{run}")
        counts.append(len([s for s in seen if s.startswith("SELECT")]))
    assert counts[0] == counts[1] <= 7


def test_a_running_run_asks_for_its_progress_until_it_is_over(
    site: Site, text_of: Callable[[str], str]
) -> None:
    looks = {"A": "white", "B": "white", "C": "white"}
    run = site.run(looks, judged=2)
    visitor = site.visit()
    page = visitor.page(f"/runs/{run}")
    assert "2 of 3 pages captured" in text_of(page)
    assert re.search(r"about [0-9.]+ s left", text_of(page))
    assert f"/runs/{run}/progress?done=2" in page
    assert visitor.get(f"/runs/{run}/progress?done=2&status=RUNNING").status_code == 204
    news = visitor.page(f"/runs/{run}/progress?done=1&status=RUNNING")
    assert 'hx-swap-oob="true"' in news
    assert _listed(news) == ["A", "B", "C"]
    visitor.send(f"/runs/{run}/cancel")
    over = visitor.page(f"/runs/{run}/progress?done=2&status=RUNNING")
    assert "Cancelled after 2 of 3 pages" in text_of(over)
    assert "hx-trigger" not in over


def test_a_page_that_was_waited_for_is_shown_once_it_is_captured(site: Site) -> None:
    run = site.run({"A": "white", "B": "white"}, judged=1)
    captured, waiting = site.snapshots(run)
    visitor = site.visit()
    assert "waiting=1" in visitor.page(f"/runs/{run}?snapshot={waiting.id}")
    assert "waiting=1" not in visitor.page(f"/runs/{run}?snapshot={captured.id}")
    progress = f"/runs/{run}/progress?done=0&status=RUNNING&waiting=1&snapshot="
    assert "HX-Refresh" not in visitor.get(progress + waiting.id).headers
    assert visitor.get(progress + captured.id).headers["HX-Refresh"] == "true"


def test_cancelling_a_run_says_by_whom_and_twice_is_told(site: Site, text_of: Callable[[str], str]) -> None:
    run = site.trigger()
    visitor = site.visit(site.editor)
    assert visitor.send(f"/runs/{run}/cancel").location == f"/runs/{run}"
    assert site.get(Run, run).status == "CANCELLED"
    text = text_of(visitor.page(f"/runs/{run}"))
    assert "Cancelled after 0 of 2 pages" in text
    assert "Cancelled by ed@acme.example" in text
    visitor.send(f"/runs/{run}/cancel")
    assert "was over already" in visitor.page(f"/runs/{run}")


def test_approving_all_asks_with_the_number_first(site: Site, text_of: Callable[[str], str]) -> None:
    run = site.changed(3)
    visitor = site.visit(site.editor)
    visitor.send(f"/snapshots/{site.snapshots(run)[0].id}/reject")
    assert "Approve all 2 changes?" in text_of(visitor.page(f"/runs/{run}/approve"))
    assert visitor.send(f"/runs/{run}/approve").location == f"/runs/{run}"
    assert [s.review for s in site.snapshots(run)[:3]] == ["REJECTED", "APPROVED", "APPROVED"]
    assert "Approved 2 changes." in visitor.page(f"/runs/{run}")


def test_rejecting_all_keeps_the_reason(site: Site) -> None:
    run = site.changed(2)
    site.visit().send(f"/runs/{run}/reject", {"reason": "Wrong font"})
    assert {s.review_reason for s in site.snapshots(run)[:2]} == {"Wrong font"}
    assert site.get(Run, run).status == "FAILED"


def test_a_snapshot_of_another_run_is_not_there(site: Site) -> None:
    one, two = site.run({"Home": "white"}), site.run({"Home": "white"})
    answer = site.visit().get(f"/runs/{one}?snapshot={site.snapshots(two)[0].id}")
    assert answer.status_code == 404


def test_hostile_addresses_and_names_stay_text(site: Site) -> None:
    run = site.run({"Home": "white"}, '"><script>x</script>', workflow_url="javascript:alert(1)")
    page = site.visit().page(f"/runs/{run}")
    assert "<script>x" not in page
    assert "javascript:" not in page
