"""The two columns of the users table that are ours to write.

Laravel's own migration may have made one of them before us. Only what we add is remembered, and only that is taken
back. The table is the application's, and busy: nothing here may keep its reads and writes waiting.
"""

import sqlalchemy as sa
from alembic import op

from mmconsole.database.columns import is_view, read_columns
from mmconsole.database.door import plain
from mmconsole.database.online import add_columns, drop_columns
from mmconsole.errors import OnlyAView

revision = "app_0002"
down_revision = "app_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    names = op.get_context().opts["users_table"]
    columns = op.create_table(
        "mmconsole_columns",
        sa.Column("table_name", sa.String(128), primary_key=True),
        sa.Column("column_name", sa.String(64), primary_key=True),
    )
    there = read_columns(plain(op.get_bind()), names.written)
    added = [name for name in (names.account_id, names.token) if name not in there]
    if added and is_view(plain(op.get_bind()), names.written):
        raise OnlyAView(table=names.written)
    add_columns(op.get_bind(), names.written, added)
    op.bulk_insert(columns, [{"table_name": names.written, "column_name": name} for name in added])


def downgrade() -> None:
    noted = sa.table("mmconsole_columns", sa.column("table_name", sa.String), sa.column("column_name", sa.String))
    added: dict[str, list[str]] = {}
    for table, name in op.get_bind().execute(sa.select(noted.c.table_name, noted.c.column_name)).all():
        added.setdefault(table, []).append(name)
    for table, names in added.items():
        drop_columns(op.get_bind(), table, names)
    op.drop_table("mmconsole_columns")
