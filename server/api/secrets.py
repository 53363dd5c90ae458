"""`/api/projects/ID/secrets`: store, list and delete the secrets of a project; no answer holds a value."""

from __future__ import annotations

from typing import Any

from flask import current_app, g
from sqlalchemy import select

from server.api.blueprint import api
from server.api.shapes.base import NamedPageQuery
from server.api.shapes.projects import SecretIn, SecretOut, SecretPage
from server.api.views import project_named
from server.models import ProjectSecret
from server.paging import page
from server.runs import secrets


@api.get("/projects/<project_id>/secrets")
@api.input(NamedPageQuery, location="query", arg_name="query")
@api.output(SecretPage)
def list_secrets(project_id: str, query: NamedPageQuery) -> dict[str, Any]:
    """List a project's secrets by name: names and origins, never values"""
    found = select(ProjectSecret).where(ProjectSecret.project_id == project_named(project_id).id)
    rows, cursor = page(found, ProjectSecret.name, query.limit, query.cursor, newest_first=False)
    return {"items": [_json(row) for row in rows], "nextCursor": cursor}


@api.put("/projects/<project_id>/secrets/<name>")
@api.input(SecretIn, arg_name="asked")
@api.output(SecretOut)
def store_secret(project_id: str, name: str, asked: SecretIn) -> dict[str, Any]:
    """Store a secret, or replace it

    A suite uses it as `${{ secrets.NAME }}`. It is sent to the origins named here and nowhere else, and cannot be read
    again.
    """
    settings = current_app.extensions["retestr"]
    project = project_named(project_id)
    return _json(secrets.put(project, name, asked.value, asked.origins, g.actor, settings))


@api.delete("/projects/<project_id>/secrets/<name>")
@api.doc(responses={204: "Deleted."})
def delete_secret(project_id: str, name: str) -> tuple[str, int]:
    """Delete a secret; runs whose suite uses it are refused from now on"""
    secrets.remove(project_named(project_id), name, g.actor)
    return "", 204


def _json(row: ProjectSecret) -> dict[str, Any]:
    return {name: getattr(row, name) for name in SecretOut.model_fields}
