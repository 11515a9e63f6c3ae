"""Newest sessions that are asked for again because somebody pressed a button."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Remember presses, a symbol's together."""
    run_sql("0014_rechecks.sql")


def downgrade() -> None:
    """Take it back."""
    run_sql("0014_rechecks_down.sql")
