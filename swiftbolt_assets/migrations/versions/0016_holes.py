"""Beginnings, plans and refusals that may turn out otherwise."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Ask again what one answer settled, and compare refusals without their reference numbers."""
    run_sql("0016_holes.sql")


def downgrade() -> None:
    """Take it back."""
    run_sql("0016_holes_down.sql")
