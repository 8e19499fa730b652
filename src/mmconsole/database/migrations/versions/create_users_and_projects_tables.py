"""The embedded database's own users and projects. An attached application has its own, and keeps them."""

import sqlalchemy as sa
from alembic import op

revision = "app_0001"
down_revision = None
branch_labels = ("app",)
depends_on = None


def upgrade() -> None:
    if not op.get_context().opts["embedded"]:
        return
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("email", sa.Text),
        sa.Column("username", sa.Text),
        sa.Column("first_name", sa.Text),
        sa.Column("last_name", sa.Text),
        sa.Column("locale", sa.Text),
        sa.Column("email_verified_at", sa.DateTime),
        sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("deleted_at", sa.DateTime),
        sa.Column("created_at", sa.DateTime),
        sa.Column("updated_at", sa.DateTime),
        sqlite_autoincrement=True,
    )
    op.create_index("users_email", "users", ["email"])
    op.create_table(
        "projects",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("team", sa.Text),
        sa.Column("archived_at", sa.DateTime),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    if not op.get_context().opts["embedded"]:
        return
    op.drop_table("projects")
    op.drop_table("users")
