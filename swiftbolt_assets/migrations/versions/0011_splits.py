"""Splits that the prices support, on the day on which the prices show them."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep listed events, and what the prices say of each."""
    run_sql("0011_splits.sql")


def downgrade() -> None:
    """Take it back."""
    run_sql("0011_splits_down.sql")
