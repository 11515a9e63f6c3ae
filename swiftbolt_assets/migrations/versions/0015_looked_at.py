"""What no person looks at never delays what one does."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tell seeded definitions, and let a request rise with its symbol."""
    run_sql("0015_looked_at.sql")


def downgrade() -> None:
    """Take it back."""
    run_sql("0015_looked_at_down.sql")
