"""Groups of changes, earlier names of tests, baselines that end, what people rejected, approval by branch pattern.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("project", sa.Column("auto_approve", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("baseline", sa.Column("was", sa.JSON(), nullable=True))
    op.add_column("baseline", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("baseline", sa.Column("ended_why", sa.String(10), nullable=True))
    op.add_column("snapshot", sa.Column("was", sa.JSON(), nullable=True))
    op.add_column("snapshot", sa.Column("group", sa.String(64), nullable=True))
    op.add_column("snapshot", sa.Column("rejected_image", sa.String(64), nullable=True))
    for name, column, columns in (
        ("snapshot_by_group", "group", ["run_id", "group"]),
        ("snapshot_rejected", "rejected_image", ["project_id", "test"]),
    ):
        few = sa.text(f'"{column}" IS NOT NULL')
        op.create_index(name, "snapshot", columns, sqlite_where=few, postgresql_where=few)
    op.execute("UPDATE snapshot SET rejected_image = image WHERE review = 'REJECTED'")
