"""`/api/runs`: what callers are promised."""

from __future__ import annotations

import pytest

from server.database import db
from server.models import Run, Snapshot
from tests.conftest import SUITE, World

MEMBERS = {
    "id", "projectId", "branch", "commitSha", "status", "url", "createdAt", "startedAt", "finishedAt", "counts",
}  # fmt: skip


def test_triggering_answers_201_with_the_run_of_the_contract(world: World) -> None:
    run = world.trigger(commitSha="abc")
    assert set(run) >= MEMBERS
    assert run["status"] == "PENDING"
    assert run["projectId"] == world.shop.id
    assert run["commitSha"] == "abc"
    assert run["counts"] == {
        "total": 4, "done": 0, "unchanged": 0, "changed": 0, "new": 0, "error": 0, "flaky": 0,
    }  # fmt: skip
    assert run["createdAt"].endswith("Z")


def test_a_run_has_a_snapshot_for_each_test_and_viewport(world: World) -> None:
    run = world.trigger()
    items = world.api("run:read").get(f"/runs/{run['id']}/snapshots").json["items"]
    assert [(s["test"], s["viewport"]) for s in items] == [
        ("Home", "desktop"), ("Home", "phone"), ("Prices", "desktop"), ("Prices", "phone"),
    ]  # fmt: skip
    assert {s["status"] for s in items} == {"PENDING"}


def test_the_project_may_be_named_by_id_or_slug(world: World) -> None:
    assert world.trigger(projectId=world.shop.id)["projectId"] == world.trigger(projectId="shop")["projectId"]


def test_an_unknown_project_is_404_and_named(world: World) -> None:
    answer = world.api().post("/runs", {"projectId": "nowhere", "branch": "main"})
    assert answer.status_code == 404
    assert "nowhere" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"branch": "main"}, 422, "projectId"),
        ({"projectId": "shop"}, 422, "branch"),
        ({"projectId": "shop", "branch": ""}, 422, "branch"),
        ({"projectId": "shop", "branch": 7}, 422, "branch"),
        ({"projectId": "shop", "branch": "a\u0000b"}, 422, "control characters"),
        ({"projectId": "shop", "branch": "x" * 256}, 422, "branch"),
        ({"projectId": "shop", "branch": "main", "baseUrl": "file:///etc/passwd"}, 422, "http://"),
        ({"projectId": "shop", "branch": "main", "baseUrl": "https:// x"}, 422, "baseUrl must be"),
        ({"projectId": "shop", "branch": "main", "tests": ["Nope"]}, 422, "No test matches Nope"),
        ({"projectId": "shop", "branch": "main", "suite": "tests: 1"}, 422, "line 1, column 8"),
        ([], 422, "JSON object"),
    ],
)
def test_a_body_that_cannot_be_used_says_what_is_wrong_and_makes_no_run(
    world: World, body: object, status: int, says: str
) -> None:
    answer = world.api().post("/runs", body)
    assert answer.status_code == status
    assert says in answer.json["error"]["message"]
    assert db.session.query(Run).count() == 0


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN', b"null"])
def test_a_body_that_is_no_json_object_is_a_4xx_in_the_error_shape(world: World, body: bytes) -> None:
    answer = world.api().post("/runs", data=body, content_type="application/json")
    assert 400 <= answer.status_code < 500
    assert set(answer.json["error"]) == {"code", "message", "details"}


def test_a_body_of_10_mb_is_413(world: World) -> None:
    answer = world.api().post("/runs", data=b"x" * 10_000_000, content_type="application/json")
    assert answer.status_code == 413
    assert answer.json["error"]["code"] == "request-entity-too-large"


def test_unknown_members_are_ignored(world: World) -> None:
    assert world.trigger(someday="new")["status"] == "PENDING"


def test_an_empty_commit_is_none(world: World) -> None:
    assert world.trigger(commitSha="")["commitSha"] is None


def test_a_suite_that_comes_with_the_run_is_used_for_it_alone(world: World) -> None:
    run = world.trigger(suite=SUITE.replace("Prices", "Other"), tests=["Oth*"])
    items = world.api().get(f"/runs/{run['id']}/snapshots").json["items"]
    assert {s["test"] for s in items} == {"Other"}
    assert "Prices" in world.api().get("/projects/shop/suite").text


def test_an_address_too_long_for_a_row_is_refused_before_anything_is_stored(world: World) -> None:
    suite = f"baseUrl: https://x.example/{'b' * 1500}\ntests: [{{name: Home, path: /{'p' * 1500}}}]\n"
    body = {"projectId": "shop", "branch": "main", "suite": suite}
    answer = world.api("run:write").post("/runs", body)
    assert (answer.status_code, answer.json["error"]["code"]) == (422, "suite-invalid")
    assert "more than 2000 characters" in answer.json["error"]["message"]


def test_a_base_url_that_comes_with_the_run_replaces_the_suites(world: World) -> None:
    run = world.trigger(baseUrl="https://preview.example/app")
    items = world.api().get(f"/runs/{run['id']}/snapshots").json["items"]
    assert items[2]["pageUrl"] == "https://preview.example/app/prices"


