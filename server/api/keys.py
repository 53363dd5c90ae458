"""`/api/keys`: make, list, read and revoke API keys."""

from __future__ import annotations

from typing import Any

from flask import g
from sqlalchemy import select

from server.access import keys
from server.api import shapes
from server.api.blueprint import api
from server.api.paging import page
from server.database import db
from server.models import ApiKey
from server.problems import Invalid, NotFound


@api.get("/keys")
@api.input(shapes.PageQuery, location="query", arg_name="query")
@api.output(shapes.KeyPage)
def list_keys(query: shapes.PageQuery) -> dict[str, Any]:
    """List API keys, the newest first, with when and how often they were used"""
    found = select(ApiKey).where(ApiKey.organization_id == g.holder.organization_id)
    rows, cursor = page(found, ApiKey.id, query.limit, query.cursor)
    return {"items": [_json(key) for key in rows], "nextCursor": cursor}


@api.post("/keys")
@api.input(shapes.KeyIn, arg_name="asked")
@api.output(shapes.KeyCreated, 201, description="The key; `key` is shown this once.")
def create_key(asked: shapes.KeyIn) -> dict[str, Any]:
    """Make an API key"""
    if asked.expires_at is not None and asked.expires_at.tzinfo is None:
        raise Invalid("key-invalid", "expiresAt needs a time zone, such as 2027-01-31T00:00:00Z.")
    row, key = keys.create(
        g.holder.organization_id, asked.name, asked.scopes, g.actor, asked.expires_at, asked.project_ids
    )
    return {**_json(row), "key": key}


@api.get("/keys/<key_id>")
@api.output(shapes.KeyOut)
def read_key(key_id: str) -> dict[str, Any]:
    """Read an API key"""
    return _json(_named(key_id))


@api.delete("/keys/<key_id>")
@api.doc(responses={204: "Revoked."})
def revoke_key(key_id: str) -> tuple[str, int]:
    """Revoke an API key: it is refused from the next request on"""
    keys.revoke(_named(key_id), g.actor)
    return "", 204


def _named(key_id: str) -> ApiKey:
    key = db.session.get(ApiKey, key_id)
    if key is None or key.organization_id != g.holder.organization_id:
        raise NotFound("key-not-found", f"There is no API key {key_id!r}.")
    return key


def _json(key: ApiKey) -> dict[str, Any]:
    return {name: getattr(key, name) for name in shapes.KeyOut.model_fields}
