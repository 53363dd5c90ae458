"""How Alembic runs migrations here: on the connection that `upgrade()` or `scripts/migration` gives it."""

from typing import Any, Literal

from alembic import context

from server import models  # noqa: F401 - fills the metadata
from server.database import Base, UtcDateTime


def as_plain_sql(kind: str, item: Any, autogenerate: Any) -> str | Literal[False]:
    """Writes our own types as what they are in the database, so that a migration stays true when code moves."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    render_item=as_plain_sql,
)
with context.begin_transaction():
    context.run_migrations()
