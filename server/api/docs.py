"""`/api/docs`: the OpenAPI document as a page for people, made on the server, without scripts."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, current_app, render_template, request
from markupsafe import Markup, escape

from server.access import limits
from server.access.scopes import SCOPES
from server.api.openapi import resource_of

POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

pages = Blueprint(
    "docs", __name__, template_folder="templates", static_folder="static", static_url_path="/api/static"
)


@pages.get("/api/docs")
def read_docs() -> str:
    """Every route with its scope, parameters, body, answers and a curl line."""
    spec: dict[str, Any] = current_app.spec  # type: ignore[attr-defined]
    return render_template(
        "api_docs.html", spec=spec, groups=routes_by_resource(spec), scopes=SCOPES, with_code=_with_code
    )


@pages.before_app_request
def slow_down() -> None:
    """The page and the document itself are open to everybody, as often as such requests may be made."""
    if request.endpoint in ("docs.read_docs", "openapi.spec"):
        limits.visit(request.remote_addr or "")


@pages.after_request
def seal(response: Response) -> Response:
    """The page needs its own styles, and nothing else of anybody."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _with_code(text: str | None) -> Markup:
    """A description, with what stands in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text or ""))))  # noqa: S704 - escaped above


def routes_by_resource(spec: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The operations of the document by resource, each with method, path, anchor and the members of its JSON body."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            resource = resource_of(path)
            entry = {**operation, "method": method.upper(), "path": path, "body": _members(spec, operation)}
            entry["anchor"] = (
                f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}"
            )
            groups.setdefault(resource, []).append(entry)
    return groups


def _members(spec: dict[str, Any], operation: dict[str, Any]) -> list[dict[str, Any]]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = content.get("schema", {})
    if name := schema.get("$ref", "").rpartition("/")[2]:
        schema = spec["components"]["schemas"][name]
    required = schema.get("required", [])
    return [
        {
            "name": member,
            "required": member in required,
            "kind": kind_of(about),
            "description": about.get("description", ""),
        }
        for member, about in schema.get("properties", {}).items()
    ]


def kind_of(about: dict[str, Any]) -> str:
    """What a schema asks for, in a word or two."""
    if "anyOf" in about:
        return " or ".join(dict.fromkeys(kind_of(option) for option in about["anyOf"]))
    if about.get("type") == "array":
        return f"list of {kind_of(about.get('items', {}))}"
    return str(about.get("format") or about.get("type") or "object")
