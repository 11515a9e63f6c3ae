"""Beginnings, plans and refusals that may turn out otherwise."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0017"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Ask again what one answer settled, and compare refusals without their reference numbers."""
    run_sql("0017_holes.sql")


def downgrade() -> None:
    """Take it back."""
    run_sql("0017_holes_down.sql")
