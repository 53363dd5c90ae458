"""/api/projects/ID/secrets: stored, listed without values, deleted."""

from __future__ import annotations

import pytest

from tests.conftest import World

VALUE = "hunter2-Zebra"
GOOD = {"value": VALUE, "origins": ["https://x.example"]}


def test_a_secret_is_stored_replaced_listed_and_deleted_and_never_told(world: World) -> None:
    api = world.api()
    path = "/projects/shop/secrets"
    answers = [api.call("PUT", f"{path}/KEY", json=GOOD)]
    assert answers[0].json["origins"] == ["https://x.example"]
    answers.append(api.call("PUT", f"{path}/KEY", json=GOOD | {"origins": ["http://y.example:80"]}))
    answers.append(api.get(path))
    (item,) = answers[-1].json["items"]
    assert set(item) == {"name", "origins", "createdBy", "updatedAt"}
    assert (item["name"], item["origins"], item["createdBy"]) == ("KEY", ["http://y.example"], "a key")
    assert api.call("DELETE", f"{path}/KEY").status_code == 204
    assert api.call("DELETE", f"{path}/KEY").status_code == 404
    assert api.get(path).json == {"items": [], "nextCursor": None}
    answers.append(api.get("/audit-logs"))
    assert [e["action"] for e in answers[-1].json["items"]][:3] == [
        "SECRET_DELETE",
        "SECRET_SET",
        "SECRET_SET",
    ]
    assert all(VALUE not in answer.text for answer in answers)


def test_secrets_are_listed_by_name_and_page_by_page(world: World) -> None:
    api, path = world.api(), "/projects/shop/secrets"
    for name in ("B", "a_1", "A"):
        assert api.call("PUT", f"{path}/{name}", json=GOOD).status_code == 200
    whole, seen, cursor = api.get(path).json, [], ""
    while cursor is not None:
        answer = api.get(f"{path}?limit=1{'&cursor=' + cursor if cursor else ''}").json
        seen += answer["items"]
        cursor = answer["nextCursor"]
    assert (seen, whole["nextCursor"]) == (whole["items"], None)
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("KEY", {}),
        ("KEY", {"value": VALUE}),
        ("KEY", GOOD | {"value": "abc"}),
        ("KEY", GOOD | {"origins": []}),
        ("KEY", GOOD | {"origins": ["x.example"]}),
        ("KEY", GOOD | {"origins": ["https://*.example"]}),
        ("a-b", GOOD),
    ],
)
def test_what_cannot_be_stored_is_refused_without_its_value(
    world: World, name: str, body: dict[str, object]
) -> None:
    answer = world.api().call("PUT", f"/projects/shop/secrets/{name}", json=body)
    assert answer.status_code == 422
    assert VALUE not in answer.text
    assert world.api().get("/projects/shop/secrets").json == {"items": [], "nextCursor": None}


def test_a_run_that_needs_an_unknown_secret_is_refused(world: World) -> None:
    suite = "baseUrl: http://x.example\nheaders: {X: '${{ secrets.KEY }}'}\ntests: [{name: a, path: /}]"
    answer = world.api("run:write").post("/runs", {"projectId": "shop", "branch": "main", "suite": suite})
    assert (answer.status_code, answer.json["error"]["code"]) == (422, "secret-unknown")
    assert "the secret KEY" in answer.json["error"]["message"]
