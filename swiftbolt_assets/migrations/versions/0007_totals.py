"""Totals of the ledger by symbol: looks at ten thousand symbols count no sessions."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the totals, counted from what is there."""
    run_sql("0007_totals.sql")


def downgrade() -> None:
    """Drop it."""
    run_sql("0007_totals_down.sql")
