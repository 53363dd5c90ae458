"""`/healthz`: the process answers. `/readyz`: it can do its work, the database included."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import text

from server.database import db

pages = Blueprint("health", __name__)


@pages.get("/healthz")
def healthy() -> ResponseReturnValue:
    """200 as long as this process answers."""
    return jsonify(status="ok")


@pages.get("/readyz")
def ready() -> ResponseReturnValue:
    """200 when the database answers, 503 when it does not."""
    try:
        db.session.execute(text("SELECT 1"))
    except Exception:
        return jsonify(status="the database does not answer"), 503
    return jsonify(status="ok")
