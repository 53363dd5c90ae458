"""Where rows were inserted or removed, so that the dashboard can lay two images over each other.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("snapshot", sa.Column("shifts", sa.JSON(), nullable=True))
