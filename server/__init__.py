"""The retestr server: API, dashboard and worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apiflask import APIFlask

    from server.config import Settings


def create_app(settings: Settings | None = None) -> APIFlask:
    """The WSGI application (`server.app` wires it).

    Imported on the call, so that the pixels in `server.vision` are had without Flask and the database.
    """
    from server.app import build

    return build(settings)
