"""/projects/<slug>/health: pass rate, durations, waiting times and pages that pass only on retry."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from server.dashboard.health import Plot
from server.database import writing
from server.models import Run, Snapshot
from tests.dashboard.conftest import Site

PAGE = "/projects/tea-shop/health"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _run(site: Site, look: str, waited_s: float, took_s: float, branch: str = "main", flaky: str = "") -> str:
    """A run that waited and took so long; the test named `flaky` passed on retry."""
    run = site.run({"Home": look, "Prices": "white"}, branch)
    started = START + timedelta(seconds=waited_s)
    times = {"created_at": START, "started_at": started, "finished_at": started + timedelta(seconds=took_s)}
    with site.app.app_context(), writing() as session:
        session.execute(update(Run).where(Run.id == run).values(flaky=1 if flaky else 0, **times))
        session.execute(
            update(Snapshot).where(Snapshot.run_id == run, Snapshot.test == flaky).values(flaky=True)
        )
    return run


def test_the_pass_rate_is_of_runs_with_a_verdict(site: Site, text_of: Callable[[str], str]) -> None:
    for look in ("white", "white", "white/red", "error"):
        _run(site, look, 1, 10)
    site.trigger()
    page = site.visit(site.viewer).page(PAGE)
    assert "Pass rate 50 % 2 of the last 4 runs passed" in text_of(page).replace("\u202f", " ")
    assert re.findall(r'title="#(\d+) main: (\w+)"', page) == [
        ("1", "passed"),
        ("2", "passed"),
        ("3", "failed"),
        ("4", "error"),
    ]


def test_durations_and_waiting_times_are_drawn_to_scale(site: Site, text_of: Callable[[str], str]) -> None:
    for waited, took in ((2, 50), (4, 100), (6, 25)):
        _run(site, "white", waited, took)
    page = site.visit().page(PAGE)
    took, waited = (
        [float(height) for height in re.findall(r'<rect[^>]*height="([\d.]+)"', plot)]
        for plot in page.split("<figure")[1:]
    )
    assert took == [50, 100, 25]
    assert waited == [33.3, 66.7, 100]
    assert "Duration median 50 s" in text_of(page)
    assert "Waiting time median 4.0 s" in text_of(page)
    assert "style=" not in page


@pytest.mark.parametrize(
    ("seconds", "within"),
    [([7], 7), ([1, 9], 9), (range(1, 20), 19), (range(1, 21), 19), (range(1, 22), 20), (range(1, 51), 48)],
)
def test_95_percent_are_within_what_it_says(seconds: Sequence[float], within: float) -> None:
    plot = Plot.of([Run()] * len(seconds), seconds)
    assert plot is not None
    assert plot.p95 == within


def test_it_is_of_one_branch_where_asked(site: Site, text_of: Callable[[str], str]) -> None:
    _run(site, "white", 1, 10)
    _run(site, "white/red", 1, 10, "feature/x")
    assert "0 of the last 1 run passed" in text_of(site.visit().page(f"{PAGE}?branch=feature/x"))
    assert "No verdict on nowhere" in site.visit().page(f"{PAGE}?branch=nowhere")


def test_the_pages_that_most_often_passed_on_retry_come_first(
    site: Site, text_of: Callable[[str], str]
) -> None:
    for flaky in ("Prices", "Home", "Home"):
        _run(site, "white", 1, 10, flaky=flaky)
    page = site.visit().page(PAGE)
    said = text_of(page)
    assert "Times in 3 runs" in said
    rows = re.findall(r'<th scope="row">.*?</tr>', page, re.S)
    assert [re.findall(r">(Home|Prices)<|>(\d)<", row) for row in rows] == [
        [("Home", ""), ("", "2")],
        [("Prices", ""), ("", "1")],
    ]
    assert "/image.png" in rows[0]  # the picture over its name


def test_only_the_last_fifty_count_and_queries_do_not_grow(site: Site, text_of: Callable[[str], str]) -> None:
    _run(site, "white", 1, 10)
    visitor = site.visit()
    with site.queries() as few:
        visitor.page(PAGE)
    for _ in range(50):
        _run(site, "white", 1, 10)
    with site.queries() as many:
        page = visitor.page(PAGE)
    assert "50 of the last 50 runs passed" in text_of(page)
    assert len(many) == len(few)


def test_without_a_verdict_it_says_what_will_be_here(site: Site) -> None:
    assert "No run has ended yet" in site.visit().page(PAGE)
