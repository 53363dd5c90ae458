"""Lists of runs by status and by branch find their page; a run keeps no copy of its suite, which nobody read.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("run_by_status", "run")
    op.create_index("run_by_status", "run", ["organization_id", "status", "id"])
    op.create_index("run_by_branch", "run", ["organization_id", "branch", "id"])
    op.drop_column("run", "suite")
