"""Deciding what a captured image is: UNCHANGED, CHANGED or NEW, and against which baseline.

Capturing is in `vision.capture`, counting pixels in `vision.compare`; writing the verdict down in `lifecycle`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from server.database import db
from server.images import ImageStore, name_of
from server.models import Baseline, Image, Run, Snapshot
from server.runs import baselines, retention
from server.runs.lifecycle import Outcome
from server.runs.suite import Shot
from server.vision import page as vision
from server.vision.compare import Difference, Options, compare


@dataclass(frozen=True)
class Job:
    """One snapshot to capture, with the hashes of the images that it passes with at once."""

    snapshot_id: str
    run_id: str
    shot: Shot
    known: frozenset[str]
    project_id: str


def jobs(snapshot_ids: tuple[str, ...]) -> list[Job]:
    """What a worker needs to know before it captures these snapshots."""
    found = []
    for snapshot_id in snapshot_ids:
        snapshot = db.session.get_one(Snapshot, snapshot_id)
        known = frozenset(baseline.image for baseline in baselines.candidates(snapshot.run, snapshot))
        found.append(
            Job(snapshot_id, snapshot.run_id, Shot.from_json(snapshot.shot), known, snapshot.project_id)
        )
    return found


def judge(
    job: Job, image: vision.Image, identity: dict[str, str], store: ImageStore, megapixels: float
) -> Outcome:
    """Compares a capture with its baselines and stores what reviewers will want to see.

    It passes if it looks like the newest baseline of its branch, its base branch or the default branch.
    Raises `vision.compare.ImageError` where an image cannot be read.
    """
    snapshot = db.session.get_one(Snapshot, job.snapshot_id)
    run, candidates = snapshot.run, baselines.candidates(snapshot.run, snapshot)
    ignore = [[box.x, box.y, box.width, box.height] for box in image.ignore]

    def outcome(status: str, baseline: Baseline | None, difference: Difference | None = None) -> Outcome:
        changed = status == "CHANGED"
        drawn = difference.image() if changed and difference else None
        return Outcome(
            status,
            again=changed,
            image=_stored(store, image.png, image.width, image.height),
            ignore=ignore,
            identity=identity,
            baseline_id=baseline.id if baseline else None,
            difference=_stored(store, drawn, *_size(drawn)) if drawn else None,
            changed_pixels=difference.changed_pixels if difference else 0 if baseline else None,
            ratio=difference.ratio if difference else 0.0 if baseline else None,
            regions=[[box.x, box.y, box.width, box.height] for box in difference.regions]
            if changed and difference
            else None,
            sentence=_sentence(difference if changed else None, image),
            http_status=image.http_status,
            seconds=image.seconds,
            evidence=image.evidence,
        )

    if not candidates:
        return outcome("NEW", None)
    for baseline in candidates:
        if baseline.image == image.sha256:
            return outcome("UNCHANGED", baseline)
    differences = []
    for baseline in candidates:
        difference = _difference(job, baseline, image, ignore, store, megapixels)
        if difference.equal:
            return outcome("UNCHANGED", baseline, difference)
        differences.append(difference)
    changed = outcome("CHANGED", candidates[0], differences[0])
    arriving = _arriving(run, snapshot, job, image, ignore, store, megapixels)
    return changed if arriving is None else replace(changed, carried_from=arriving.branch, again=False)


def _arriving(
    run: Run,
    snapshot: Snapshot,
    job: Job,
    image: vision.Image,
    ignore: list[list[int]],
    store: ImageStore,
    megapixels: float,
) -> Baseline | None:
    """The approval on another branch that this image is, now that it has been merged."""
    approvals = baselines.approvals_elsewhere(run, snapshot)
    for approval in approvals:
        if approval.image == image.sha256:
            return approval
    for approval in approvals[:5]:
        if _difference(job, approval, image, ignore, store, megapixels).equal:
            return approval
    return None


def _difference(
    job: Job,
    baseline: Baseline,
    image: vision.Image,
    ignore: list[list[int]],
    store: ImageStore,
    megapixels: float,
) -> Difference:
    boxes = tuple(vision.Box(*box) for box in [*ignore, *baseline.ignore])
    options = Options(
        threshold=job.shot.threshold,
        ignore=boxes,
        max_diff_ratio=job.shot.max_diff_ratio,
        max_megapixels=megapixels,
    )
    return compare(store.get(baseline.image), image.png, options)


def _sentence(difference: Difference | None, image: vision.Image) -> str | None:
    said = [difference.sentence if difference else None, image.note]
    if image.moved:
        said.append(f"The page did not come to rest: {len(image.moved)} regions moved between two shots.")
    return " ".join(filter(None, said)) or None


def _stored(store: ImageStore, png: bytes, width: int, height: int) -> Image:
    """Reserves an image and then stores it, in this order (`runs.retention`)."""
    image = Image(sha256=name_of(png), width=width, height=height, size_bytes=len(png))
    retention.reserve(image)
    store.put(png)
    return image


def _size(png: bytes) -> tuple[int, int]:
    """Width and height from a PNG's header (PNG specification, section 11.2.1)."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
