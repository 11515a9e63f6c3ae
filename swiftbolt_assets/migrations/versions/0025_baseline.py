"""All tables, as they were when their history was taken together."""

from __future__ import annotations

from typing import Any

from alembic import op

from swiftbolt_assets.migrations.plain_sql import install_functions, run_sql

revision = "0025"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything, in the order of dependence: the clock is some columns' default."""
    connection: Any = op.get_bind().connection.driver_connection
    run_sql(
        connection,
        "sql/0025_foundations.sql",
        "functions/clock.sql",
        "sql/0025_symbols.sql",
        "sql/0025_bars.sql",
        "sql/0025_splits.sql",
        "sql/0025_ledger.sql",
        "sql/0025_calendar.sql",
        "sql/0025_interest.sql",
        "sql/0025_queue.sql",
        "sql/0025_providers.sql",
        "sql/0025_platform.sql",
    )
    install_functions(connection)
    run_sql(connection, "sql/0025_seeds.sql")
