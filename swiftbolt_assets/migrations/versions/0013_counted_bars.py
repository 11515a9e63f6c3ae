"""Bars are counted where they are stored."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Count the bars that a chart shows."""
    run_sql("0013_counted_bars.sql")


def downgrade() -> None:
    """Take it back."""
    run_sql("0013_counted_bars_down.sql")
