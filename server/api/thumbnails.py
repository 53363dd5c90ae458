"""`/api/thumbnails`: the small picture of a change, for whoever has its signed address."""

from __future__ import annotations

from flask import Response, current_app

from server import answers
from server.access import thumbnails
from server.api.blueprint import api
from server.api.openapi import binary
from server.config import Settings
from server.database import db, now
from server.models import Snapshot
from server.problems import NotFound


@api.get("/thumbnails/<token>.png")
@api.doc(responses=binary("image/png", description="The image, at most 488 x 180 pixels."))
def read_thumbnail(token: str) -> Response:
    """Fetch the small picture of a change; its address is a snapshot's thumbnailUrl"""
    settings: Settings = current_app.extensions["retestr"]
    at = now()
    opened = thumbnails.opened(token, at, str(current_app.secret_key)) if settings.thumbnail_days else None
    snapshot = db.session.get(Snapshot, opened[0]) if opened else None
    if opened is None or snapshot is None:
        raise NotFound(
            "thumbnail-not-found",
            "This address has expired, or it never was one of a picture; read the snapshot for a new thumbnailUrl.",
        )
    return answers.thumbnail(snapshot, (opened[1] - at).total_seconds())
