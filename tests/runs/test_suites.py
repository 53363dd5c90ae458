"""The suites of runs: each text once, as long as a run refers to it, and where a test stands in it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from server.access.audit import CLI
from server.database import db, now, writing
from server.images import open_store
from server.models import Run, SuiteVersion
from server.problems import NotFound
from server.runs import projects, retention, suites, trigger
from server.runs.trigger import Trigger
from tests.conftest import SUITE, World

OTHER = SUITE.replace("Prices", "Offers")


def run_of(world: World, suite: str | None = None) -> Run:
    return trigger.trigger(world.shop, Trigger("main", "abc1234", suite=suite), CLI, 1000)[0]


def kept() -> list[str]:
    return list(db.session.scalars(select(SuiteVersion.text).order_by(SuiteVersion.created_at)))


def collect(world: World) -> None:
    settings = world.app.extensions["retestr"]
    retention.collect(open_store(settings.storage), settings)
    db.session.expire_all()


def test_runs_of_the_same_suite_share_one_text(world: World) -> None:
    own, sent, again = run_of(world), run_of(world, OTHER), run_of(world, OTHER)
    assert kept() == [SUITE, OTHER]
    assert [suites.of(run).text for run in (own, sent, again)] == [SUITE, OTHER, OTHER]
    assert [run.suite_sent for run in (own, sent, again)] == [False, True, True]


def test_a_suite_changed_later_leaves_what_earlier_runs_had(world: World) -> None:
    run = run_of(world)
    projects.change(world.shop, CLI, suite=OTHER)
    assert suites.of(run).text == SUITE
    changed = run_of(world)
    assert suites.of(changed).text == OTHER
    assert suites.since(changed) == world.shop.suite_changed_at


def test_other_settings_do_not_make_the_suite_look_newer(world: World) -> None:
    before = world.shop.suite_changed_at
    projects.change(world.shop, CLI, name="Other name")
    assert world.shop.suite_changed_at == before


def test_two_projects_with_the_same_suite_keep_their_own(world: World) -> None:
    run_of(world)
    other = world.project(world.other, "Theirs")
    trigger.trigger(other, Trigger("main"), CLI, 1000)
    assert kept() == [SUITE, SUITE]
    projects.change(other, CLI, name="Theirs still")
    with writing() as session:
        session.execute(update(Run).values(status="CANCELLED"))
    projects.remove(other, CLI)
    assert kept() == [SUITE]


def test_retention_drops_a_text_with_the_last_run_that_refers_to_it(world: World) -> None:
    gone, stays = run_of(world, OTHER).id, run_of(world).id
    with writing() as session:
        session.execute(update(Run).values(status="PASSED", finished_at=now()))
        old = now() - timedelta(days=1000)
        session.execute(update(Run).where(Run.id == gone).values(created_at=old, finished_at=old))
    collect(world)
    assert db.session.get(Run, gone) is None
    assert kept() == [
        SUITE,
        OTHER,
    ]  # a run that is being made may refer to it: not within a day of its last use
    with writing() as session:
        session.execute(update(SuiteVersion).values(used_at=now() - timedelta(days=2)))
    collect(world)
    assert kept() == [SUITE]
    assert suites.of(db.session.get_one(Run, stays)).text == SUITE


def test_a_run_from_before_suites_were_kept_says_so(world: World) -> None:
    run = run_of(world)
    with writing():
        run.suite_sha256 = None
    with pytest.raises(NotFound, match="before suites were kept"):
        suites.of(run)


def test_only_the_latest_run_on_the_default_branch_tells_where_suites_come_from(world: World) -> None:
    assert suites.last_sent(world.shop) is None
    sent = run_of(world, OTHER)
    trigger.trigger(world.shop, Trigger("feature/x"), CLI, 1000)
    found = suites.last_sent(world.shop)
    assert found is not None and found.id == sent.id
    run_of(world)
    assert suites.last_sent(world.shop) is None


@pytest.mark.parametrize(
    ("text", "test", "line"),
    [
        (SUITE, "Home", 6),
        (SUITE, "Prices", 7),
        (SUITE, "desktop", None),
        ('tests:\n  - path: /\n    name: "Café"\n', "Café", 3),
        ("tests:\n  - &a {name: One, path: /}\n  - [\n", "One", None),  # cannot be read
        ("tests: {name: One}\n", "One", None),
        ("- name: One\n", "One", None),
    ],
)
def test_the_line_that_names_a_test_is_found(text: str, test: str, line: int | None) -> None:
    assert suites.line_of(text, test) == line
