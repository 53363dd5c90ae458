"""The blueprint that every resource adds its routes to, and who may call them."""

from __future__ import annotations

import secrets

from apiflask import APIBlueprint
from flask import Response, current_app, g, request

from server.access import keys, limits, usage
from server.access.keys import Holder
from server.access.limits import Allowance, Limit
from server.access.scopes import ORGANIZATION_WIDE, ROUTES, allows
from server.api.errors import Denied, not_valid
from server.config import Settings
from server.database import now
from server.problems import NotFound

GUESSES = Limit("unknown-key", 60, 60)

api = APIBlueprint("api", __name__, url_prefix="/api")


@api.before_request
def authenticate() -> None:
    """Lets a request pass whose key exists, is valid and holds the scope of the route."""
    g.request_id = request.headers.get("X-Request-Id", "")[:64] or secrets.token_hex(8)
    route = request.method.replace("HEAD", "GET"), str(request.url_rule)
    scope = ROUTES[route]
    if scope is None:
        limits.visit(request.remote_addr or "")
        return
    holder = _holder()
    g.holder = holder
    _refuse_nul()
    settings: Settings = current_app.extensions["retestr"]
    g.allowance = usage.allowance(settings.key_requests_per_minute, holder.window_count, holder.window_left_s)
    if g.allowance.exceeded:
        raise limits.too_often(
            f"This key made more than {g.allowance.limit} requests in a minute", g.allowance
        )
    g.actor = holder.actor(request.remote_addr, g.request_id)
    if not allows(holder.scopes, scope):
        raise Denied(
            403,
            "scope-missing",
            f"This key lacks the scope {scope}; it has {', '.join(holder.scopes)}. "
            "Create one that holds it under Settings > API Keys.",
            {"needed": scope, "granted": list(holder.scopes)},
        )
    if holder.project_ids is not None and route in ORGANIZATION_WIDE:
        raise Denied(
            403,
            "key-limited",
            "This key is limited to projects; what concerns the whole organisation is closed to it. "
            "Use a key without that limit.",
        )


def _refuse_nul() -> None:
    """No name or ID holds a NUL character, and PostgreSQL takes none."""
    if "\0" in request.path:
        raise NotFound("not-found", "There is nothing at this address; it holds a NUL character.")
    if b"%00" in request.query_string:
        raise not_valid([(None, "A parameter holds a NUL character; leave it out.")])


def _holder() -> Holder:
    kind, _, key = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not key.strip():
        raise Denied(
            401, "key-missing", "Send an API key: Authorization: Bearer vts_… (Settings > API Keys)."
        )
    if request.endpoint == "api.read_run":
        holder, g.polled = keys.find_with_run(
            key.strip(), (request.view_args or {})["run_id"].replace("\0", "")
        )
    else:
        holder = keys.find(key.strip())
    if holder is None:
        _slow_down_guessing(key.strip())
        raise Denied(401, "key-invalid", "This API key is not known. Check that it was copied whole.")
    if holder.revoked_at is not None:
        raise Denied(
            401, "key-revoked", "This API key has been revoked. Create a new one under Settings > API Keys."
        )
    if holder.expires_at is not None and holder.expires_at <= now():
        raise Denied(
            401, "key-expired", "This API key has expired. Create a new one under Settings > API Keys."
        )
    return holder


def _slow_down_guessing(key: str) -> None:
    """Well-formed keys that nobody has are counted by address; others never reached the database."""
    if keys.is_well_formed(key):
        left = limits.hit(GUESSES, request.remote_addr or "")
        if left.exceeded:
            raise limits.too_often("Too many unknown keys from this address", left)


@api.after_request
def count_usage(response: Response) -> Response:
    holder: Holder | None = g.pop("holder", None)  # an answer that fails here passes once more, as an error
    if holder is not None:
        usage.count(holder.id, response.status_code < 400)
    allowance: Allowance | None = g.get("allowance")
    if allowance is not None:
        response.headers["RateLimit-Limit"] = str(allowance.limit)
        response.headers["RateLimit-Remaining"] = str(max(0, allowance.remaining))
        response.headers["RateLimit-Reset"] = str(allowance.reset_s)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Request-Id"] = g.get("request_id", "")
    response.headers.setdefault("Cache-Control", "no-store")
    return response
