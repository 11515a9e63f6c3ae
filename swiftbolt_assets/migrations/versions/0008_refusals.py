"""A provider's bad hour: refusals with their evidence, pauses that grow, one probe for all."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep what a refusal proves, and wait instead of failing."""
    run_sql("0008_refusals.sql", "0008_budget.sql")


def downgrade() -> None:
    """Take it back."""
    run_sql("0008_budget_down.sql", "0008_refusals_down.sql")
