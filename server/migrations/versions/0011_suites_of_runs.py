"""The suite that each run was made from, each text once for a project.

Revision ID: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "suite_version",
        sa.Column("project_id", sa.String(24), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "sha256", name="pk_suite_version"),
        # Deleted with the project also by servers of the version before, which do not know of this table.
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name="fk_suite_version_project_id", ondelete="CASCADE"
        ),
    )
    op.add_column("project", sa.Column("suite_changed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("run", sa.Column("suite_sha256", sa.String(64), nullable=True))
    op.add_column("run", sa.Column("suite_sent", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "run_by_suite",
        "run",
        ["project_id", "suite_sha256"],
        sqlite_where=sa.text('"suite_sha256" IS NOT NULL'),
        postgresql_where=sa.text('"suite_sha256" IS NOT NULL'),
    )
