"""Snapshots: what one test in one viewport showed, and what the browser reported of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from server.api.shapes.base import NumberedPageQuery, Page, Shape

SnapshotStatus = Literal["PENDING", "RUNNING", "UNCHANGED", "CHANGED", "NEW", "ERROR", "CANCELLED"]
Review = Literal["UNREVIEWED", "APPROVED", "REJECTED"]
BaselineSource = Literal["NEW", "APPROVED", "CARRIED", "AUTO", "RESTORED"]


class SnapshotError(Shape):
    """Why a page could not be judged."""

    kind: str
    message: str


class ComparedWith(Shape):
    """The baseline that a snapshot was compared with."""

    id: str
    branch: str
    commit_sha: str | None
    source: BaselineSource
    approved_by: str | None
    approved_at: datetime
    created_at: datetime = Field(description="The same as `approvedAt`.")


class Images(Shape):
    """Addresses of the three images in this API."""

    actual: str | None
    baseline: str | None
    difference: str | None


class SnapshotOut(Shape):
    """One test in one viewport of a run."""

    id: str
    run_id: str
    project_id: str
    test: str
    viewport: str
    browser: str
    status: SnapshotStatus
    review: Review
    reviewed_by: str | None
    reviewed_at: datetime | None
    review_reason: str | None
    flaky: bool = Field(description="It passed, but not at the first attempt.")
    attempts: int = Field(description="How often the page was captured.")
    url: str = Field(description="The snapshot's page in the dashboard.")
    page_url: str = Field(description="The page that was captured.")
    sentence: str | None = Field(description="What changed, in words.")
    changed_pixels: int | None
    ratio: float | None
    regions: list[list[int]] | None = Field(description="Where it changed: [x, y, width, height].")
    group: str | None = Field(description="What changed, wherever it stands: the same for the same change.")
    group_size: int = Field(description="How many snapshots of the run show this change; 0 without a group.")
    error: SnapshotError | None
    baseline: ComparedWith | None
    images: Images
    thumbnail_url: str | None = Field(
        description="A small picture of the change, before and after, for whoever has this signed address while it "
        "lasts; only where the server is public. Images that were drawn before it could make one have none (404)."
    )
    http_status: int | None
    seconds: float | None


class Redirect(Shape):
    """A redirect of the page itself."""

    status: int
    from_: str = Field(alias="from")
    to: str


class FailedRequest(Shape):
    """A request of the page that failed, or was answered with 400 or above."""

    url: str
    reason: str


class Evidence(Shape):
    """What the browser reported meanwhile: at most 50 of a kind, at most 500 characters each; addresses have no query."""

    http_status: int | None
    redirects: list[Redirect]
    failed_requests: list[FailedRequest]
    console_errors: list[str]
    page_errors: list[str] = Field(description="Exceptions that the page's scripts did not catch.")
    timing_ms: dict[str, int] = Field(description="How long `navigation`, `settling` and `shots` took.")


class SnapshotDetail(SnapshotOut):
    """One test in one viewport of a run, and what the browser reported of it."""

    evidence: Evidence | None = Field(description="Null where nothing was captured.")


class SnapshotPage(Page[SnapshotOut]):
    """One page of a list."""


class SnapshotQuery(NumberedPageQuery):
    """Which snapshots to list."""

    status: SnapshotStatus | None = Field(None, description="Only snapshots of this status.")
