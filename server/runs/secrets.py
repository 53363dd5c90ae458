"""Secrets of a project, such as a preview's password: written, replaced, deleted, and never read back.

At rest they are sealed with AES-256-GCM (NIST SP 800-38D) under a key that HKDF (RFC 5869) derives from the settings'
secret key; project and name are authenticated with them, so that none can be put in another's place. What a page
may do with them is `vision.secrets`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select

from server.access import audit
from server.access.audit import Actor
from server.config import Settings
from server.database import db, now, writing
from server.models import Project, ProjectSecret
from server.problems import Invalid, NotFound
from server.runs.suite import Shot
from server.vision.origins import origin_of
from server.vision.page import CaptureError
from server.vision.secrets import Secret, Secrets, names_in, texts_of

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
MOST_ORIGINS = 20
SHORTEST, LONGEST = 4, 10_000
NONCE_BYTES = 12


def listed(project: Project) -> Sequence[ProjectSecret]:
    """A project's secrets, by name."""
    found = select(ProjectSecret).where(ProjectSecret.project_id == project.id).order_by(ProjectSecret.name)
    return db.session.scalars(found).all()


def put(
    project: Project, name: str, value: str, origins: Sequence[str], actor: Actor, settings: Settings
) -> ProjectSecret:
    """Stores a secret or replaces it, value and origins both.

    Raises `Invalid` for a name, a value or an origin that cannot be used.
    """
    if not NAME.fullmatch(name):
        raise Invalid(
            "secret-invalid", "A secret's name has up to 100 letters, digits and _, and begins with no digit."
        )
    if not SHORTEST <= len(value) <= LONGEST or "\0" in value:
        raise Invalid("secret-invalid", f"A secret has {SHORTEST} to {LONGEST} characters and no NUL.")
    bound = list(dict.fromkeys(_origin(text) for text in origins))
    if not 0 < len(bound) <= MOST_ORIGINS:
        raise Invalid(
            "secret-invalid",
            f"Name 1 to {MOST_ORIGINS} origins that the secret may be sent to, such as https://staging.example.com.",
        )
    with writing() as session:
        row = session.get(ProjectSecret, (project.id, name))
        if row is None:
            row = ProjectSecret(project_id=project.id, name=name)
            session.add(row)
        row.sealed = _seal(value, project.id, name, settings)
        row.origins, row.created_by, row.updated_at = bound, actor.name, now()
        target = ("project", project.id, project.slug)
        audit.record(project.organization_id, actor, "SECRET_SET", target, name=name, origins=bound)
    return row


def remove(project: Project, name: str, actor: Actor) -> None:
    """Deletes a secret. Raises `NotFound`."""
    with writing() as session:
        row = session.get(ProjectSecret, (project.id, name))
        if row is None:
            raise NotFound("secret-not-found", f"The project {project.slug!r} has no secret {name!r}.")
        session.delete(row)
        target = ("project", project.id, project.slug)
        audit.record(project.organization_id, actor, "SECRET_DELETE", target, name=name)


def check(project: Project, shots: Iterable[Shot]) -> None:
    """Raises `Invalid` naming the secrets that a run would need and the project does not have."""
    needed = names_used(shots)
    if not needed:
        return
    unknown = sorted(needed - {row.name for row in listed(project)})
    if unknown:
        raise Invalid(
            "secret-unknown",
            f"The suite uses what the project {project.slug!r} does not have: the secret {', '.join(unknown)}. An "
            f"Admin can store it in the project's settings or with PUT /api/projects/{project.slug}/secrets/NAME.",
            {"unknown": unknown},
        )


def names_used(shots: Iterable[Shot]) -> set[str]:
    """The names of the secrets that these shots ask for."""
    return {name for shot in shots for text in texts_of(shot.page) for name in names_in(text)}


def opened(project_id: str, names: Collection[str], settings: Settings) -> Secrets:
    """These of a project's secrets with their values, for the worker that is about to capture; unknown ones left out.

    Raises CaptureError where one cannot be opened, because the settings' secret key is another by now.
    """
    rows = db.session.scalars(
        select(ProjectSecret).where(ProjectSecret.project_id == project_id, ProjectSecret.name.in_(names))
    )
    found = {row.name: Secret(row.name, _open(row, settings), frozenset(row.origins)) for row in rows}
    return Secrets(found)


def _origin(text: str) -> str:
    origin = origin_of(text.strip())
    if origin is None or re.search(r"[*@?#]", text) or text.strip().partition("://")[2].strip("/").count("/"):
        raise Invalid(
            "secret-invalid",
            f"{text[:200]!r} is no origin; one is scheme, host and port, such as https://staging.example.com.",
        )
    return origin


def _seal(value: str, project_id: str, name: str, settings: Settings) -> bytes:
    """Nonce and ciphertext; a nonce is random and never used twice."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(_key(settings)).encrypt(nonce, value.encode(), _about(project_id, name))


def _open(row: ProjectSecret, settings: Settings) -> str:
    nonce, sealed = row.sealed[:NONCE_BYTES], row.sealed[NONCE_BYTES:]
    try:
        return AESGCM(_key(settings)).decrypt(nonce, sealed, _about(row.project_id, row.name)).decode()
    except InvalidTag:
        raise CaptureError(
            "suite",
            f"the secret {row.name} cannot be opened here: it was stored under another RETESTR_SECRET_KEY. Give "
            "every server and worker the same one, or have an Admin store the secret anew",
        ) from None


def _key(settings: Settings) -> bytes:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"retestr: secrets of projects, 1")
    return derive.derive(settings.session_secret().encode())


def _about(project_id: str, name: str) -> bytes:
    return f"{project_id}\n{name}".encode()
