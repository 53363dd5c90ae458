"""The dashboard's lists find their rows: runs by what triggered them and by commit, pages that passed on retry.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("run_by_trigger", "run", ["project_id", "triggered_by", "id"])
    op.create_index("run_by_commit", "run", ["organization_id", "commit_sha"])
    op.create_index(
        "snapshot_flaky",
        "snapshot",
        ["run_id"],
        sqlite_where=sa.text("flaky = 1"),
        postgresql_where=sa.text("flaky"),
    )
