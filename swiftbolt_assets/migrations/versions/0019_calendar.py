"""Closures and early closes that are announced between releases."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the changes, and what they keep aside."""
    run_sql("0019_calendar.sql")


def downgrade() -> None:
    """Take it back."""
    run_sql("0019_calendar_down.sql")
