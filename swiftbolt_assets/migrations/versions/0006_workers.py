"""Workers on any machine: their beats, and those of their runs."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what workers and the platform know of each other."""
    run_sql("0006_workers.sql")


def downgrade() -> None:
    """Drop it."""
    run_sql("0006_workers_down.sql")
