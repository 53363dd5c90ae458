"""/api/baselines: the history of a page, and going back in it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Api, World
from tests.runs.history import ONE_TEST, History


@pytest.fixture
def history(world: World) -> History:
    """Main was white, then black, then red; the red one was taken back."""
    history = History(world)
    history.finish(history.begin("main", commit="aaa"), "white")
    history.approve(history.run("main", "black"))
    red = history.run("main", "red")
    history.approve(red)
    history.undo(red)
    return history


@pytest.fixture
def api(world: World) -> Api:
    return world.api("baseline:read", "baseline:write")


def current(api: Api, branch: str = "main") -> dict[str, Any]:
    (baseline,) = api.get(f"/projects/shop/baselines?branch={branch}").json["items"]
    return baseline


def test_the_history_of_a_baseline_is_told_latest_first_page_by_page(history: History, api: Api) -> None:
    now = current(api)
    assert now["current"] is True
    items = api.get(f"/baselines/{now['id']}/history").json["items"]
    assert [(item["source"], item["current"], item["endedWhy"]) for item in items] == [
        ("APPROVED", False, "TAKEN_BACK"), ("APPROVED", True, None), ("NEW", False, None)
    ]  # fmt: skip
    assert [item["endedAt"] is None for item in items] == [False, True, True]
    assert items[1] == now
    for item in items:
        assert api.get(f"/baselines/{item['id']}").json == item
        assert api.get(f"/baselines/{item['id']}/history").json["items"] == items
    first = api.get(f"/baselines/{now['id']}/history?limit=2").json
    second = api.get(f"/baselines/{now['id']}/history?limit=2&cursor={first['nextCursor']}").json
    assert (first["items"] + second["items"], second["nextCursor"]) == (items, None)


def test_an_older_one_is_restored_once(history: History, api: Api) -> None:
    now = current(api)
    first = api.get(f"/baselines/{now['id']}/history").json["items"][-1]
    answer = api.post(f"/baselines/{first['id']}/restore")
    assert answer.status_code == 201
    restored = answer.json
    assert restored == current(api)
    assert (restored["source"], restored["approvedBy"], restored["sha256"]) == (
        "RESTORED",
        "a key",
        first["sha256"],
    )
    assert (restored["commitSha"], restored["runId"]) == ("aaa", first["runId"])
    again = api.post(f"/baselines/{first['id']}/restore")
    assert (again.status_code, again.json["error"]["code"]) == (409, "baseline-current")


def test_the_history_goes_on_under_a_tests_new_name(history: History, api: Api) -> None:
    old = current(api)
    renamed = ONE_TEST.replace("name: Home", "name: Start, was: Home")
    history.approve(history.run("main", "green", suite=renamed))
    new = current(api)
    items = api.get(f"/baselines/{old['id']}/history").json["items"]
    assert items == api.get(f"/baselines/{new['id']}/history").json["items"]
    assert [item["test"] for item in items] == ["Start", "Home", "Home", "Home"]
    assert [item["current"] for item in items] == [True, False, False, False]


def test_the_baselines_of_a_branch_are_listed_newest_first_and_page_by_page(world: World, api: Api) -> None:
    history = History(world)
    history.run("main", "white")
    history.run("main", "white", suite=ONE_TEST.replace("Home", "Prices"))
    items = api.get("/projects/shop/baselines").json["items"]
    assert {item["test"] for item in items} == {"Home", "Prices"}
    assert items == sorted(items, key=lambda item: item["id"], reverse=True)
    first = api.get("/projects/shop/baselines?limit=1").json
    second = api.get(f"/projects/shop/baselines?limit=1&cursor={first['nextCursor']}").json
    assert (first["items"] + second["items"], second["nextCursor"]) == (items, None)


def test_a_name_that_another_test_has_taken_is_that_tests(history: History, api: Api) -> None:
    history.approve(
        history.run("main", "green", suite=ONE_TEST.replace("name: Home", "name: Start, was: Home"))
    )
    history.approve(history.run("main", "blue"))  # `was` is gone, and a new page is called Home
    rows = api.get("/projects/shop/baselines").json["items"]
    assert [row["test"] for row in rows] == ["Home", "Start"]
    items = api.get(f"/baselines/{rows[0]['id']}/history").json["items"]
    assert "Start" not in [item["test"] for item in items]
