"""The OpenAPI document: what APIFlask derives from the routes, and what all of them share."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask
from flask import Flask

from server.access.scopes import ROUTES

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string", "description": "For programs."},
                "message": {"type": "string", "description": "For people: what happened and what to do."},
                "details": {"description": "For both; null where there is nothing to add."},
            },
        }
    },
}
ANSWERS = {
    "400": "The request is malformed.",
    "401": "No key, or one that is unknown, revoked or expired.",
    "403": "The key lacks the scope, or is limited to projects.",
    "404": "No such thing in the key's organisation.",
    "409": "It contradicts what has already happened.",
    "413": "The body is too large.",
    "422": "The request cannot be used as it is; `details` lists what is wrong.",
}


def binary(content_type: str, description: str) -> Any:
    """The answer of a route that is no JSON, for APIFlask's `doc`."""
    return {200: {"description": description, "content": {content_type: {}}}}


def describe(app: Flask) -> None:
    """Completes the document that `/api/openapi.json` answers."""
    assert isinstance(app, APIFlask)
    app.config["SECURITY_SCHEMES"] = {
        "ApiKey": {"type": "http", "scheme": "bearer", "description": "An API key: `vts_…`."}
    }

    @app.spec_processor
    def complete(document: dict[Any, Any] | str) -> dict[Any, Any] | str:
        assert isinstance(document, dict)
        spec = document
        components = spec.setdefault("components", {})
        components.setdefault("schemas", {})["Error"] = ERROR
        components["responses"] = {
            status: {
                "description": said,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            }
            for status, said in ANSWERS.items()
        }
        resources = dict.fromkeys(map(resource_of, spec["paths"]))
        spec["tags"] = [{"name": name} for name in resources]
        for path, operations in spec["paths"].items():
            for method, operation in operations.items():
                if method != "parameters":
                    operation["tags"] = [resource_of(path)]
                    _complete_operation(
                        operation, _scope(method, path), has_path="{" in path, writes=method != "get"
                    )
        return spec


def resource_of(path: str) -> str:
    """The resource that a path is about: `runs` for `/api/runs/{run_id}/cancel`."""
    return path.split("/")[2]


def _complete_operation(
    operation: dict[str, Any], scope: str | None, *, has_path: bool, writes: bool
) -> None:
    answers = operation["responses"]
    for status in ANSWERS:
        answers.pop(status, None)
    needed = ["401", "403"] if scope else []
    needed += ["404"] if has_path or "requestBody" in operation else []
    needed += ["409"] if writes else []
    needed += ["400", "413", "422"] if "requestBody" in operation else []
    needed += ["422"] if any(p.get("in") == "query" for p in operation.get("parameters", [])) else []
    for status in needed:
        answers[status] = {"$ref": f"#/components/responses/{status}"}
    if scope:
        operation["security"] = [{"ApiKey": []}]
        operation["x-scope"] = scope
        note = f"Needs the scope `{scope}`."
        operation["description"] = f"{operation.get('description', '')}\n\n{note}".strip()


def _scope(method: str, path: str) -> str | None:
    """The scope of an operation of the document, where paths are written `/runs/{run_id}`."""
    for (verb, rule), scope in ROUTES.items():
        if verb.lower() == method and _as_openapi(rule) == path:
            return scope
    return None


def _as_openapi(rule: str) -> str:
    parts = rule.replace("<any(actual, baseline, difference):kind>", "{kind}")
    return parts.replace("<", "{").replace(">", "}")
