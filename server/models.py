"""The tables. Only columns, keys and indexes: rules about them are in `runs` and `access`."""

from __future__ import annotations

import base64
import secrets
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from server.database import Base, UtcDateTime, db, now

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


def new_id() -> str:
    """A public identifier of 24 characters: 56 bits of time in microseconds, then 64 random bits.

    Base 32 in an alphabet that sorts, so that later means greater and new index entries lie side by side.
    """
    stamp = int(time.time() * 1_000_000).to_bytes(7, "big")
    return base64.b32hexencode(stamp + secrets.token_bytes(8)).decode().lower()


class Id:
    """The primary key that most tables share."""

    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)


class Created:
    """When the row was made."""

    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class Organization(Id, Created, Model):
    """A team: owns projects, keys, members and the audit log."""

    __tablename__ = "organization"
    name: Mapped[str] = mapped_column(String(200), unique=True)


class User(Id, Created, Model):
    """A person who logs in to the dashboard."""

    __tablename__ = "user"
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    password_hash: Mapped[str | None] = mapped_column(String(255))


class Membership(Created, Model):
    """What a person may do in an organisation: Admin, Editor or Viewer."""

    __tablename__ = "membership"
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(10))
    organization: Mapped[Organization] = relationship()
    user: Mapped[User] = relationship()


class LoginSession(Id, Created, Model):
    """One browser where a person is logged in; the cookie's token is kept as its SHA-256."""

    __tablename__ = "login_session"
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"), index=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    address: Mapped[str] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(String(300))
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class ExternalLogin(Created, Model):
    """A person's account at a provider: `subject` is what the provider calls them, for good."""

    __tablename__ = "external_login"
    provider: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"), index=True)
    email: Mapped[str] = mapped_column(String(254))


class Invitation(Id, Created, Model):
    """A link that makes whoever opens it a member, once; the link's token is kept as its SHA-256."""

    __tablename__ = "invitation"
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"), index=True)
    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[str] = mapped_column(String(10))
    invited_by: Mapped[str] = mapped_column(String(254))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PasswordReset(Created, Model):
    """A link that sets a new password, once; the link's token is kept as its SHA-256."""

    __tablename__ = "password_reset"
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"), index=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LimitWindow(Model):
    """How often something happened in the current window of a rate limit (`access.limits`)."""

    __tablename__ = "limit_window"
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    ends_s: Mapped[float] = mapped_column(index=True)  # the database's clock
    count: Mapped[int]


class ApiKey(Id, Created, Model):
    """A key for machines; only its SHA-256 and a hint are kept."""

    __tablename__ = "api_key"
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    hint: Mapped[str] = mapped_column(String(20))
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    project_ids: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    request_count: Mapped[int] = mapped_column(Integer, default=0)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(254))
    replaces_id: Mapped[str | None] = mapped_column(ForeignKey("api_key.id"), unique=True)  # rotated from
    window_ends_s: Mapped[float] = mapped_column(default=0.0)  # of its rate limit, the database's clock
    window_count: Mapped[int] = mapped_column(default=0)


class Project(Id, Created, Model):
    """A site under test: its suite, its runs and its baselines."""

    __tablename__ = "project"
    __table_args__ = (UniqueConstraint("organization_id", "slug"),)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"))
    name: Mapped[str] = mapped_column(String(200))
    slug: Mapped[str] = mapped_column(String(80))
    default_branch: Mapped[str] = mapped_column(String(255), default="main")
    suite: Mapped[str] = mapped_column(Text, default="")
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)
    run_count: Mapped[int] = mapped_column(Integer, default=0)  # the newest run's number
    claimed_at_s: Mapped[float] = mapped_column(default=0.0)  # the database's time of its last claim
    keep_passing_days: Mapped[int | None]  # its own retention, instead of the settings'
    keep_failing_days: Mapped[int | None]
    keep_runs_days: Mapped[int | None]


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
        Index("run_unfinished", "status", "id"),
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
    )
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    chunk_id: Mapped[str] = mapped_column(ForeignKey("chunk.id"), index=True)
    position: Mapped[int]
    test: Mapped[str] = mapped_column(String(200))
    viewport: Mapped[str] = mapped_column(String(100))
    browser: Mapped[str] = mapped_column(String(40), default="chromium")
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
    sentence: Mapped[str | None] = mapped_column(Text)
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

    The newest is the one whose run was triggered last (`run_number`), not the one written last.
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
    image: Mapped[str] = mapped_column(ForeignKey("image.sha256"))
    width: Mapped[int]
    height: Mapped[int]
    ignore: Mapped[list[list[int]]] = mapped_column(JSON)
    identity: Mapped[dict[str, str]] = mapped_column(JSON)
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"), index=True)
    run_number: Mapped[int]
    commit_sha: Mapped[str | None] = mapped_column(String(255))
    source: Mapped[str] = mapped_column(String(10))  # NEW, APPROVED or CARRIED
    approved_by: Mapped[str | None] = mapped_column(String(200))


class AuditEvent(Model):
    """Who did what to which thing, when and from where. Rows are only ever added."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("audit_by_organization", "organization_id", "id"),
        Index("audit_by_action", "organization_id", "action", "id"),
        Index("audit_by_actor", "organization_id", "actor_name", "id"),
        Index("audit_by_target", "organization_id", "target_id", "id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    actor_kind: Mapped[str] = mapped_column(String(10))  # user, key, cli, system
    actor_id: Mapped[str | None] = mapped_column(String(24))
    actor_name: Mapped[str] = mapped_column(String(254))
    address: Mapped[str | None] = mapped_column(String(45))
    action: Mapped[str] = mapped_column(String(40))
    target_kind: Mapped[str] = mapped_column(String(20))
    target_id: Mapped[str | None] = mapped_column(String(24))
    target_name: Mapped[str | None] = mapped_column(String(255))
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    request_id: Mapped[str | None] = mapped_column(String(64))
