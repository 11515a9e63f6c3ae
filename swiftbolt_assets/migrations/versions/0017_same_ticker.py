"""Two that add the same ticker at once."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let a symbol that is there be there, whichever of its keys says so first."""
    run_sql("0017_same_ticker.sql")


def downgrade() -> None:
    """Take it back."""
    run_sql("0017_same_ticker_down.sql")
