"""Ten thousand symbols: what looks at slices of one symbol, or at the latest ones, finds them."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes."""
    run_sql("0005_many_symbols.sql")


def downgrade() -> None:
    """Drop them."""
    run_sql("0005_many_symbols_down.sql")
