"""${message}."""

from __future__ import annotations

from alembic import op

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """${message}."""
    run_sql(op.get_bind().connection.driver_connection, "sql/${up_revision}_topic.sql")
