"""`/api/projects`, their suites and baselines."""

from __future__ import annotations

from tests.conftest import SUITE, World


def test_a_project_is_made_read_changed_and_deleted(world: World) -> None:
    api = world.api()
    made = api.post("/projects", {"name": "Tea & Cake", "suite": SUITE})
    assert made.status_code == 201
    assert (made.json["slug"], made.json["defaultBranch"], made.json["hasSuite"]) == (
        "tea-cake",
        "main",
        True,
    )
    changed = api.call("PATCH", "/projects/tea-cake", json={"defaultBranch": "trunk"})
    assert changed.json["defaultBranch"] == "trunk"
    assert api.get(f"/projects/{made.json['id']}").json["defaultBranch"] == "trunk"
    assert api.call("DELETE", "/projects/tea-cake").status_code == 204
    assert api.get("/projects/tea-cake").status_code == 404
    actions = [event["action"] for event in api.get("/audit-logs").json["items"]]
    assert actions[:3] == ["PROJECT_DELETE", "PROJECT_UPDATE", "PROJECT_CREATE"]


def test_a_projects_retention_is_set_and_left_to_the_server_again(world: World) -> None:
    api = world.api()
    names = ("keepPassingDays", "keepFailingDays", "keepRunsDays")

    def shown() -> list[int | None]:
        project = api.get("/projects/shop").json
        return [project[name] for name in names]

    assert shown() == [None, None, None]
    for body, days in (
        ({"keepPassingDays": 3, "keepFailingDays": 0}, [3, 0, None]),
        ({"keepRunsDays": 90}, [3, 0, 90]),
        ({"keepPassingDays": None, "name": None}, [None, 0, 90]),
    ):
        assert api.call("PATCH", "/projects/shop", json=body).status_code == 200
        assert shown() == days
    event = api.get("/audit-logs").json["items"][0]
    assert event["metadata"] == {"before": {"keep_passing_days": 3}, "after": {"keep_passing_days": None}}
    for wrong in (-1, 1.5, "7", True, 36_501):
        assert api.call("PATCH", "/projects/shop", json={"keepRunsDays": wrong}).status_code == 422
    assert shown() == [None, 0, 90]


def test_runs_do_not_change_when_a_project_was_changed(world: World) -> None:
    api = world.api()
    before = api.get("/projects/shop").json["updatedAt"]
    world.trigger()
    assert api.get("/projects/shop").json["updatedAt"] == before
    assert api.call("PATCH", "/projects/shop", json={"name": "Tea"}).json["updatedAt"] > before


def test_a_taken_slug_is_409(world: World) -> None:
    assert world.api().post("/projects", {"name": "shop"}).status_code == 409


def test_a_project_with_an_unfinished_run_is_not_deleted(world: World) -> None:
    run, api = world.trigger(), world.api()
    assert api.call("DELETE", "/projects/shop").status_code == 409
    api.post(f"/runs/{run['id']}/cancel")
    assert api.call("DELETE", "/projects/shop").status_code == 204
    assert api.get(f"/runs/{run['id']}").status_code == 404


def test_a_suite_is_stored_as_sent(world: World) -> None:
    api = world.api()
    text = SUITE + "# a comment that stays ✓\n"
    assert api.call("PUT", "/projects/shop/suite", data=text.encode()).status_code == 200
    answer = api.get("/projects/shop/suite")
    assert (answer.text, answer.mimetype) == (text, "application/yaml")


def test_a_suite_that_cannot_be_used_is_422_with_line_and_column_and_not_stored(world: World) -> None:
    api = world.api()
    for body in (b"tests:\n  - nme: Home\n", b"", b"\xff", b"tests: [", b"x" * 1_000_001):
        answer = api.call("PUT", "/projects/shop/suite", data=body)
        assert answer.status_code == 422, body[:20]
    answer = api.call("PUT", "/projects/shop/suite", data="tests:\n  - nme: Home\n    path: /\n")
    assert any(p["line"] == 2 and "name" in p["message"] for p in answer.json["error"]["details"])
    assert api.get("/projects/shop/suite").text == SUITE


def test_baselines_of_a_branch_without_any_are_an_empty_list(world: World) -> None:
    answer = world.api("baseline:read").get("/projects/shop/baselines?branch=none")
    assert answer.json == {"items": [], "nextCursor": None}
