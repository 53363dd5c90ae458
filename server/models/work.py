"""The tables of what is done: projects, runs, snapshots, images, baselines, and who works on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from server.database import UtcDateTime, now
from server.models.base import Created, Id, Model, where_set


class Project(Id, Created, Model):
    """A site under test: its suite, its runs and its baselines."""

    __tablename__ = "project"
    __table_args__ = (UniqueConstraint("organization_id", "slug"),)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"))
    name: Mapped[str] = mapped_column(String(200))
    slug: Mapped[str] = mapped_column(String(80))
    default_branch: Mapped[str] = mapped_column(String(255), default="main")
    suite: Mapped[str] = mapped_column(Text, default="")
    suite_changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)  # when a person changed it
    run_count: Mapped[int] = mapped_column(Integer, default=0)  # the newest run's number
    claimed_at_s: Mapped[float] = mapped_column(default=0.0)  # the database's time of its last claim
    keep_passing_days: Mapped[int | None]  # its own retention, instead of the settings'
    keep_failing_days: Mapped[int | None]
    keep_runs_days: Mapped[int | None]
    auto_approve: Mapped[list[str]] = mapped_column(
        JSON, default=list, server_default="[]"
    )  # branch patterns


class SuiteVersion(Created, Model):
    """A suite that runs were made from: the project's own or one that came with them, each text once (`runs.suites`)."""

    __tablename__ = "suite_version"
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    used_at: Mapped[datetime] = mapped_column(UtcDateTime)  # by the latest run
    text: Mapped[str] = mapped_column(Text)


class ProjectSecret(Model):
    """A secret of a project: nonce and ciphertext (`runs.secrets`), and the origins that it may be sent to."""

    __tablename__ = "project_secret"
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    sealed: Mapped[bytes]
    origins: Mapped[list[str]] = mapped_column(JSON)
    created_by: Mapped[str] = mapped_column(String(254))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class Run(Id, Created, Model):
    """One execution of a suite. `number` counts within the project: a later trigger, a higher number."""

    __tablename__ = "run"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        Index("run_by_project", "project_id", "id"),
        Index("run_by_organization", "organization_id", "id"),
        Index("run_by_status", "organization_id", "status", "id"),
        Index("run_by_branch", "organization_id", "branch", "id"),
        Index("run_by_trigger", "project_id", "triggered_by", "id"),
        Index("run_by_commit", "organization_id", "commit_sha"),
        Index("run_unfinished", "status", "id"),
        where_set("run_by_suite", "suite_sha256", "project_id", "suite_sha256"),
    )
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    number: Mapped[int]
    branch: Mapped[str] = mapped_column(String(255))
    base_branch: Mapped[str | None] = mapped_column(String(255))
    commit_sha: Mapped[str | None] = mapped_column(String(255))
    name: Mapped[str | None] = mapped_column(String(200))
    pull_request: Mapped[int | None]
    workflow_url: Mapped[str | None] = mapped_column(String(2000))
    actor: Mapped[str | None] = mapped_column(String(200))
    on_default_branch: Mapped[bool]
    triggered_by: Mapped[str] = mapped_column(String(200))
    suite_sha256: Mapped[str | None] = mapped_column(
        String(64)
    )  # a SuiteVersion; null: before there were any
    suite_sent: Mapped[bool] = mapped_column(default=False, server_default=false())  # it came with the run
    status: Mapped[str] = mapped_column(String(10), default="PENDING")
    message: Mapped[str | None] = mapped_column(Text)
    notice: Mapped[str | None] = mapped_column(Text)  # what one should know before one looks at the changes
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    images_removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # by retention
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    new: Mapped[int] = mapped_column(default=0)
    error: Mapped[int] = mapped_column(default=0)
    flaky: Mapped[int] = mapped_column(default=0)
    project: Mapped[Project] = relationship()


class Idempotency(Created, Model):
    """Remembers which run an `Idempotency-Key` made, and from which request."""

    __tablename__ = "idempotency"
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"))


class Chunk(Id, Model):
    """A few snapshots of one run that a worker claims together.

    `owner` holds it until `lease_until_s` (the database's clock). `deaths` counts owners that vanished.
    """

    __tablename__ = "chunk"
    __table_args__ = (
        Index("chunk_open", "done", "project_id", "priority", "run_id", "position"),
        Index("chunk_lease", "done", "lease_until_s"),
    )
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    priority: Mapped[int]  # 0: default branch, 1: others
    position: Mapped[int]
    owner: Mapped[str | None] = mapped_column(String(80))
    lease_until_s: Mapped[float | None]
    deaths: Mapped[int] = mapped_column(default=0)
    done: Mapped[bool] = mapped_column(default=False)


class WorkerRow(Model):
    """A worker process, as of its last heartbeat, and what it has done since it started (`runs.workers.Done`)."""

    __tablename__ = "worker"
    owner: Mapped[str] = mapped_column(String(80), primary_key=True)
    host: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at_s: Mapped[float]  # the database's clock
    pages_open: Mapped[int]
    captures: Mapped[int]
    known_at_once: Mapped[int]
    comparisons: Mapped[int]
    errors: Mapped[int]
    browser_starts: Mapped[int]


