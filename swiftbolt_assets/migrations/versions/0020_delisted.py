"""Symbols that trade no more."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep who trades no more and why, and ask about them once a month."""
    run_sql("0020_delisted.sql")


def downgrade() -> None:
    """Ask about everybody every night."""
    run_sql("0020_delisted_down.sql")
