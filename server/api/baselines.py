"""`/api/projects/ID/baselines` and `/api/baselines`: how things shall look."""

from __future__ import annotations

from typing import Any

from flask import Response, g

from server import answers
from server.api import shapes
from server.api.blueprint import api
from server.api.openapi import binary
from server.api.views import project_named
from server.database import db
from server.models import Baseline, Project
from server.problems import NotFound
from server.runs import baselines


@api.get("/projects/<project_id>/baselines")
@api.input(shapes.BaselineQuery, location="query", arg_name="query")
@api.output(shapes.BaselinePage)
def list_baselines(project_id: str, query: shapes.BaselineQuery) -> dict[str, Any]:
    """List the current baselines of a branch, all of them, by test and viewport"""
    project = project_named(project_id)
    rows = baselines.current(project.id, query.branch or project.default_branch)
    return {"items": [_json(row) for row in rows], "nextCursor": None}


@api.get("/baselines/<baseline_id>")
@api.output(shapes.BaselineOut)
def read_baseline(baseline_id: str) -> dict[str, Any]:
    """Read a baseline"""
    return _json(_named(baseline_id))


@api.get("/baselines/<baseline_id>/image.png")
@api.doc(responses=binary("image/png", description="The image."))
def read_baseline_image(baseline_id: str) -> Response:
    """Fetch a baseline's image"""
    return answers.image(_named(baseline_id).image)


def _named(baseline_id: str) -> Baseline:
    baseline = db.session.get(Baseline, baseline_id)
    project = db.session.get(Project, baseline.project_id) if baseline else None
    if (
        baseline is None
        or project is None
        or project.organization_id != g.holder.organization_id
        or not g.holder.may_see(project.id)
    ):
        raise NotFound("baseline-not-found", f"There is no baseline {baseline_id!r}.")
    return baseline


def _json(baseline: Baseline) -> dict[str, Any]:
    names = (
        "id", "project_id", "branch", "test", "viewport", "browser", "width", "height", "commit_sha", "run_id",
        "source", "approved_by",
    )  # fmt: skip
    return {
        **{name: getattr(baseline, name) for name in names},
        "sha256": baseline.image,
        "approved_at": baseline.created_at,
        "image_url": f"/api/baselines/{baseline.id}/image.png",
    }
