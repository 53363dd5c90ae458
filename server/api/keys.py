"""`/api/keys`: create, list, read, rotate and revoke API keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import g, request
from sqlalchemy import select

from server.access import keys, limits, mail, usage
from server.access.limits import Limit
from server.api.blueprint import api
from server.api.openapi import optional_json
from server.api.shapes.base import PageQuery
from server.api.shapes.keys import KeyCreated, KeyIn, KeyOut, KeyPage, LeakedIn, LeakedOut, RotateIn
from server.api.views import optional_body
from server.database import db, now
from server.models import ApiKey
from server.paging import page
from server.problems import NotFound

LEAK_REPORTS = Limit("leak-report", 30, 60)


@api.get("/keys")
@api.input(PageQuery, location="query", arg_name="query")
@api.output(KeyPage)
def list_keys(query: PageQuery) -> dict[str, Any]:
    """List API keys, the newest first, with when and how often they were used"""
    found = select(ApiKey).where(ApiKey.organization_id == g.holder.organization_id)
    rows, cursor = page(found, ApiKey.id, query.limit, query.cursor)
    return {"items": [_json(key) for key in rows], "nextCursor": cursor}


@api.post("/keys")
@api.input(KeyIn, arg_name="asked")
@api.output(KeyCreated, 201, description="The key; `key` is shown this once.")
def create_key(asked: KeyIn) -> dict[str, Any]:
    """Create an API key"""
    expires_at = asked.expires_at
    if asked.expires_in_days is not None:
        expires_at = now() + timedelta(days=asked.expires_in_days)
    row, key = keys.create(
        g.holder.organization_id,
        asked.name,
        asked.scopes,
        g.actor,
        expires_at,
        asked.project_ids,
        g.holder,
    )
    return {**_json(row), "key": key}


@api.post("/keys/<key_id>/rotate")
@api.output(KeyCreated, 201, description="The successor; `key` is shown this once.")
@api.doc(extensions=optional_json(RotateIn))
def rotate_key(key_id: str) -> dict[str, Any]:
    """Rotate an API key: a successor with the same rights, while the old key lives on for an overlap

    The body is optional: `{"overlapHours": 24}`, from 0 to 720.
    """
    asked = optional_body(RotateIn)
    row, key = keys.rotate(_named(key_id), g.actor, timedelta(hours=asked.overlap_hours), g.holder)
    return {**_json(row), "key": key}


@api.post("/keys/revoke-leaked")
@api.input(LeakedIn, arg_name="asked")
@api.output(LeakedOut)
def revoke_leaked_key(asked: LeakedIn) -> dict[str, str]:
    """Revoke a key that was found in the open

    Needs no log-in: whoever holds a key may end it. Answers the same whether there was such a key or not.
    """
    left = limits.hit(LEAK_REPORTS, request.remote_addr or "")
    if left.exceeded:
        raise limits.too_often("Too many reports from this address", left)
    row = keys.revoke_leaked(asked.key.strip(), request.remote_addr, g.request_id)
    if row is not None:
        mail.tell_admins(row.organization_id, "leaked_key", name=row.name, hint=row.hint)
    return {"status": "If this was a key, it is revoked."}


@api.get("/keys/<key_id>")
@api.output(KeyOut)
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
        raise NotFound("key-not-found", f"There is no API key {key_id!r}; GET /api/keys lists them.")
    return key


def _json(key: ApiKey) -> dict[str, Any]:
    judgement = usage.judge(key, now())
    derived = {"notes": list(judgement.notes), "requests_per_day": judgement.requests_per_day}
    return {
        **{name: getattr(key, name) for name in KeyOut.model_fields if name not in derived},
        **derived,
    }
