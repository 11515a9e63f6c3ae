"""The API: what people may cause, news for who watches, daily and weekly bars; small batches."""

from __future__ import annotations

from swiftbolt_assets.migrations.plain_sql import run_sql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the API asks of the database."""
    run_sql(
        "0003_people.sql",
        "0003_news.sql",
        "0003_today.sql",
        "0003_planning.sql",
        "0003_chart.sql",
    )


def downgrade() -> None:
    """Drop it, in the opposite order."""
    run_sql(
        "0003_chart_down.sql",
        "0003_planning_down.sql",
        "0003_today_down.sql",
        "0003_news_down.sql",
        "0003_people_down.sql",
    )
