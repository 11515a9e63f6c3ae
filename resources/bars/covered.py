"""Whether a symbol's sessions are settled and their bars there, in one statement.

What belongs here: that question, which needs no frame and no Dagster. What does not: what settles
a session (`swiftbolt_assets/market/coverage.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from resources.postgres.database import Database


def is_covered(database: Database, ticker: str, days: Sequence[date], now: datetime) -> bool:
    """Return whether nothing of some past sessions is to be asked, and no bar of them is lost.

    Args:
        database: the bars' database.
        ticker: a canonical symbol.
        days: dates of sessions.
        now: an instant of the market clock.

    Raises:
        StorageError: the database does not answer.

    """
    with database.transaction() as connection:
        row = connection.execute(
            _COVERED, {"ticker": ticker, "days": list(days), "now": now}
        ).fetchone()
    return row == (len(days), 0)


# Settled is what `SessionCoverage.is_settled` says; lost, what the check `complete` calls so.
_COVERED = """
with settled as (
  select c.symbol_id, c.day, c.bars, m.opens, m.closes
    from symbols y join session_coverage c on c.symbol_id = y.id join market_sessions m using (day)
   where y.ticker = %(ticker)s and c.day = any(%(days)s) and c.state = 'final'
     and (c.ask_again_at is null or c.ask_again_at > %(now)s)
), stored as (
  select s.day, count(distinct b.ts) as bars
    from settled s join ohlc_bars_v2 b on b.symbol_id = s.symbol_id
     and s.day = (b.ts at time zone 'America/New_York')::date
     and b.ts >= s.opens and b.ts < s.closes
   where b.timeframe = 'm15' and not b.is_forecast
     and b.ts >= new_york_midnight((select min(day) from settled))
     and b.ts < new_york_midnight((select max(day) from settled) + 1)
   group by s.day
)
select count(*), count(*) filter (where coalesce(t.bars, 0) < s.bars)
  from settled s left join stored t using (day)
"""
