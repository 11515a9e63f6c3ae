"""Values that cannot be are refused by the table, too."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bound prices, volumes and counts."""
    run_sql("0010_values.sql")


def downgrade() -> None:
    """Take it back."""
    run_sql("0010_values_down.sql")
