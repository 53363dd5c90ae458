"""Approving, rejecting and undoing through the API: one snapshot, some, a group, a run."""

from __future__ import annotations

import pytest

from server.access.audit import CLI
from server.runs import projects
from tests.conftest import Api, World
from tests.runs.history import History
from tests.runs.pages import Pages


@pytest.fixture
def api(world: World) -> Api:
    return world.api("run:read", "baseline:read", "baseline:write")


@pytest.fixture
def changed(world: World) -> str:
    """The ID of a snapshot that changed and that nobody has reviewed."""
    history = History(world)
    history.run("main", "white")
    return history.run("main", "black").id


def test_a_snapshot_is_approved_taken_back_rejected_and_undone(api: Api, changed: str) -> None:
    path = f"/snapshots/{changed}"
    approved = api.post(f"{path}/approve", {"reason": "as designed"}).json
    assert (approved["review"], approved["reviewReason"], approved["reviewedBy"]) == (
        "APPROVED",
        "as designed",
        "a key",
    )
    told = api.post(f"{path}/reject")
    assert told.status_code == 409
    error = told.json["error"]
    assert error["code"] == "already-reviewed"
    assert error["message"].startswith("a key has approved this snapshot (")
    assert {name: error["details"][name] for name in ("review", "reviewedBy", "reason")} == {
        "review": "APPROVED", "reviewedBy": "a key", "reason": "as designed"
    }  # fmt: skip
    assert error["details"]["reviewedAt"] == approved["reviewedAt"]
    assert api.post(f"{path}/reject", {"seen": "APPROVED"}).json["review"] == "REJECTED"
    assert api.post(f"{path}/approve").status_code == 409
    assert api.post(f"{path}/undo", {"seen": "APPROVED"}).status_code == 409
    undone = api.post(f"{path}/undo").json
    assert [undone[name] for name in ("review", "reviewedBy", "reviewedAt", "reviewReason")] == [
        "UNREVIEWED", None, None, None
    ]  # fmt: skip
    assert api.get(f"/runs/{undone['runId']}").json["status"] == "FAILED"


def test_a_newer_baseline_is_named_where_an_approval_cannot_be_taken_back(world: World, api: Api) -> None:
    history = History(world)
    history.run("main", "white")
    first, second = history.run("main", "black"), history.run("main", "red")
    history.approve(first)
    history.approve(second)
    told = api.post(f"/snapshots/{first.id}/undo")
    assert (told.status_code, told.json["error"]["code"]) == (409, "newer-baseline")
    assert told.json["error"]["details"]["runId"] == second.run_id


def test_a_snapshot_tells_its_baseline(world: World, api: Api) -> None:
    history = History(world)
    history.finish(history.begin("main", commit="aaa"), "white")
    history.approve(history.finish(history.begin("main", commit="bbb"), "black"))
    snapshot = api.get(f"/snapshots/{history.run('feature', 'red').id}").json
    baseline = snapshot["baseline"]
    assert {name: baseline[name] for name in ("branch", "commitSha", "approvedBy", "source")} == {
        "branch": "main", "commitSha": "bbb", "approvedBy": "command line", "source": "APPROVED"
    }  # fmt: skip
    assert baseline["createdAt"] == baseline["approvedAt"]
    assert api.get(f"/baselines/{baseline['id']}").json["createdAt"] == baseline["createdAt"]
    listed = api.get(f"/runs/{snapshot['runId']}/snapshots").json["items"]
    assert listed == [{name: value for name, value in snapshot.items() if name != "evidence"}]


def test_a_group_is_told_and_approved_as_one(world: World, api: Api) -> None:
    pages, red = Pages(world), "red"
    pages.run("main", a=None, bb=None, ccc=None)
    run = pages.run("feature", a=(10, 10, red), bb=(90, 40, red), ccc=(10, 10, "blue"))
    listed = {item["test"]: item for item in api.get(f"/runs/{run.id}/snapshots").json["items"]}
    assert [listed[test]["groupSize"] for test in ("a", "bb", "ccc")] == [2, 2, 1]
    group = listed["a"]["group"]
    assert group == listed["bb"]["group"] == api.get(f"/snapshots/{listed['a']['id']}").json["group"]
    done = api.post(f"/runs/{run.id}/approve", {"group": group, "reason": "new header"}).json
    assert done["reviewed"] == {"decided": 2, "settled": 0, "otherwise": 0}
    assert (done["id"], done["status"]) == (run.id, "FAILED")
    done = api.post(f"/runs/{run.id}/approve", {"snapshots": [listed["ccc"]["id"]]}).json
    assert (done["reviewed"]["decided"], done["status"]) == (1, "PASSED")
    done = api.post(f"/runs/{run.id}/reject").json
    assert (done["reviewed"], done["status"]) == ({"decided": 0, "settled": 0, "otherwise": 3}, "PASSED")


