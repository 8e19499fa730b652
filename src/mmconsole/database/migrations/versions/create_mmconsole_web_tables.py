"""What the HTTP service keeps: tickets of magic links, and keys of those who may call it. Both only as digests."""

import sqlalchemy as sa
from alembic import op

revision = "ours_0003"
down_revision = "ours_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mmconsole_tickets",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(191), nullable=False),
        sa.Column("issued_by", sa.Text, nullable=False),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("spent_at", sa.BigInteger),
        sa.Column("reused", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("mmconsole_tickets_expires_at", "mmconsole_tickets", ["expires_at"])
    op.create_table(
        "mmconsole_api_keys",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("mmconsole_api_keys")
    op.drop_table("mmconsole_tickets")
