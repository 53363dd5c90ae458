"""The OpenAPI document and the page made from it."""

from __future__ import annotations

import json
import re

from openapi_spec_validator import validate

from server.access.scopes import ROUTES
from tests.conftest import World


def test_the_document_is_valid_openapi_31(world: World) -> None:
    document = world.api().get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_the_document_has_every_route_with_its_scope(world: World) -> None:
    document = world.api().get("/openapi.json").json
    told = {
        (method.upper(), operation.get("x-scope"))
        for operations in document["paths"].values()
        for method, operation in operations.items()
    }
    count = sum(len(operations) for operations in document["paths"].values())
    assert count == len(ROUTES) - 1  # all but the document itself
    assert told == {(method, scope) for (method, rule), scope in ROUTES.items() if "openapi" not in rule}


def test_each_model_stands_once_under_its_own_name_and_every_reference_leads_somewhere(world: World) -> None:
    document = world.api().get("/openapi.json").json
    schemas = document["components"]["schemas"]
    assert not [name for name in schemas if not name.isalnum()]
    assert {"RunOut", "RunPage", "Counts", "ReviewIn", "RotateIn", "Error"} <= set(schemas)
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in schemas


def test_a_body_of_yaml_an_optional_body_and_a_limit_are_told(world: World) -> None:
    paths = world.api().get("/openapi.json").json["paths"]
    assert "application/yaml" in paths["/api/projects/{project_id}/suite"]["put"]["requestBody"]["content"]
    assert paths["/api/runs/{run_id}/approve"]["post"]["requestBody"]["required"] is False
    assert paths["/api/runs"]["post"]["requestBody"]["required"] is True
    for operations in paths.values():
        for operation in operations.values():
            assert "429" in operation["responses"]


def test_members_are_accepted_under_the_names_that_the_document_tells_and_no_others(world: World) -> None:
    api = world.api()
    assert api.post("/runs", {"project_id": "shop", "branch": "main"}).status_code == 422
    assert (
        api.post("/runs", {"projectId": "shop", "branch": "main", "base_url": "no address"}).status_code
        == 201
    )
    assert api.get("/runs?project_id=nowhere").status_code == 200
    assert api.get("/runs?projectId=nowhere").status_code == 404


def test_the_document_needs_no_key_and_is_the_same_from_request_to_request(world: World) -> None:
    client = world.app.test_client()
    assert client.get("/api/openapi.json").json == client.get("/api/openapi.json").json


def test_the_page_for_people_lists_every_route_without_scripts(world: World) -> None:
    page = world.app.test_client().get("/api/docs")
    assert page.status_code == 200
    document = world.api().get("/openapi.json").json
    for path in document["paths"]:
        assert path in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; ")
