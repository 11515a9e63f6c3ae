"""What a chart shows of a symbol: the bars of a range, a page of them.

15-minute, 1-hour and 4-hour bars are stored; daily and weekly ones are made at read from stored
15-minute bars, so that they are as new as these.

What belongs here: these statements. What does not: the layers of a reply
(`swiftbolt_assets/api/routes/charts.py`), which provider counts when (SQL function
`get_chart_bars`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from resources.postgres.callers import Connection

#: Timeframes that are made at read, and by what their bars are grouped.
AGGREGATED = {"d1": "day", "w1": "week"}
#: A page holds so many bars at most: seven years of quarter hours, some 10 MB of JSON.
MOST = 50_000
COLUMNS = (
    "ts", "open", "high", "low", "close", "volume", "provider", "is_intraday", "is_forecast",
    "data_status", "confidence_score", "upper_band", "lower_band",
)  # fmt: skip


@dataclass(frozen=True)
class ChartRange:
    """What of a symbol is asked for.

    Attributes:
        symbol_id: whose bars.
        timeframe: m15, h1, h4, d1 or w1.
        start, end: first and last bar start, both included.
        adjusted: whether prices before a split are folded to today's shares.

    """

    symbol_id: UUID
    timeframe: str
    start: datetime
    end: datetime
    adjusted: bool = True


@dataclass(frozen=True)
class ChartPage:
    """Bars of a range.

    Attributes:
        rows: with `COLUMNS`, ascending.
        older_before: the `end` of the next page where older ones were left out, else None.

    """

    rows: Sequence[tuple[Any, ...]]
    older_before: datetime | None


def chart_page(connection: Connection, wanted: ChartRange, *, most: int | None = None) -> ChartPage:
    """Return the newest bars of a range, `most` (or `MOST`) at most, ascending, no `ts` twice."""
    most = most or MOST
    unit = AGGREGATED.get(wanted.timeframe)
    values = {
        "symbol": wanted.symbol_id,
        "timeframe": wanted.timeframe,
        "start": wanted.start,
        "end": wanted.end,
        "adjusted": wanted.adjusted,
        "unit": unit,
        "most": most + 1,
    }
    with connection.cursor(binary=True) as cursor:
        cursor.execute(_AGGREGATED if unit else _STORED, values)
        rows = cursor.fetchall()
    if len(rows) > most:
        # Both ends of a range are included: the next page ends before this one's oldest bar.
        kept = rows[-most:]
        return ChartPage(kept, datetime.fromisoformat(kept[0][0]) - timedelta(seconds=1))
    return ChartPage(rows, None)


def has_work(connection: Connection, ticker: str) -> bool:
    """Return whether something of a symbol waits or is asked for."""
    row = connection.execute(_HAS_WORK, {"symbol": ticker}).fetchone()
    return bool(row and row[0])


_HAS_WORK = """
select exists (
    select from job_runs where symbol = %(symbol)s and status in ('queued', 'running'))
  or exists (
    select from rechecks r join symbols s on s.id = r.symbol_id
     where s.ticker = %(symbol)s and r.ended_at is null)
"""


_TEXT = "to_char(ts at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as ts"
_VALUES = ", ".join(COLUMNS[1:]).replace("provider", "provider::text")
# The function's rows ascend.
_STORED = f"""
select {_TEXT}, {_VALUES}
  from get_chart_bars(
    %(symbol)s, parse_timeframe(%(timeframe)s), %(start)s, %(end)s, %(adjusted)s, %(most)s)
"""  # noqa: S608 - constants
# Shares have six decimals at most; a sum of floats has a tail.
_SUM = "round(sum(volume) * 1e6::float8) / 1e6::float8"
# Weeks begin on Monday; a bar is named by the open of its first session that traded, and belongs to
# today when that is today. It is made of all its day or week, also where the range ends within it.
# Forecasts of days and weeks are stored as such. One order for all aggregates: one sort.
_AGGREGATED = f"""
with quarters as (
  select b.*, date_trunc(%(unit)s, b.ts at time zone 'America/New_York') as span
    from get_chart_bars(%(symbol)s, 'm15', %(start)s,
      (date_trunc(%(unit)s, %(end)s::timestamptz at time zone 'America/New_York')
        + ('1 ' || %(unit)s)::interval) at time zone 'America/New_York' - interval '1 second',
      %(adjusted)s) b
   where not b.is_forecast
), made as (
  select min(ts) as ts, (array_agg(open order by ts))[1] as open, max(high) as high,
    min(low) as low, (array_agg(close order by ts))[count(*)] as close, {_SUM} as volume,
    (array_agg(provider order by ts))[count(*)] as provider, bool_and(is_intraday) as is_intraday,
    false as is_forecast,
    case
      when bool_or(data_status = 'provisional') then 'provisional'
      when bool_or(data_status = 'live') then 'live'
      else max(data_status)
    end as data_status,
    null::float8 as confidence_score, null::float8 as upper_band, null::float8 as lower_band
    from quarters
   group by span
  having min(ts) <= %(end)s
), shown as (
  select * from made
  union all
  select * from get_chart_bars(
    %(symbol)s, parse_timeframe(%(timeframe)s), %(start)s, %(end)s, %(adjusted)s) f
   where f.is_forecast
), newest as (
  select * from shown order by shown.ts desc limit %(most)s
)
select {_TEXT}, {_VALUES} from newest order by newest.ts
"""  # noqa: S608 - constants
