"""Images as HTTP answers, the same for a key's holder in the API and a person in the dashboard.

Who may see an image is decided by the callers.
"""

from __future__ import annotations

from flask import Response, current_app, make_response, request

from server.config import Settings
from server.database import db
from server.images import ImageMissing, open_store
from server.models import Image, Snapshot
from server.problems import NotFound
from server.runs import kept


def snapshot_image(snapshot: Snapshot, kind: str) -> Response:
    """A snapshot's `actual`, `baseline` or `difference`. Raises `NotFound` where it has none."""
    names = {
        "actual": snapshot.image,
        "baseline": snapshot.baseline.image if snapshot.baseline else None,
        "difference": snapshot.difference,
    }
    name = names[kind]
    if name is None:
        had_one = kind == "actual" or (kind == "difference" and snapshot.status == "CHANGED")
        if had_one and kept.image_removed(snapshot):
            settings: Settings = current_app.extensions["retestr"]
            raise NotFound("image-removed", kept.why_removed(snapshot.run, settings))
        raise NotFound("image-not-found", f"This snapshot has no {kind} image.")
    return image(name)


def image(name: str) -> Response:
    """A stored image; named by its content, so that a browser may keep it for ever. Raises `NotFound`."""
    settings: Settings = current_app.extensions["retestr"]
    try:
        png = open_store(settings.storage).get(name)
    except ImageMissing:
        row = db.session.get(Image, name)
        if row is not None and row.removed_at is not None:
            raise NotFound(
                "image-removed", "Retention removed this image: a newer baseline has taken its place."
            ) from None
        raise NotFound("image-not-found", "The image is no longer in the store.") from None
    response = make_response(png)
    response.content_type = "image/png"
    response.cache_control.private = True
    response.cache_control.max_age = 31_536_000
    response.cache_control.immutable = True
    response.set_etag(name)
    response.make_conditional(request)
    return response
