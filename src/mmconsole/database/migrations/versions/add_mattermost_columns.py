"""The two columns of the users table that are ours to write.

Laravel's own migration may have made one of them before us. Only what we add is remembered, and only that is taken
back.
"""

import sqlalchemy as sa
from alembic import op

revision = "app_0002"
down_revision = "app_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    names = op.get_context().opts["users_table"]
    schema, _, table = names.table.rpartition(".")
    columns = op.create_table(
        "mmconsole_columns",
        sa.Column("table_name", sa.String(128), primary_key=True),
        sa.Column("column_name", sa.String(64), primary_key=True),
    )
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table, schema=schema or None)}
    for name in (names.account_id, names.token):
        if name not in there:
            op.add_column(table, sa.Column(name, sa.Text, nullable=True), schema=schema or None)
            op.bulk_insert(columns, [{"table_name": names.table, "column_name": name}])


def downgrade() -> None:
    columns = sa.table("mmconsole_columns", sa.column("table_name", sa.String), sa.column("column_name", sa.String))
    for qualified, name in op.get_bind().execute(sa.select(columns.c.table_name, columns.c.column_name)).all():
        schema, _, table = qualified.rpartition(".")
        # SQLite drops it in place: copying the table would lose the application's triggers.
        op.drop_column(table, name, schema=schema or None)
    op.drop_table("mmconsole_columns")
