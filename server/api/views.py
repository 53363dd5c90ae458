"""What several resources share: finding what a key may see, addresses, optional bodies, snapshots as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from flask import current_app, g, request
from pydantic import BaseModel, ValidationError

from server.access import thumbnails
from server.api.errors import NO_OBJECT, not_valid
from server.config import Settings
from server.database import db, now
from server.models import Project, Run, Snapshot
from server.problems import NotFound
from server.runs import lifecycle, projects, review


def visible_projects() -> tuple[str, ...] | None:
    """The projects that the key is limited to; None: all of its organisation."""
    limit: tuple[str, ...] | None = g.holder.project_ids
    return limit


def project_named(name: str) -> Project:
    """A project of the key's organisation, by ID or slug. Raises `NotFound` naming it."""
    project = projects.find(g.holder.organization_id, name)
    if not g.holder.may_see(project.id):
        raise projects.no_project(name)
    return project


def run_named(run_id: str) -> Run:
    """A run of the key's organisation."""
    run = db.session.get(Run, run_id)
    if run is None or run.organization_id != g.holder.organization_id or not g.holder.may_see(run.project_id):
        raise _no_run(run_id)
    return run


def run_polled(run_id: str) -> Any:
    """A run of the key's organisation as a plain row, without its suite: for `GET /runs/ID` alone.

    CI asks for it again and again, so `blueprint.authenticate` has read it together with the key.
    """
    run = g.polled
    if run.id is None or not g.holder.may_see(run.project_id):
        raise _no_run(run_id)
    return run


def _no_run(run_id: str) -> NotFound:
    return NotFound(
        "run-not-found", f"This key sees no run {run_id!r}; GET /api/runs lists those that it sees."
    )


def snapshot_named(snapshot_id: str) -> Snapshot:
    """A snapshot of a run of the key's organisation."""
    snapshot = db.session.get(Snapshot, snapshot_id)
    if (
        snapshot is None
        or snapshot.run.organization_id != g.holder.organization_id
        or not g.holder.may_see(snapshot.project_id)
    ):
        raise NotFound(
            "snapshot-not-found",
            f"This key sees no snapshot {snapshot_id!r}; GET /api/runs/ID/snapshots lists those of a run.",
        )
    return snapshot


def dashboard_url(path: str) -> str:
    """A dashboard page's full address."""
    settings: Settings = current_app.extensions["retestr"]
    return (settings.public_url or f"{request.scheme}://{request.host}{request.root_path}").rstrip("/") + path


B = TypeVar("B", bound=BaseModel)


def optional_body(shape: type[B]) -> B:
    """The body as a shape; a request without one gets the shape's defaults. Raises `Invalid`."""
    try:
        return shape.model_validate(request.get_json(force=True) if request.get_data(cache=True) else {})
    except ValidationError as error:
        raise not_valid(
            (".".join(map(str, wrong["loc"])), wrong["msg"]) if wrong["loc"] else (None, NO_OBJECT)
            for wrong in error.errors(include_url=False)
        ) from None


Sizes = dict[str | None, int]


def group_sizes(snapshots: Sequence[Snapshot]) -> Sizes:
    """How many snapshots of their run show the same change as these, by group; they are of one run."""
    groups = {snapshot.group for snapshot in snapshots if snapshot.group}
    return review.group_sizes(snapshots[0].run_id, groups) if groups else {}


def snapshot_json(snapshot: Snapshot, sizes: Sizes) -> dict[str, Any]:
    """A snapshot as `SnapshotOut` wants it; `sizes` are those of `group_sizes`."""
    plain = (
        "id", "run_id", "project_id", "test", "viewport", "browser", "review", "reviewed_by", "reviewed_at",
        "review_reason", "flaky", "attempts", "page_url", "sentence", "changed_pixels", "ratio", "regions", "group",
        "http_status", "seconds",
    )  # fmt: skip
    baseline = snapshot.baseline
    images = {"actual": snapshot.image, "baseline": snapshot.baseline_id, "difference": snapshot.difference}
    return {
        **{name: getattr(snapshot, name) for name in plain},
        "status": lifecycle.status_of(snapshot),
        "group_size": sizes.get(snapshot.group, 0),
        "url": dashboard_url(f"/runs/{snapshot.run_id}?snapshot={snapshot.id}"),
        "error": {"kind": snapshot.error_kind, "message": snapshot.error_message}
        if snapshot.error_kind
        else None,
        "baseline": {
            "id": baseline.id,
            "branch": baseline.branch,
            "commit_sha": baseline.commit_sha,
            "source": baseline.source,
            "approved_by": baseline.approved_by,
            "approved_at": baseline.created_at,
            "created_at": baseline.created_at,
        }
        if baseline
        else None,
        "images": {
            kind: f"/api/snapshots/{snapshot.id}/{kind}.png" if there else None
            for kind, there in images.items()
        },
        "thumbnail_url": _thumbnail_url(snapshot),
    }


def _thumbnail_url(snapshot: Snapshot) -> str | None:
    """The signed address of a change's small picture, where others can reach this server."""
    settings: Settings = current_app.extensions["retestr"]
    days = settings.thumbnail_days
    if snapshot.difference is None or not days or not thumbnails.is_public(settings.public_url):
        return None
    token = thumbnails.sign(snapshot.id, now() + timedelta(days=days), str(current_app.secret_key))
    return dashboard_url(f"/api/thumbnails/{token}.png")
