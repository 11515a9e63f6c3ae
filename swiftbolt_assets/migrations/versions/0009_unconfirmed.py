"""Absences that are unlikely stay unconfirmed until independent evidence."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Count them apart, and ask again on the market clock."""
    run_sql("0009_unconfirmed.sql")


def downgrade() -> None:
    """Take it back."""
    run_sql("0009_unconfirmed_down.sql")
