"""The API as text for docs/api.md, from its OpenAPI document: every route with its scope, members and a curl line."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from textwrap import indent
from typing import Any

from server import create_app
from server.api.docs import kind_of, routes_by_resource
from server.config import Settings

HOST = "https://HOST"
KEY = '-H "Authorization: Bearer $RETESTR_API_KEY"'
PLACES = {
    "run_id": "RUN_ID",
    "snapshot_id": "SNAPSHOT_ID",
    "project_id": "shop",
    "baseline_id": "BASELINE_ID",
    "key_id": "KEY_ID",
    "name": "PASSWORD",
    "kind": "difference",
    "token": "TOKEN",
}
"""What stands in the curl lines for the parameters of a path."""

BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/runs"): {"projectId": "shop", "branch": "main", "commitSha": "9fceb02"},
    ("POST", "/api/runs/{run_id}/approve"): {"reason": "New logo.", "snapshots": ["SNAPSHOT_ID"]},
    ("POST", "/api/runs/{run_id}/reject"): {"reason": "The button must stay red."},
    ("POST", "/api/snapshots/{snapshot_id}/approve"): {"reason": "New logo."},
    ("POST", "/api/snapshots/{snapshot_id}/reject"): {"reason": "Too dark.", "seen": "APPROVED"},
    ("POST", "/api/snapshots/{snapshot_id}/undo"): {},
    ("POST", "/api/projects"): {"name": "Shop", "defaultBranch": "main"},
    ("PATCH", "/api/projects/{project_id}"): {"keepPassingDays": 14, "autoApprove": ["renovate/*"]},
    ("PUT", "/api/projects/{project_id}/secrets/{name}"): {
        "value": "the password",
        "origins": ["https://staging.example.com"],
    },
    ("POST", "/api/keys"): {
        "name": "GitHub Actions CI",
        "scopes": ["run:read", "run:write"],
        "expiresInDays": 90,
    },
    ("POST", "/api/keys/{key_id}/rotate"): {"overlapHours": 48},
    ("POST", "/api/keys/revoke-leaked"): {"key": "vts_…"},
}
"""A body for each route that takes JSON; a test sends them to a real server."""

QUERIES = {
    ("GET", "/api/runs"): "?projectId=shop&branch=main&status=FAILED",
    ("GET", "/api/runs/{run_id}/snapshots"): "?status=CHANGED",
    ("GET", "/api/projects/{project_id}/baselines"): "?branch=main",
    ("GET", "/api/audit-logs"): "?action=RUN_TRIGGER&since=2026-11-01T00:00:00Z",
    ("GET", "/api/audit-logs/export"): "?format=csv",
}


def document() -> dict[str, Any]:
    """The OpenAPI document, of a server that keeps nothing."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data=Path(folder)))
        with app.app_context():
            spec: dict[str, Any] = app.spec
            return spec


def routes() -> str:
    """All routes of the API, grouped by resource."""
    groups = routes_by_resource(document())
    return "\n\n".join(
        f"## {name}\n\n" + "\n\n".join(map(_route, sorted(groups[name], key=lambda one: one["path"])))
        for name in sorted(groups)
    )


def _route(operation: dict[str, Any]) -> str:
    scope = operation.get("x-scope")
    needs = f"Needs the scope `{scope}`." if scope else "Needs no key."
    said = operation.get("description", "").replace(needs, "").strip()
    asked = [
        {
            **one,
            "kind": _choices(one["schema"]),
            "description": one.get("description") or one["schema"].get("description"),
        }
        for one in operation.get("parameters", [])
        if one["in"] != "path"
    ]
    rows = [
        f"| `{one['name']}` | {one['kind']} | "
        f"{'Needed. ' if one.get('required') else ''}{one.get('description') or ''} |"
        for one in [*asked, *operation["body"]]
    ]
    return "\n".join(
        [
            f"### `{operation['method']} {operation['path']}`",
            "",
            f"{operation['summary']}. {needs}",
            *(["", said] if said else []),
            *(["", "| parameter or member | | |", "| --- | --- | --- |", *rows] if rows else []),
            "",
            indent(curl(operation), "    "),
        ]
    )


def _choices(schema: dict[str, Any]) -> str:
    return ", ".join(f"`{one}`" for one in schema["enum"]) if "enum" in schema else kind_of(schema)


def curl(operation: dict[str, Any]) -> str:
    """A command that calls the route."""
    method, path = operation["method"], operation["path"]
    place = re.sub(r"\{(\w+)\}", lambda found: PLACES[found[1]], path) + QUERIES.get((method, path), "")
    url = f'"{HOST}{place}"' if "?" in place else HOST + place
    parts = [f"curl {'' if method == 'GET' else f'-X {method} '}{url}"]
    if operation.get("security"):
        parts.append(KEY)
    kinds = operation.get("requestBody", {}).get("content", {})
    if (method, path) in BODIES:
        body = json.dumps(BODIES[method, path], ensure_ascii=False)
        parts += ['-H "Content-Type: application/json"', f"-d '{body}'"]
    elif "application/yaml" in kinds:
        parts += ['-H "Content-Type: application/yaml"', "--data-binary @retestr.yml"]
    if path.endswith(".png"):
        parts.append(
            f"-o {path.rpartition('/')[2].replace('{kind}', 'difference').replace('{token}', 'change')}"
        )
    return " \\\n  ".join(parts)
