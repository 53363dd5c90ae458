"""The API: HTTP and JSON around `runs` and `access`. One small file per resource."""

from __future__ import annotations

from flask import Flask

from server.api import (
    audit_logs,
    baselines,
    docs,
    keys,
    openapi,
    projects,
    runs,
    secrets,
    snapshots,
    thumbnails,
)
from server.api.blueprint import api

RESOURCES = (
    runs,
    snapshots,
    thumbnails,
    projects,
    secrets,
    baselines,
    keys,
    audit_logs,
)  # importing them adds their routes


def register(app: Flask) -> None:
    """Adds every route under `/api` and the rendered API page."""
    app.register_blueprint(api)
    app.register_blueprint(docs.pages)
    openapi.describe(app)
