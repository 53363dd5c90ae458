"""Secrets of projects; what the browser reported of each page; what a run says before anybody looks.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "project_secret",
        sa.Column("project_id", sa.String(24), sa.ForeignKey("project.id"), primary_key=True),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("origins", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(254), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.add_column("snapshot", sa.Column("evidence", sa.JSON(), nullable=True))
    op.add_column("run", sa.Column("notice", sa.Text(), nullable=True))
