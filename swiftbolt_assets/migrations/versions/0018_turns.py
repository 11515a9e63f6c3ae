"""Turns: who changes and who plans, and whose request goes first."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let a slice be wanted as its symbol is, and the first bars come first."""
    run_sql("0018_turns.sql")


def downgrade() -> None:
    """Take it back."""
    run_sql("0018_turns_down.sql")
