"""`/api/projects/ID/baselines` and `/api/baselines`: how things shall look."""

from __future__ import annotations

from typing import Any

from flask import Response, g

from server import answers
from server.api.blueprint import api
from server.api.openapi import binary
from server.api.shapes.base import PageQuery
from server.api.shapes.baselines import BaselineOut, BaselinePage, BaselineQuery
from server.api.views import project_named
from server.database import db
from server.models import Baseline, Project
from server.paging import page
from server.problems import NotFound
from server.runs import baselines, review


@api.get("/projects/<project_id>/baselines")
@api.input(BaselineQuery, location="query", arg_name="query")
@api.output(BaselinePage)
def list_baselines(project_id: str, query: BaselineQuery) -> dict[str, Any]:
    """List the current baselines of a branch, the newest first"""
    project = project_named(project_id)
    current = baselines.current(project.id, query.branch or project.default_branch)
    newest_first = sorted(current, key=lambda row: row.id, reverse=True)
    rest = [row for row in newest_first if query.cursor is None or row.id < query.cursor]
    rows, more = rest[: query.limit], len(rest) > query.limit
    return {"items": [_json(row, row) for row in rows], "nextCursor": rows[-1].id if more else None}


@api.get("/baselines/<baseline_id>")
@api.output(BaselineOut)
def read_baseline(baseline_id: str) -> dict[str, Any]:
    """Read a baseline"""
    baseline = _named(baseline_id)
    return _json(baseline, _standing(baseline))


@api.get("/baselines/<baseline_id>/history")
@api.input(PageQuery, location="query", arg_name="query")
@api.output(BaselinePage)
def list_baseline_history(baseline_id: str, query: PageQuery) -> dict[str, Any]:
    """List how the same page was to look on the same branch, the latest decision first

    Also under other names of the test, where the suite tells them (`was`).
    """
    baseline = _named(baseline_id)
    standing = _standing(baseline)
    rows, cursor = page(baselines.history(baseline), Baseline.id, query.limit, query.cursor)
    return {"items": [_json(row, standing) for row in rows], "nextCursor": cursor}


@api.post("/baselines/<baseline_id>/restore")
@api.output(BaselineOut, 201)
def restore_baseline(baseline_id: str) -> dict[str, Any]:
    """Make an older baseline the current one again: a new entry with its image"""
    restored = review.restore(_named(baseline_id), g.actor)
    return _json(restored, restored)


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
        raise NotFound(
            "baseline-not-found",
            f"This key sees no baseline {baseline_id!r}; GET /api/projects/ID/baselines lists those that it sees.",
        )
    return baseline


def _standing(baseline: Baseline) -> Baseline | None:
    return baselines.newest(baselines.latest_name(baseline), baseline.branch)


def _json(baseline: Baseline, standing: Baseline | None) -> dict[str, Any]:
    names = (
        "id", "project_id", "branch", "test", "viewport", "browser", "width", "height", "commit_sha", "run_id",
        "source", "approved_by", "created_at", "ended_at", "ended_why",
    )  # fmt: skip
    return {
        **{name: getattr(baseline, name) for name in names},
        "sha256": baseline.image,
        "approved_at": baseline.created_at,
        "current": baseline is standing,
        "image_url": f"/api/baselines/{baseline.id}/image.png",
    }