def test_other_runs_of_the_branch_are_settled_and_counted(world: World, api: Api) -> None:
    history = History(world)
    history.run("main", "white")
    first, second = history.run("feature", "blue"), history.run("feature", "blue")
    done = api.post(f"/runs/{first.run_id}/approve").json
    assert done["reviewed"] == {"decided": 1, "settled": 1, "otherwise": 0}
    assert api.get(f"/runs/{second.run_id}").json["status"] == "PASSED"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"snapshots": ["0" * 24]}, 404),
        ({"group": "0" * 64}, 404),
        ({"snapshots": []}, 422),
        ({"snapshots": ["nothing\0"]}, 422),
        ({"snapshots": "0" * 24}, 422),
        ({"group": "red"}, 422),
        ({"unknown": 1, "group": None, "snapshots": None, "reason": None}, 200),
    ],
)
def test_what_a_run_does_not_have_or_cannot_have_is_refused(
    api: Api, changed: str, body: dict[str, object], status: int
) -> None:
    run_id = api.get(f"/snapshots/{changed}").json["runId"]
    assert api.post(f"/runs/{run_id}/approve", body).status_code == status
    assert api.get(f"/snapshots/{changed}").json["review"] == ("APPROVED" if status == 200 else "UNREVIEWED")


def test_a_snapshot_of_another_run_is_not_reviewed_with_this_one(
    world: World, api: Api, changed: str
) -> None:
    other = History(world).run("main", "red")
    assert api.post(f"/runs/{other.run_id}/approve", {"snapshots": [changed]}).status_code == 404
    assert api.get(f"/snapshots/{changed}").json["review"] == "UNREVIEWED"


def test_all_that_is_wrong_with_an_optional_body_is_told(api: Api, changed: str) -> None:
    wrong = api.post(f"/snapshots/{changed}/approve", {"seen": "x", "reason": 5}).json["error"]
    assert {detail["field"] for detail in wrong["details"]} == {"seen", "reason"}
    assert api.post(f"/snapshots/{changed}/approve", []).json["error"]["details"] == [
        {"field": None, "message": "The body must be a JSON object."}
    ]


def test_what_seen_may_be(api: Api, changed: str) -> None:
    for wrong in ("approved", 1, None):
        assert api.post(f"/snapshots/{changed}/approve", {"seen": wrong}).status_code == 422
    assert api.post(f"/snapshots/{changed}/undo", {"seen": None}).status_code == 200


def test_branch_patterns_are_set_shown_and_emptied(world: World) -> None:
    api = world.api()
    assert api.get("/projects/shop").json["autoApprove"] == []
    changed = api.call("PATCH", "/projects/shop", json={"autoApprove": ["renovate/*", " deps-? "]})
    assert changed.json["autoApprove"] == ["renovate/*", "deps-?"]
    event = api.get("/audit-logs").json["items"][0]
    assert event["metadata"] == {
        "before": {"auto_approve": []},
        "after": {"auto_approve": ["renovate/*", "deps-?"]},
    }
    for wrong in ("renovate/*", [""], ["x" * 256], [1], ["a"] * 51):
        assert api.call("PATCH", "/projects/shop", json={"autoApprove": wrong}).status_code == 422
    assert api.call("PATCH", "/projects/shop", json={"autoApprove": None}).json["autoApprove"] != []
    assert api.call("PATCH", "/projects/shop", json={"autoApprove": []}).json["autoApprove"] == []


def test_what_a_pattern_approved_says_so(world: World, api: Api) -> None:
    projects.change(world.shop, CLI, auto_approve=["renovate/*"])
    history = History(world)
    history.run("main", "white")
    snapshot = api.get(f"/snapshots/{history.run('renovate/x', 'red').id}").json
    assert (snapshot["review"], snapshot["reviewedBy"]) == ("APPROVED", "auto-approve")
    (baseline,) = api.get("/projects/shop/baselines?branch=renovate/x").json["items"]
    assert (baseline["source"], baseline["approvedBy"], baseline["current"]) == ("AUTO", "auto-approve", True)
