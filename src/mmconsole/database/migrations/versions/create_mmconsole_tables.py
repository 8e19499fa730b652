"""Our own tables, and the id of this installation."""

import secrets
import string

import sqlalchemy as sa
from alembic import op

revision = "ours_0001"
down_revision = None
branch_labels = ("ours",)
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _meta_and_leases()
    _tokens_and_intents()
    _jobs()
    _activity()


def downgrade() -> None:
    for table in ("activity", "job_items", "jobs", "intents", "tokens", "leases", "meta"):
        op.drop_table(f"mmconsole_{table}")


def _meta_and_leases() -> None:
    meta = op.create_table(
        "mmconsole_meta",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    # 26 lower-case letters and digits: it marks our tokens on the server, also beside those of a restored copy.
    letters = string.ascii_lowercase + string.digits
    installation_id = "".join(secrets.choice(letters) for _ in range(26))
    op.bulk_insert(meta, [{"name": "installation_id", "value": installation_id}])
    op.create_table(
        "mmconsole_leases",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("holder", sa.Text),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("acquired_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )


def _tokens_and_intents() -> None:
    op.create_table(
        "mmconsole_tokens",
        sa.Column("user_id", sa.String(191), primary_key=True),
        sa.Column("account_id", sa.String(26)),
        sa.Column("token_id", sa.String(26)),
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("health", sa.String(16), nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("checked_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("pushed_digest", sa.String(64), nullable=False),
        sa.Column("account_update_at", sa.BigInteger, nullable=False),
        sa.Column("waiting_email", sa.Text, nullable=False),
        sa.Column("withheld", sa.Boolean, nullable=False),
        sa.Column("deactivated_by_us", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    for column in ("account_id", "token_id", "fingerprint"):
        op.create_index(f"mmconsole_tokens_{column}", "mmconsole_tokens", [column])
    op.create_table(
        "mmconsole_intents",
        sa.Column("operation_id", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(191), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("account_id", sa.String(26)),
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
    )
    op.create_index("mmconsole_intents_user_id", "mmconsole_intents", ["user_id"])


def _jobs() -> None:
    op.create_table(
        "mmconsole_jobs",
        sa.Column("id", _BIG_ID, primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("counts", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "mmconsole_job_items",
        sa.Column("job_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("user_id", sa.String(191), nullable=False),
        sa.Column("steps", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(64), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("removals", sa.Integer, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("mmconsole_job_items_state", "mmconsole_job_items", ["job_id", "state", "position"])
    some = sa.text("removals > 0")
    op.create_index(
        "mmconsole_job_items_removals",
        "mmconsole_job_items",
        ["finished_at", "removals"],
        sqlite_where=some,
        postgresql_where=some,
    )


def _activity() -> None:
    op.create_table(
        "mmconsole_activity",
        sa.Column("id", _BIG_ID, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("verb", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(191)),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("job_id", sa.BigInteger),
        sa.Column("request_id", sa.String(64), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("mmconsole_activity_user_id", "mmconsole_activity", ["user_id", "id"])
