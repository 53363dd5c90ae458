"""The snapshot that a review shows: which one an address means, its images, and its place in the run's list."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import contains_eager, joinedload, undefer

from server.dashboard.outline import Outline
from server.database import db
from server.models import Image, Run, Snapshot
from server.problems import NotFound


def selected_of(run: Run, outlined: Outline, snapshot_id: str) -> Snapshot | None:
    """The snapshot that an address names, else the worst one; None where the filters show none.

    Raises `NotFound` for one that the run does not have.
    """
    named = bool(snapshot_id)
    if not named:
        if not outlined.entries:
            return None
        snapshot_id = outlined.entries[0].first.id
    snapshot = db.session.scalar(
        select(Snapshot)
        .options(joinedload(Snapshot.baseline), undefer(Snapshot.evidence))
        .where(Snapshot.run_id == run.id, Snapshot.id == snapshot_id)
    )
    if snapshot is None and named:
        raise NotFound("snapshot-not-found", f"This run has no snapshot {snapshot_id!r}.")
    return snapshot


def snapshot_named(organization_id: str, snapshot_id: str) -> Snapshot:
    """A snapshot of an organisation, with its run and baseline. Raises `NotFound`."""
    snapshot = db.session.scalar(
        select(Snapshot)
        .join(Snapshot.run)
        .options(contains_eager(Snapshot.run), joinedload(Snapshot.baseline))
        .where(Snapshot.id == snapshot_id, Run.organization_id == organization_id)
    )
    if snapshot is None:
        raise NotFound("snapshot-not-found", f"There is no snapshot {snapshot_id!r} in your organisation.")
    return snapshot


def sizes(snapshot: Snapshot) -> dict[str, Image]:
    """Width and height of a snapshot's images, by kind: `baseline`, `actual`, `difference`."""
    names = {
        "baseline": snapshot.baseline.image if snapshot.baseline else None,
        "actual": snapshot.image,
        "difference": snapshot.difference,
    }
    rows = db.session.scalars(
        select(Image).where(Image.sha256.in_([n for n in names.values() if n]), Image.removed_at.is_(None))
    ).all()
    known = {image.sha256: image for image in rows}
    return {kind: known[name] for kind, name in names.items() if name in known}


@dataclass(frozen=True)
class Links:
    """Where a run's pull request and commit are shown, where its workflow's address tells."""

    pull_request: str | None = None
    commit: str | None = None


def links(run: Run) -> Links:
    """The addresses that follow from `https://HOST/OWNER/REPOSITORY/actions/runs/…`, as on GitHub and Gitea."""
    found = re.match(r"(https?://[^/\s]+/[^/\s]+/[^/\s]+)/actions/runs/", run.workflow_url or "")
    if not found:
        return Links()
    return Links(
        f"{found[1]}/pull/{run.pull_request}" if run.pull_request else None,
        f"{found[1]}/commit/{run.commit_sha}" if re.fullmatch("[0-9a-f]{40}", run.commit_sha or "") else None,
    )
