"""${message}."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("${up_revision}_topic.sql")


def downgrade() -> None:
    run_sql("${up_revision}_down.sql")
