"""The scopes of API keys, and the one table that says which route needs which."""

from __future__ import annotations

from collections.abc import Iterable

ADMIN = "admin:write"

SCOPES: dict[str, str] = {
    "run:read": "View test runs and results.",
    "run:write": "Trigger and cancel runs. The usual one for CI.",
    "project:read": "List projects.",
    "baseline:read": "Fetch baseline images.",
    "baseline:write": "Approve and reject changes, restore baselines.",
    ADMIN: "Everything, key management and approving baselines included.",
}

ROUTES: dict[tuple[str, str], str | None] = {
    ("POST", "/api/runs"): "run:write",
    ("GET", "/api/runs"): "run:read",
    ("GET", "/api/runs/<run_id>"): "run:read",
    ("GET", "/api/runs/<run_id>/snapshots"): "run:read",
    ("GET", "/api/runs/<run_id>/suite"): "run:read",
    ("POST", "/api/runs/<run_id>/cancel"): "run:write",
    ("POST", "/api/runs/cancel-all"): "run:write",
    ("GET", "/api/snapshots/<snapshot_id>"): "run:read",
    ("GET", "/api/snapshots/<snapshot_id>/<any(actual, baseline, difference):kind>.png"): "run:read",
    ("POST", "/api/snapshots/<snapshot_id>/approve"): "baseline:write",
    ("POST", "/api/snapshots/<snapshot_id>/reject"): "baseline:write",
    ("POST", "/api/snapshots/<snapshot_id>/undo"): "baseline:write",
    ("POST", "/api/runs/<run_id>/approve"): "baseline:write",
    ("POST", "/api/runs/<run_id>/reject"): "baseline:write",
    ("GET", "/api/projects"): "project:read",
    ("GET", "/api/projects/<project_id>"): "project:read",
    ("GET", "/api/projects/<project_id>/suite"): "project:read",
    ("POST", "/api/projects"): ADMIN,
    ("PATCH", "/api/projects/<project_id>"): ADMIN,
    ("DELETE", "/api/projects/<project_id>"): ADMIN,
    ("PUT", "/api/projects/<project_id>/suite"): ADMIN,
    ("GET", "/api/projects/<project_id>/secrets"): ADMIN,
    ("PUT", "/api/projects/<project_id>/secrets/<name>"): ADMIN,
    ("DELETE", "/api/projects/<project_id>/secrets/<name>"): ADMIN,
    ("GET", "/api/projects/<project_id>/baselines"): "baseline:read",
    ("GET", "/api/baselines/<baseline_id>"): "baseline:read",
    ("GET", "/api/baselines/<baseline_id>/image.png"): "baseline:read",
    ("GET", "/api/baselines/<baseline_id>/history"): "baseline:read",
    ("POST", "/api/baselines/<baseline_id>/restore"): "baseline:write",
    ("GET", "/api/keys"): ADMIN,
    ("POST", "/api/keys"): ADMIN,
    ("GET", "/api/keys/<key_id>"): ADMIN,
    ("DELETE", "/api/keys/<key_id>"): ADMIN,
    ("POST", "/api/keys/<key_id>/rotate"): ADMIN,
    ("POST", "/api/keys/revoke-leaked"): None,
    ("GET", "/api/thumbnails/<token>.png"): None,
    ("GET", "/api/audit-logs"): ADMIN,
    ("GET", "/api/audit-logs/export"): ADMIN,
    ("GET", "/api/openapi.json"): None,
}
"""Method and URL rule to the scope that the route needs; None: open to everybody."""

ORGANIZATION_WIDE = frozenset(
    {
        ("POST", "/api/runs/cancel-all"),
        ("POST", "/api/projects"),
        ("GET", "/api/keys"),
        ("POST", "/api/keys"),
        ("GET", "/api/keys/<key_id>"),
        ("DELETE", "/api/keys/<key_id>"),
        ("POST", "/api/keys/<key_id>/rotate"),
        ("GET", "/api/audit-logs"),
        ("GET", "/api/audit-logs/export"),
    }
)
"""Routes that concern the whole organisation: refused to keys limited to projects."""


def allows(granted: Iterable[str], needed: str) -> bool:
    """Whether a key with these scopes may do what needs that one; `admin:write` implies all."""
    held = set(granted)
    return needed in held or ADMIN in held
