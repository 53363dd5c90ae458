"""The tables. Only columns, keys and indexes: rules about them are in `runs` and `access`."""

from server.models.access import (
    ApiKey,
    AuditEvent,
    ExternalLogin,
    Invitation,
    LimitWindow,
    LoginSession,
    Membership,
    Organization,
    PasswordReset,
    User,
)
from server.models.base import new_id
from server.models.work import (
    Baseline,
    Chunk,
    Idempotency,
    Image,
    Project,
    ProjectSecret,
    Run,
    Schedule,
    Snapshot,
    SuiteVersion,
    WorkerRow,
)

__all__ = [
    "ApiKey",
    "AuditEvent",
    "Baseline",
    "Chunk",
    "ExternalLogin",
    "Idempotency",
    "Image",
    "Invitation",
    "LimitWindow",
    "LoginSession",
    "Membership",
    "Organization",
    "PasswordReset",
    "Project",
    "ProjectSecret",
    "Run",
    "Schedule",
    "Snapshot",
    "SuiteVersion",
    "User",
    "WorkerRow",
    "new_id",
]
