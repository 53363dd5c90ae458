"""The audit log: who did what to which thing, when and from where. Only ever added to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.database import db
from server.models import AuditEvent


@dataclass(frozen=True)
class Actor:
    """Who acts: a person (`user`), a key, somebody at the command line (`cli`) or retestr itself (`system`)."""

    kind: str
    id: str | None
    name: str
    address: str | None = None
    request_id: str | None = None

    def __str__(self) -> str:
        return self.name


SYSTEM = Actor("system", None, "retestr")
CLI = Actor("cli", None, "command line")


def record(
    organization_id: str,
    actor: Actor,
    action: str,
    target: tuple[str, str | None, str | None],
    **details: Any,
) -> None:
    """Adds one event to the current writing transaction, so that a change and its record stand or fall together.

    `target` is (kind, id, name); `details` must be plain JSON and never hold a secret.
    """
    kind, target_id, target_name = target
    db.session.add(
        AuditEvent(
            organization_id=organization_id,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_name=actor.name,
            address=actor.address,
            action=action,
            target_kind=kind,
            target_id=target_id,
            target_name=target_name,
            details={name: value for name, value in details.items() if value is not None},
            request_id=actor.request_id,
        )
    )
