"""The outbox of the observer: what triggers write down when the application changes a user or a project."""

import sqlalchemy as sa
from alembic import op

revision = "ours_0004"
down_revision = "ours_0003"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "mmconsole_user_events",
        sa.Column("id", _BIG_ID, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.String(16), nullable=False),
        sa.Column("subject_id", sa.String(191), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("aside_at", sa.BigInteger),
        sa.Column("why", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("mmconsole_user_events_subject", "mmconsole_user_events", ["subject", "subject_id"])


def downgrade() -> None:
    op.drop_table("mmconsole_user_events")
