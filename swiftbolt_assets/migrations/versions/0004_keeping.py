"""Running for years: the databases' sizes, day by day, and when old rows were last pruned."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what retention remembers."""
    run_sql("0004_keeping.sql")


def downgrade() -> None:
    """Drop it."""
    run_sql("0004_keeping_down.sql")
