"""The JSON of the API as pydantic models: what is sent and what is answered. Members are camelCase."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

from server.access.scopes import SCOPES
from server.api.texts import (
    NO_NUL,
    Branch,
    Cursor,
    Days,
    Instant,
    KeepDays,
    Name,
    Note,
    OptionalBranch,
    OptionalName,
    OptionalUrl,
    Origin,
    Position,
    PullRequest,
    Reference,
    SuiteText,
)

T = TypeVar("T")


RunStatus = Literal["PENDING", "RUNNING", "PASSED", "FAILED", "ERROR", "CANCELLED"]
SnapshotStatus = Literal["PENDING", "RUNNING", "UNCHANGED", "CHANGED", "NEW", "ERROR", "CANCELLED"]
Scope = Annotated[str, WithJsonSchema({"type": "string", "enum": [*SCOPES]})]
Review = Literal["UNREVIEWED", "APPROVED", "REJECTED"]


class Asked(BaseModel):
    """Base of what is sent: camelCase, unknown members ignored, so that newer clients can talk to us."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")


class Shape(BaseModel):
    """Base of what is answered: camelCase outside; views fill it in by the names of the tables' columns."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Page(Shape, Generic[T]):
    """One page of a list; `nextCursor` asks for the next one, and is null on the last."""

    items: list[T]
    next_cursor: str | None


class PageQuery(Asked):
    """How every list is asked for."""

    limit: int = Field(50, ge=1, le=200, description="Most items of the answer.")
    cursor: Cursor | None = Field(None, description="`nextCursor` of the page before.")


class NumberedPageQuery(Asked):
    """The same for lists in the order of a number."""

    limit: int = Field(50, ge=1, le=200, description="Most items of the answer.")
    cursor: Position | None = Field(None, description="`nextCursor` of the page before.")


# ------------------------------------------------------------------------------------------- runs


class TriggerIn(Asked):
    """What to run. The first three are the contract; the rest is optional."""

    project_id: Reference = Field(description="The project's ID or slug.")
    branch: Branch = Field(description="The branch that is tested.", examples=["main"])
    commit_sha: OptionalBranch = Field(None, description="The commit, an opaque text.")
    base_branch: OptionalBranch = Field(None, description="The branch that this one will be merged into.")
    base_url: OptionalUrl = Field(None, description="Capture from here instead of the suite's `baseUrl`.")
    suite: SuiteText | None = Field(None, description="A suite (YAML) for this run instead of the project's.")
    tests: list[Name] = Field([], max_length=1000, description="Names or patterns of the tests to run.")
    name: OptionalName = Field(None, description="What the run is called where a workflow has several.")
    pull_request: PullRequest | None = None
    workflow_url: OptionalUrl = None
    actor: OptionalName = Field(None, description="Who caused the run, as the CI system says.")


class Counts(Shape):
    """How many snapshots a run has, in all and by outcome."""

    total: int
    done: int
    unchanged: int
    changed: int
    new: int
    error: int
    flaky: int


class RunOut(Shape):
    """A run."""

    id: str
    project_id: str
    number: int = Field(description="Counts up within the project.")
    branch: str
    base_branch: str | None
    commit_sha: str | None
    name: str | None
    pull_request: int | None
    workflow_url: str | None
    actor: str | None
    status: RunStatus
    message: str | None = Field(description="The verdict in one sentence, once there is one.")
    notice: str | None = Field(
        description="What to know before looking at changes: another browser drew the baselines."
    )
    url: str = Field(description="The run's page in the dashboard.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds_left: int | None = Field(
        description="How long it will take at the pace so far; null before the first snapshot is done, and after the last."
    )
    counts: Counts


class RunPage(Page[RunOut]):
    """One page of a list."""


class RunQuery(PageQuery):
    """Which runs to list."""

    project_id: str | None = Field(None, max_length=100)
    branch: str | None = Field(None, max_length=255)
    status: RunStatus | None = None


class CancelledOut(Shape):
    """How many runs were cancelled."""

    cancelled: int


# ------------------------------------------------------------------------------------------- snapshots


class SnapshotError(Shape):
    """Why a page could not be judged."""

    kind: str
    message: str


class ComparedWith(Shape):
    """The baseline that a snapshot was compared with."""

    id: str
    branch: str
    commit_sha: str | None
    approved_by: str | None
    approved_at: datetime


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
    error: SnapshotError | None
    baseline: ComparedWith | None
    images: Images
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

    status: SnapshotStatus | None = None


class ReviewIn(Asked):
    """Why a change is approved or rejected."""

    reason: Note | None = None


# ------------------------------------------------------------------------------------------- projects


class ProjectIn(Asked):
    """A project to make."""

    name: Name
    slug: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)] | None = None
    default_branch: Branch = "main"
    suite: SuiteText = ""


class ProjectPatch(Asked):
    """What to change of a project; what is left out stays."""

    name: Name | None = None
    default_branch: Branch | None = None
    keep_passing_days: KeepDays | None = Field(
        None,
        description="Days that images of passing runs are kept; 0: for ever, null: as the server's settings say.",
    )
    keep_failing_days: KeepDays | None = Field(None, description="The same for images of failing runs.")
    keep_runs_days: KeepDays | None = Field(None, description="The same for runs as a whole.")


class ProjectOut(Shape):
    """A project."""

    id: str
    name: str
    slug: str
    default_branch: str
    has_suite: bool
    keep_passing_days: int | None = Field(
        description="Days that images of passing runs are kept; 0: for ever, null: as the server's settings say."
    )
    keep_failing_days: int | None = Field(description="The same for images of failing runs.")
    keep_runs_days: int | None = Field(description="The same for runs as a whole.")
    url: str
    created_at: datetime
    updated_at: datetime


class ProjectPage(Page[ProjectOut]):
    """One page of a list."""


class SecretIn(Asked):
    """A secret to store."""

    value: str = Field(
        min_length=4, max_length=10_000, pattern=NO_NUL, description="What nobody can read again."
    )
    origins: list[Origin] = Field(
        min_length=1,
        max_length=20,
        description="Where it may be sent: scheme, host and port.",
        examples=[["https://staging.example.com"]],
    )


class SecretOut(Shape):
    """A secret as it is listed: never its value."""

    name: str
    origins: list[str]
    created_by: str
    updated_at: datetime


class SecretList(Shape):
    """All secrets of a project."""

    items: list[SecretOut]


class BaselineOut(Shape):
    """How a variant (test, viewport and browser) shall look on a branch."""

    id: str
    project_id: str
    branch: str
    test: str
    viewport: str
    browser: str
    sha256: str
    width: int
    height: int
    commit_sha: str | None
    run_id: str
    source: Literal["NEW", "APPROVED", "CARRIED"]
    approved_by: str | None
    approved_at: datetime
    image_url: str


class BaselinePage(Page[BaselineOut]):
    """One page of a list."""


class BaselineQuery(Asked):
    """Which branch's baselines to list; the project's default branch unless named."""

    branch: str | None = Field(None, max_length=255)


# ------------------------------------------------------------------------------------------- keys, audit


class KeyIn(Asked):
    """A key to make."""

    name: Name = Field(examples=["GitHub Actions CI"])
    scopes: list[Scope] = Field(min_length=1, max_length=20, examples=[["run:read", "run:write"]])
    expires_at: Instant | None = Field(None, description="When it ends; a past date is refused.")
    expires_in_days: Days | None = Field(None, description="Instead of `expiresAt`.")
    project_ids: list[str] | None = Field(
        None, min_length=1, max_length=1000, description="Limit it to these projects, by ID or slug."
    )


class RotateIn(Asked):
    """How to rotate a key."""

    overlap_hours: float = Field(24, ge=0, le=720, strict=True, description="How long the old key lives on.")


class LeakedIn(Asked):
    """A key that was found in the open."""

    key: str = Field(min_length=1, max_length=200)


class LeakedOut(Shape):
    """What everybody is answered who reports a key."""

    status: str


class KeyOut(Shape):
    """A key as it is listed: never the key itself."""

    id: str
    name: str
    hint: str
    scopes: list[str]
    project_ids: list[str] | None
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None
    request_count: int
    requests_per_day: float = Field(description="Since its creation.")
    revoked_at: datetime | None
    created_by: str
    replaces_id: str | None = Field(description="The key that this one was rotated from.")
    notes: list[str] = Field(
        description="What to look at: revoked, expired, expiring (14 days), unused (never), stale (90 days), "
        "overactive."
    )


class KeyPage(Page[KeyOut]):
    """One page of a list."""


class KeyCreated(KeyOut):
    """A key just made; `key` is shown this once."""

    key: str


class AuditActor(Shape):
    """Who acted."""

    kind: Literal["user", "key", "cli", "system"]
    id: str | None
    name: str
    address: str | None


class AuditTarget(Shape):
    """What was acted upon."""

    kind: str
    id: str | None
    name: str | None


class AuditOut(Shape):
    """One event of the audit log."""

    id: str
    time: datetime
    actor: AuditActor
    action: str
    target: AuditTarget
    metadata: dict[str, Any]
    request_id: str | None


class AuditPage(Page[AuditOut]):
    """One page of a list."""


class AuditQuery(NumberedPageQuery):
    """Which events to list."""

    action: str | None = Field(None, max_length=40, examples=["RUN_TRIGGER"])
    actor: str | None = Field(None, max_length=254, description="Name or ID of who acted.")
    target: str | None = Field(None, max_length=255, description="Name or ID of what was acted upon.")
    since: Instant | None = None
    until: Instant | None = None


class AuditExportQuery(Asked):
    """Which events to export, and how."""

    format: Literal["jsonl", "csv"] = "jsonl"
    action: str | None = Field(None, max_length=40)
    actor: str | None = Field(None, max_length=254)
    target: str | None = Field(None, max_length=255)
    since: Instant | None = None
    until: Instant | None = None
