"""What another provider saw counts by its shares; how far a plan reaches is remembered."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep shares with what was seen, and what a plan serves; refuse bars that nobody traded."""
    run_sql("0022_truth.sql")


def downgrade() -> None:
    """Take it back."""
    run_sql("0022_truth_down.sql")
