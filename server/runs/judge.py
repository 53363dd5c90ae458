"""Deciding what a captured image is: UNCHANGED, CHANGED or NEW, and against which baseline.

Capturing is in `vision.capture`, counting pixels in `vision.compare`; writing the verdict down in `lifecycle`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from server.database import db
from server.images import ImageMissing, ImageStore, name_of
from server.models import Baseline, Image, Snapshot
from server.runs import automatic, baselines, retention
from server.runs.lifecycle import Outcome
from server.runs.suite import Shot
from server.vision import page as vision
from server.vision.compare import Difference, Options, Picture, compare
from server.vision.wording import how_many

REJECTIONS_COMPARED = 3
"""With so many of the latest rejected images a changed one is compared pixel by pixel."""


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
    candidates = baselines.candidates(snapshot.run, snapshot)
    captured = _Captured(image, job.shot, store, megapixels)

    def outcome(
        status: str,
        baseline: Baseline | None,
        difference: Difference | None = None,
        rejection_id: str | None = None,
    ) -> Outcome:
        change = difference if status == "CHANGED" else None  # else it is within what the suite tolerates
        drawn = change.image() if change else None
        return Outcome(
            status,
            again=change is not None,
            image=_stored(store, image.png, image.width, image.height),
            ignore=captured.ignore,
            identity=identity,
            baseline_id=baseline.id if baseline else None,
            difference=_stored(store, drawn, *_size(drawn)) if drawn else None,
            changed_pixels=difference.changed_pixels if difference else 0 if baseline else None,
            ratio=difference.ratio if difference else 0.0 if baseline else None,
            regions=_sides(change.regions) if change else None,
            shifts=[[one.y, one.rows if one.kind == "inserted" else -one.rows] for one in change.shifts]
            if change
            else None,
            sentence=_sentence(change, image),
            group=change.fingerprint if change else None,
            rejection_id=rejection_id,
            http_status=image.http_status,
            seconds=image.seconds,
            evidence=image.evidence,
        )

    if not candidates:
        rejected = _rejected_before(snapshot, captured)
        return outcome("NEW", None, rejection_id=rejected.id if rejected else None)
    for baseline in candidates:
        if baseline.image == image.sha256:
            return outcome("UNCHANGED", baseline)
    first = None
    for baseline in candidates:
        difference = captured.difference(baseline)
        if difference.equal:
            return outcome("UNCHANGED", baseline, difference)
        first = first or difference
    rejected = _rejected_before(snapshot, captured)
    changed = outcome("CHANGED", candidates[0], first, rejected.id if rejected else None)
    arriving = _arriving(snapshot, captured)
    if arriving is None:
        return changed
    if rejected and rejected.reviewed_at and rejected.reviewed_at > arriving.created_at:
        return changed
    return replace(changed, approval_id=arriving.id, rejection_id=None, again=False)


class _Captured:
    """An image that is being judged; it is decoded once, with however many others it is compared."""

    def __init__(self, image: vision.Image, shot: Shot, store: ImageStore, megapixels: float) -> None:
        self.sha256 = image.sha256
        self.ignore = _sides(image.ignore)
        self._picture = Picture(image.png)
        self._store = store
        self._options = Options(
            threshold=shot.threshold,
            antialiasing=shot.antialiasing,
            max_diff_pixels=shot.max_diff_pixels,
            max_diff_ratio=shot.max_diff_ratio,
            align=shot.align,
            max_megapixels=megapixels,
        )

    def difference(self, other: Baseline | Snapshot, exactly: bool = False) -> Difference:
        """What differs from another image of the variant; `exactly`: without what the suite tolerates."""
        assert other.image is not None
        boxes = tuple(vision.Box(*box) for box in [*self.ignore, *other.ignore])
        options = replace(self._options, ignore=boxes)
        if exactly:
            options = replace(options, max_diff_pixels=0, max_diff_ratio=0.0)
        return compare(self._store.get(other.image), self._picture, options)


def _arriving(snapshot: Snapshot, captured: _Captured) -> Baseline | None:
    """The approval on another branch that this image is, now that it has been merged."""
    approvals = baselines.approvals_elsewhere(snapshot.run, snapshot)
    for approval in approvals:
        if approval.image == captured.sha256:
            return approval
    return next((one for one in approvals[:5] if captured.difference(one).equal), None)


def _rejected_before(snapshot: Snapshot, captured: _Captured) -> Snapshot | None:
    """The snapshot of the same variant that a person rejected and that this image is, or cannot be told from."""
    rejected = automatic.rejections(snapshot)
    for one in rejected:
        if one.rejected_image == captured.sha256:
            return one
    for one in [one for one in rejected if one.image][:REJECTIONS_COMPARED]:
        with contextlib.suppress(ImageMissing):  # retention may just have taken it
            if captured.difference(one, exactly=True).equal:
                return one
    return None


def _sides(boxes: Iterable[vision.Box]) -> list[list[int]]:
    """Boxes as they are kept."""
    return [[box.x, box.y, box.width, box.height] for box in boxes]


def _sentence(change: Difference | None, image: vision.Image) -> str | None:
    said = [change.sentence if change else None, image.note]
    if image.moved:
        moved = how_many(len(image.moved), len(image.moved))
        said.append(f"The page did not come to rest: {moved} moved between two shots.")
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