def test_the_same_idempotency_key_and_body_return_the_first_run(world: World) -> None:
    api, body = world.api("run:write"), {"projectId": "shop", "branch": "main"}
    first = api.post("/runs", body, headers={"Idempotency-Key": "k1"})
    again = api.post("/runs", body, headers={"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json["id"] == again.json["id"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"


def test_the_same_idempotency_key_with_another_body_is_409(world: World) -> None:
    api = world.api("run:write")
    api.post("/runs", {"projectId": "shop", "branch": "main"}, headers={"Idempotency-Key": "k1"})
    answer = api.post("/runs", {"projectId": "shop", "branch": "dev"}, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 409


def test_runs_are_listed_newest_first_and_page_by_cursor(world: World) -> None:
    ids = [world.trigger(branch=f"b{i}")["id"] for i in range(5)]
    api, seen, cursor = world.api("run:read"), [], ""
    while cursor is not None:
        answer = api.get(f"/runs?limit=2{'&cursor=' + cursor if cursor else ''}").json
        seen += [run["id"] for run in answer["items"]]
        cursor = answer["nextCursor"]
    assert seen == ids[::-1]


def test_a_run_read_by_itself_is_told_as_in_the_list_and_at_its_trigger(world: World) -> None:
    run, api = (
        world.trigger(commitSha="abc", pullRequest=7, actor="ada", name="nightly"),
        world.api("run:read"),
    )
    assert api.get(f"/runs/{run['id']}").json == api.get("/runs").json["items"][0] == run
    assert api.get(f"/runs/{run['id']}", headers={"Accept": "*/*"}).mimetype == "application/json"


def test_runs_are_filtered_by_project_branch_and_status(world: World) -> None:
    world.trigger(branch="a")
    api = world.api()
    assert len(api.get("/runs?projectId=shop&branch=a&status=PENDING").json["items"]) == 1
    assert api.get("/runs?branch=b").json["items"] == []
    assert api.get("/runs?status=PASSED").json["items"] == []
    assert api.get("/runs?status=NONSENSE").status_code == 422
    assert api.get("/runs?projectId=nowhere").status_code == 404
    assert api.get("/runs?cursor=%00").status_code == 422


def test_an_unfinished_run_says_when_to_ask_again(world: World) -> None:
    run, api = world.trigger(), world.api("run:read", "run:write")
    assert int(api.get(f"/runs/{run['id']}").headers["Retry-After"]) >= 1
    api.post(f"/runs/{run['id']}/cancel")
    assert "Retry-After" not in api.get(f"/runs/{run['id']}").headers


def test_a_cancelled_run_stays_cancelled_and_so_do_its_snapshots(world: World) -> None:
    run, api = world.trigger(), world.api()
    assert api.post(f"/runs/{run['id']}/cancel").json["status"] == "CANCELLED"
    again = api.post(f"/runs/{run['id']}/cancel").json
    assert (again["status"], again["finishedAt"] is None) == ("CANCELLED", False)
    snapshots = api.get(f"/runs/{run['id']}/snapshots?status=CANCELLED").json["items"]
    assert {s["status"] for s in snapshots} == {"CANCELLED"}
    assert api.get(f"/runs/{run['id']}/snapshots?status=PENDING").json["items"] == []


def test_cancel_all_cancels_this_organisations_unfinished_runs_and_tells_how_many(world: World) -> None:
    theirs = world.project(world.other, "Theirs")
    other = world.api(organization=world.other)
    kept = other.post("/runs", {"projectId": theirs.slug, "branch": "main"}).json["id"]
    for _ in range(3):
        world.trigger()
    answer = world.api("run:write").post("/runs/cancel-all")
    assert (answer.status_code, answer.json) == (200, {"cancelled": 3})
    assert world.api("run:write").post("/runs/cancel-all").json == {"cancelled": 0}
    assert other.get(f"/runs/{kept}").json["status"] == "PENDING"


def test_another_organisations_run_is_404(world: World) -> None:
    run = world.trigger()
    stranger = world.api(organization=world.other)
    for method, path in (("GET", ""), ("GET", "/snapshots"), ("POST", "/cancel"), ("POST", "/approve")):
        assert stranger.call(method, f"/runs/{run['id']}{path}").status_code == 404


def test_runs_count_up_within_their_project(world: World) -> None:
    assert [world.trigger()["number"], world.trigger()["number"]] == [1, 2]


def test_ten_thousand_snapshots_are_one_run(world: World) -> None:
    tests = "\n".join(f"  - {{name: t{i}, path: /{i}}}" for i in range(5000))
    suite = SUITE[: SUITE.index("tests:")] + f"tests:\n{tests}\n"
    assert world.trigger(suite=suite)["counts"]["total"] == 10_000
    assert db.session.query(Snapshot).count() == 10_000


def test_the_suite_that_a_run_was_made_from_can_be_read(world: World) -> None:
    own, sent = world.trigger(), world.trigger(suite=SUITE.replace("Prices", "Other"))
    world.api().call("PUT", "/projects/shop/suite", data=SUITE.replace("Home", "Start"))
    reader = world.api("run:read")
    assert reader.get(f"/runs/{own['id']}/suite").text == SUITE
    answer = reader.get(f"/runs/{sent['id']}/suite")
    assert (answer.content_type, answer.text) == (
        "application/yaml; charset=utf-8",
        SUITE.replace("Prices", "Other"),
    )
    assert world.api(organization=world.other).get(f"/runs/{sent['id']}/suite").status_code == 404
