"""Which channel is which project's."""

import sqlalchemy as sa
from alembic import op

revision = "ours_0002"
down_revision = "ours_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mmconsole_projects",
        sa.Column("project_id", sa.String(191), primary_key=True),
        sa.Column("channel_id", sa.String(26), nullable=False),
        sa.Column("linked_at", sa.BigInteger, nullable=False),
        sa.Column("archived_with_project", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("mmconsole_projects_channel_id", "mmconsole_projects", ["channel_id"])


def downgrade() -> None:
    op.drop_table("mmconsole_projects")
