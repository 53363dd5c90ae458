"""The tables of who may do what: organisations, people, sessions, keys, the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ForeignKey,
    Index,
    Integer,
    String,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from server.database import UtcDateTime, now
from server.models.base import Created, Id, Model


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
