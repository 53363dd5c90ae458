"""How often a key was used and when last: exact, because people decide by it which keys to remove."""

from __future__ import annotations

from sqlalchemy import update

from server.database import now, writing
from server.models import ApiKey


def count(key_id: str, successful: bool) -> None:
    """Counts one authenticated request; where it succeeded, it is the last one too.

    Committed before the answer leaves, so that no crash loses a request that was answered.
    """
    values: dict[str, object] = {"request_count": ApiKey.request_count + 1}
    if successful:
        values["last_used_at"] = now()
    with writing() as session:
        session.execute(
            update(ApiKey).where(ApiKey.id == key_id).values(values),
            execution_options={"synchronize_session": False},
        )
