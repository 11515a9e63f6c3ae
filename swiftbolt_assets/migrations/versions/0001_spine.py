"""The spine: bars, calendar, ledger, interest, limiter, work."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything, in the order of dependence."""
    run_sql(
        "0001_foundations.sql",
        "0001_bars.sql",
        "0001_splits.sql",
        "0001_ledger.sql",
        "0001_interest.sql",
        "0001_reading.sql",
        "0001_chart.sql",
        "0001_rate_limit.sql",
        "0001_provider_health.sql",
        "0001_planning.sql",
        "0001_work.sql",
        "0001_seeds.sql",
    )


def downgrade() -> None:
    """Drop everything but roles and the auth schema, which may be somebody else's."""
    run_sql("0001_down.sql")
