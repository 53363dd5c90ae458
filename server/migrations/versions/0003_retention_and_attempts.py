"""Retention: each project's own, when an image was last used, when a run's images were removed; attempts.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "image",
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False, server_default="1970-01-01 00:00:00.000000"),
    )
    op.execute("UPDATE image SET used_at = created_at")
    for name in ("keep_passing_days", "keep_failing_days", "keep_runs_days"):
        op.add_column("project", sa.Column(name, sa.Integer(), nullable=True))
    op.add_column("run", sa.Column("images_removed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("snapshot", sa.Column("attempts", sa.Integer(), nullable=False, server_default="1"))
