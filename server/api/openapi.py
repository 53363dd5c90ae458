"""The OpenAPI document: what APIFlask derives from the routes, and what all of them share."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask
from flask import Flask
from pydantic import BaseModel

from server.access.scopes import ROUTES
from server.api.texts import NO_NUL
from server.runs import secrets

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
    "414": "The address is longer than 8 KiB.",
    "422": "The request cannot be used as it is; `details` lists what is wrong.",
    "429": "Too many requests; `Retry-After` says when to try again.",
}
SECONDS = {"schema": {"type": "integer", "minimum": 0}}
HEADERS: dict[str, dict[str, Any]] = {
    "401": {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}},
    "429": {
        "Retry-After": {**SECONDS, "required": True, "description": "Seconds until the limit starts anew."}
    },
}
HTML = {
    "text/html": {"schema": {"type": "string"}}
}  # what gunicorn refuses by itself, before the API sees it


def binary(*content_types: str, description: str) -> Any:
    """The answer of a route that is no JSON, for APIFlask's `doc`."""
    return {200: {"description": description, "content": {kind: {} for kind in content_types}}}


def yaml_body(description: str) -> dict[str, Any]:
    """A body that is YAML text, for APIFlask's `doc(extensions=…)`."""
    content = {"schema": {"type": "string", "minLength": 1}}
    kinds = ("application/yaml", "text/yaml", "text/plain")
    return {
        "requestBody": {
            "required": True,
            "description": description,
            "content": dict.fromkeys(kinds, content),
        }
    }


def optional_json(shape: type[BaseModel]) -> dict[str, Any]:
    """A body that may be left out, for APIFlask's `doc(extensions=…)`."""
    schema = shape.model_json_schema(by_alias=True)
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": schema}}}}


def header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """A request header, for APIFlask's `doc(extensions=…)`."""
    return {
        "x-headers": [
            {
                "name": name,
                "in": "header",
                "required": False,
                "description": description,
                "schema": {"type": "string", **schema},
            }
        ]
    }


def describe(app: Flask) -> None:
    """Completes the document that `/api/openapi.json` answers."""
    assert isinstance(app, APIFlask)
    app.config["SECURITY_SCHEMES"] = {
        "ApiKey": {"type": "http", "scheme": "bearer", "description": "An API key: `vts_…`."}
    }

    @app.spec_processor
    def complete(document: dict[Any, Any] | str) -> dict[Any, Any] | str:
        assert isinstance(document, dict)
        spec = _each_model_once(document)
        components = spec.setdefault("components", {})
        components.setdefault("schemas", {})["Error"] = ERROR
        components["responses"] = {
            status: {
                "description": said,
                "headers": HEADERS.get(status, {}),
                "content": HTML
                if status == "414"
                else {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            }
            for status, said in ANSWERS.items()
        }
        resources = dict.fromkeys(map(resource_of, spec["paths"]))
        spec["tags"] = [{"name": name} for name in resources]
        for path, operations in spec["paths"].items():
            for method, operation in operations.items():
                operation["tags"] = [resource_of(path)]
                _name_body(operation, components["schemas"])
                _complete_operation(operation, method, path)
        return spec


def _each_model_once(spec: dict[str, Any]) -> dict[str, Any]:
    """Gives nested models, which APIFlask calls `RunPage.RunOut`, their own name, and every reference with them."""
    schemas = spec["components"]["schemas"]
    plain = {name: name.rpartition(".")[2] for name in schemas}
    spec["components"]["schemas"] = {
        plain[name]: schemas[name] for name in sorted(plain, key=plain.__getitem__)
    }

    def rename(node: Any) -> Any:
        if isinstance(node, list):
            return [rename(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {
            key: f"#/components/schemas/{value.rpartition('/')[2].rpartition('.')[2]}"
            if key == "$ref" and isinstance(value, str) and "/schemas/" in value
            else rename(value)
            for key, value in node.items()
        }

    renamed: dict[str, Any] = rename(spec)
    return renamed


def _name_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Puts the model of an optional body (`optional_json`) among the others."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("title")
    if name:
        schemas[name] = content["schema"]
        content["schema"] = {"$ref": f"#/components/schemas/{name}"}


def resource_of(path: str) -> str:
    """The resource that a path is about: `runs` for `/api/runs/{run_id}/cancel`."""
    return path.split("/")[2]


def _complete_operation(operation: dict[str, Any], method: str, path: str) -> None:
    scope = _scope(method, path)
    answers = operation["responses"]
    for status in ANSWERS:
        answers.pop(status, None)
    parameters = operation.setdefault("parameters", [])
    parameters += operation.pop("x-headers", [])
    for parameter in parameters:
        _tell_as_text(parameter)
    if "requestBody" in operation:
        operation["requestBody"].setdefault("required", True)
    for status in _refusals(operation, method, scope):
        answers[status] = {"$ref": f"#/components/responses/{status}"}
    if scope:
        operation["security"] = [{"ApiKey": []}]
        operation["x-scope"] = scope
        note = f"Needs the scope `{scope}`."
        operation["description"] = f"{operation.get('description', '')}\n\n{note}".strip()


def _refusals(operation: dict[str, Any], method: str, scope: str | None) -> list[str]:
    """The statuses of `ANSWERS` that an operation may answer."""
    body = operation.get("requestBody", {}).get("content", {})
    places = {(p["in"], p["name"]) for p in operation["parameters"]}
    has_path = any(place == "path" for place, _ in places)
    has_text = any(place in ("query", "header") for place, _ in places)
    facts = {
        "400": "application/json" in body,
        "401": scope,
        "403": scope,
        "404": has_path or ("query", "projectId") in places or (body and scope),
        "409": method != "get" and scope,
        "413": body,
        "414": has_path or has_text,
        "422": body or has_text,
        "429": True,
    }
    return [status for status, answered in facts.items() if answered]


def _tell_as_text(parameter: dict[str, Any]) -> None:
    """Parameters are left out or text: what pydantic tells of `None` means the former, there is no null in a URL."""
    schema = parameter["schema"]
    options = [option for option in schema.pop("anyOf", []) if option.get("type") != "null"]
    schema.update(*options)
    if schema.get("default", "") is None:
        del schema["default"]
    if (parameter["in"], parameter["name"]) == ("path", "kind"):
        schema["enum"] = ["actual", "baseline", "difference"]
    elif (parameter["in"], parameter["name"]) == ("path", "name"):
        schema["pattern"] = f"^{secrets.NAME.pattern}$"
    elif (
        parameter["in"] == "query"
        and schema.get("type") == "string"
        and not schema.keys() & {"enum", "format"}
    ):
        schema.setdefault("pattern", NO_NUL)


def _scope(method: str, path: str) -> str | None:
    """The scope of an operation of the document, where paths are written `/runs/{run_id}`."""
    for (verb, rule), scope in ROUTES.items():
        if verb.lower() == method and _as_openapi(rule) == path:
            return scope
    return None


def _as_openapi(rule: str) -> str:
    parts = rule.replace("<any(actual, baseline, difference):kind>", "{kind}")
    return parts.replace("<", "{").replace(">", "}")
