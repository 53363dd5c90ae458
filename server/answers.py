"""Images, suites and the audit log as HTTP answers, the same for a key's holder in the API and a person in the dashboard.

Who may see one is decided by the callers.
"""

from __future__ import annotations

import contextlib

from flask import Response, current_app, make_response, request, stream_with_context
from sqlalchemy import Select

from server.access import audit
from server.config import Settings
from server.database import db
from server.images import ImageMissing, open_store
from server.models import AuditEvent, Image, Snapshot
from server.problems import NotFound
from server.runs import kept
from server.vision import embedded

AUDIT_LOGS = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}


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
    try:
        png = _stored(name)
    except ImageMissing:
        row = db.session.get(Image, name)
        if row is not None and row.removed_at is not None:
            raise NotFound(
                "image-removed", "Retention removed this image: a newer baseline has taken its place."
            ) from None
        raise NotFound(
            "image-not-found",
            "The image is no longer in the store; trigger a new run, or restore the store from a backup.",
        ) from None
    response = _answer(png, 31_536_000)
    response.cache_control.private = True
    response.cache_control.immutable = True
    return _named(response, name)


def thumbnail(snapshot: Snapshot, left_s: float) -> Response:
    """The small picture of a change, which caches may keep for the `left_s` that its address lasts.

    Raises `NotFound` where there is none: an image that was drawn before there were any, or that is gone.
    """
    picture = _small(snapshot)
    if picture is None:
        raise NotFound(
            "thumbnail-not-found",
            "There is no small picture of this snapshot, or no longer; its page has the images.",
        )
    response = _answer(picture, int(left_s))
    response.cache_control.public = True
    return _named(response, f"{snapshot.difference}-small")


def listed(snapshot: Snapshot) -> Response:
    """What a list shows of a snapshot: the small picture of a change, else its whole image. Raises `NotFound`."""
    picture = _small(snapshot)
    if picture is None:
        return snapshot_image(snapshot, "actual")
    response = _answer(picture, 31_536_000)
    response.cache_control.private = True
    return _named(response, f"{snapshot.difference}-small")


def _small(snapshot: Snapshot) -> bytes | None:
    """The picture that the worker put into the difference; None where there is none."""
    if snapshot.difference is None:
        return None
    with contextlib.suppress(ImageMissing):
        return embedded.take(_stored(snapshot.difference))
    return None


def audit_log(found: Select[AuditEvent], form: str) -> Response:
    """The events of `audit.events()` as a file, oldest first, piece by piece: JSON Lines (`jsonl`) or CSV (`csv`)."""
    answer = Response(stream_with_context(audit.export(found, form)), content_type=AUDIT_LOGS[form])
    answer.headers["Content-Disposition"] = f"attachment; filename=audit-log.{form}"
    answer.headers["Cache-Control"] = "no-store"
    return answer


def suite(text: str) -> Response:
    """A suite as a file."""
    response = make_response(text)
    response.content_type = "application/yaml; charset=utf-8"
    return response


def _stored(name: str) -> bytes:
    settings: Settings = current_app.extensions["retestr"]
    return open_store(settings.storage).get(name)


def _answer(png: bytes, lasts_s: int) -> Response:
    response = make_response(png)
    response.content_type = "image/png"
    response.cache_control.max_age = lasts_s
    return response


def _named(response: Response, etag: str) -> Response:
    """The answer, or that the caller has it already."""
    response.set_etag(etag)
    response.make_conditional(request)
    return response
