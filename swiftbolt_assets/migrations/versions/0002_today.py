"""Today and the truth: live bars, finalization, splits, certificates."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what today's bars, splits and certificates need."""
    run_sql("0002_live.sql", "0002_finalization.sql", "0002_splits.sql", "0002_proof.sql")


def downgrade() -> None:
    """Drop it, in the opposite order."""
    run_sql(
        "0002_proof_down.sql",
        "0002_splits_down.sql",
        # The chart's function as it was.
        "0001_chart.sql",
        "0002_finalization_down.sql",
        "0002_live_down.sql",
    )
