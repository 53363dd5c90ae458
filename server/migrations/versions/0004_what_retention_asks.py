"""Retention: indexes for what it looks up, and when an image's file was removed while its row stayed.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("image", sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_snapshot_baseline_id", "snapshot", ["baseline_id"])
    op.create_index("ix_baseline_run_id", "baseline", ["run_id"])