class Schedule(Model):
    """When periodic work is due next, so that it runs once and not once per machine."""

    __tablename__ = "schedule"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    due_s: Mapped[float]  # the database's clock


class Snapshot(Id, Model):
    """One test in one viewport in one run: what was captured, what it was compared with, what was decided."""

    __tablename__ = "snapshot"
    __table_args__ = (
        Index("snapshot_by_run", "run_id", "position"),
        Index("snapshot_by_variant", "project_id", "test", "viewport", "browser"),
        Index("snapshot_by_image", "image"),
        Index("snapshot_by_difference", "difference"),
        where_set("snapshot_by_group", "group", "run_id", "group"),
        where_set("snapshot_rejected", "rejected_image", "project_id", "test"),
        Index("snapshot_flaky", "run_id", sqlite_where=text("flaky = 1"), postgresql_where=text("flaky")),
    )
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    chunk_id: Mapped[str] = mapped_column(ForeignKey("chunk.id"), index=True)
    position: Mapped[int]
    test: Mapped[str] = mapped_column(String(200))
    viewport: Mapped[str] = mapped_column(String(100))
    browser: Mapped[str] = mapped_column(String(40), default="chromium")
    was: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))  # earlier names of the test
    shot: Mapped[str] = mapped_column(Text)  # runs.suite.Shot as JSON: what to capture, how to judge
    page_url: Mapped[str] = mapped_column(String(2000))
    status: Mapped[str] = mapped_column(String(10), default="PENDING")
    review: Mapped[str] = mapped_column(String(10), default="UNREVIEWED")
    attempts: Mapped[int] = mapped_column(default=1, server_default="1")  # captures until it was judged
    flaky: Mapped[bool] = mapped_column(default=False)  # passed, but not at the first attempt
    image: Mapped[str | None] = mapped_column(ForeignKey("image.sha256"))
    difference: Mapped[str | None] = mapped_column(ForeignKey("image.sha256"))
    ignore: Mapped[list[list[int]]] = mapped_column(JSON, default=list)  # boxes that were not compared
    identity: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)  # what drew it: browser, version
    changed_pixels: Mapped[int | None]
    ratio: Mapped[float | None]
    regions: Mapped[list[list[int]] | None] = mapped_column(JSON(none_as_null=True))  # [x, y, width, height]
    shifts: Mapped[list[list[int]] | None] = mapped_column(JSON(none_as_null=True))  # [y, rows], < 0: removed
    sentence: Mapped[str | None] = mapped_column(Text)
    group: Mapped[str | None] = mapped_column(String(64))  # what changed, wherever it stands: a SHA-256
    baseline_id: Mapped[str | None] = mapped_column(ForeignKey("baseline.id"), index=True)
    error_kind: Mapped[str | None] = mapped_column(String(20))
    error_message: Mapped[str | None] = mapped_column(Text)
    http_status: Mapped[int | None]
    evidence: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    seconds: Mapped[float | None]
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reviewed_by: Mapped[str | None] = mapped_column(String(200))
    reviewed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    review_reason: Mapped[str | None] = mapped_column(Text)
    rejected_image: Mapped[str | None] = mapped_column(
        String(64)
    )  # by a person; stays when retention takes it
    run: Mapped[Run] = relationship()
    baseline: Mapped[Baseline | None] = relationship(foreign_keys=[baseline_id])


class Image(Created, Model):
    """A PNG in the image store, named by the SHA-256 of its bytes."""

    __tablename__ = "image"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    width: Mapped[int]
    height: Mapped[int]
    size_bytes: Mapped[int]
    used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)  # when it was last put into the store
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # an old baseline names it still


class Baseline(Id, Created, Model):
    """How a variant shall look on a branch: one entry of an append-only history.

    The newest is the one whose run was triggered last (`run_number`), not the one written last. One that has ended
    counts no more, and stays in the history.
    """

    __tablename__ = "baseline"
    __table_args__ = (
        Index("baseline_newest", "project_id", "branch", "test", "viewport", "browser", "run_number"),
        Index("baseline_by_image", "image"),
    )
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    branch: Mapped[str] = mapped_column(String(255))
    test: Mapped[str] = mapped_column(String(200))
    viewport: Mapped[str] = mapped_column(String(100))
    browser: Mapped[str] = mapped_column(String(40))
    was: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))  # earlier names of the test
    image: Mapped[str] = mapped_column(ForeignKey("image.sha256"))
    width: Mapped[int]
    height: Mapped[int]
    ignore: Mapped[list[list[int]]] = mapped_column(JSON)
    identity: Mapped[dict[str, str]] = mapped_column(JSON)
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    run_number: Mapped[int]
    commit_sha: Mapped[str | None] = mapped_column(String(255))
    source: Mapped[str] = mapped_column(String(10))  # NEW, APPROVED, CARRIED, AUTO or RESTORED
    approved_by: Mapped[str | None] = mapped_column(String(200))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_why: Mapped[str | None] = mapped_column(String(10))  # TAKEN_BACK or EXPIRED
