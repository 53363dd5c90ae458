"""What several resources share: finding what a key may see, addresses, images as answers."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import current_app, g, request
from pydantic import BaseModel, ValidationError

from server.config import Settings
from server.database import db
from server.models import Project, Run, Snapshot
from server.problems import Invalid, NotFound
from server.runs import lifecycle, projects


def visible_projects() -> tuple[str, ...] | None:
    """The projects that the key is limited to; None: all of its organisation."""
    limit: tuple[str, ...] | None = g.holder.project_ids
    return limit


def project_named(name: str) -> Project:
    """A project of the key's organisation, by ID or slug. Raises `NotFound` naming it."""
    project = projects.find(g.holder.organization_id, name)
    if not g.holder.may_see(project.id):
        raise NotFound("project-not-found", f"There is no project {name!r}.")
    return project


def run_named(run_id: str) -> Run:
    """A run of the key's organisation."""
    run = db.session.get(Run, run_id)
    if run is None or run.organization_id != g.holder.organization_id or not g.holder.may_see(run.project_id):
        raise NotFound("run-not-found", f"There is no run {run_id!r}.")
    return run


def run_polled(run_id: str) -> Any:
    """A run of the key's organisation as a plain row, without its suite: for `GET /runs/ID` alone.

    CI asks for it again and again, so `blueprint.authenticate` has read it together with the key.
    """
    run = g.polled
    if run.id is None or not g.holder.may_see(run.project_id):
        raise NotFound("run-not-found", f"There is no run {run_id!r}.")
    return run


def snapshot_named(snapshot_id: str) -> Snapshot:
    """A snapshot of a run of the key's organisation."""
    snapshot = db.session.get(Snapshot, snapshot_id)
    if (
        snapshot is None
        or snapshot.run.organization_id != g.holder.organization_id
        or not g.holder.may_see(snapshot.project_id)
    ):
        raise NotFound("snapshot-not-found", f"There is no snapshot {snapshot_id!r}.")
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
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise Invalid("validation", f"The request is not valid. {where}: {first['msg']}") from None


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as `shapes.SnapshotOut` wants it."""
    plain = (
        "id", "run_id", "project_id", "test", "viewport", "browser", "review", "reviewed_by", "reviewed_at",
        "review_reason", "flaky", "attempts", "page_url", "sentence", "changed_pixels", "ratio", "regions", "http_status",
        "seconds",
    )  # fmt: skip
    baseline = snapshot.baseline
    images = {"actual": snapshot.image, "baseline": snapshot.baseline_id, "difference": snapshot.difference}
    return {
        **{name: getattr(snapshot, name) for name in plain},
        "status": lifecycle.status_of(snapshot),
        "url": dashboard_url(f"/runs/{snapshot.run_id}?snapshot={snapshot.id}"),
        "error": {"kind": snapshot.error_kind, "message": snapshot.error_message}
        if snapshot.error_kind
        else None,
        "baseline": {
            "id": baseline.id,
            "branch": baseline.branch,
            "commit_sha": baseline.commit_sha,
            "approved_by": baseline.approved_by,
            "approved_at": baseline.created_at,
        }
        if baseline
        else None,
        "images": {
            kind: f"/api/snapshots/{snapshot.id}/{kind}.png" if there else None
            for kind, there in images.items()
        },
    }
