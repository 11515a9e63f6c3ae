"""The newest prices that are stored: quotes where no provider of quotes answers.

What belongs here: one statement. What does not: asking a provider (`api/quote_desk.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.providers.contract import Quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.postgres.callers import Connection


def stored_quotes(connection: Connection, tickers: Sequence[str]) -> list[Quote]:
    """Return what stored bars tell of known symbols, by ticker; no bid and ask.

    Range and mean volume are those of the 365 days to its newest bar, or of the days there are.
    """
    rows = connection.execute(_STORED, (list(tickers),)).fetchall()
    return [
        Quote(
            symbol=row[0],
            last=row[1],
            bid=None,
            ask=None,
            open=row[2],
            high=row[3],
            low=row[4],
            close=row[1],
            previous_close=row[5],
            volume=row[6],
            average_volume=row[7],
            year_high=row[8],
            year_low=row[9],
            traded_at=row[10],
        )
        for row in rows
    ]


# The newest day that traded, the one before it, and a year of 4-hour bars: two a session.
_STORED = """
select s.ticker, d.last, d.open, d.high, d.low, d.previous, d.volume, d.average, d.year_high,
  d.year_low, d.traded_at
  from symbols s
  cross join lateral (
    with days as materialized (
      select (c.ts at time zone 'America/New_York')::date as day,
        (array_agg(c.open order by c.ts))[1] as open, max(c.high) as high, min(c.low) as low,
        (array_agg(c.close order by c.ts desc))[1] as close,
        round(sum(c.volume) * 1e6::float8) / 1e6::float8 as volume,
        max(c.ts) as traded_at,
        row_number() over (order by max(c.ts) desc) as newest
        from get_chart_bars(s.id, 'h4', (
          select max(b.ts) - interval '365 days' from ohlc_bars_v2 b
           where b.symbol_id = s.id and b.timeframe = 'h4' and not b.is_forecast),
          new_york_midnight(market_today() + 1)) c
       where not c.is_forecast
       group by 1
    )
    select
      max(close) filter (where newest = 1) as last, max(open) filter (where newest = 1) as open,
      max(high) filter (where newest = 1) as high, max(low) filter (where newest = 1) as low,
      max(close) filter (where newest = 2) as previous,
      max(volume) filter (where newest = 1) as volume, avg(volume) as average,
      max(high) as year_high, min(low) as year_low,
      max(traded_at) filter (where newest = 1) as traded_at
      from days
  ) d
 where s.ticker = any(%s) and d.last is not null
 order by s.ticker
"""
