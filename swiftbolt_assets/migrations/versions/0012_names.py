"""Company names from the list of tickers, and tickers whose case counts."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep the list of tickers; fold the case of none."""
    run_sql("0012_spelling.sql", "0012_names.sql")


def downgrade() -> None:
    """Take it back; a symbol that only this schema can spell stands in the way."""
    run_sql("0012_names_down.sql", "0012_spelling_down.sql")
