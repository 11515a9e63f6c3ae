"""Statements that hold listed splits against prices, within the transaction of who changes either.

Bars and the list change apart, and a judgement rests on both: each writer judges what it touches
before it commits, under the lock of the symbol's bars, so that readers find one day a split.

What belongs here: reading what a judgement needs, storing it, and when a symbol in doubt is asked
about again. What does not: the judgement (`swiftbolt_assets/market/listed_splits.py`), the list
(`splits.py`).
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from resources.bars.calendar import calendar_of
from resources.providers.registry import NAMES
from swiftbolt_assets.market.listed_splits import Judged, ListedState, judge
from swiftbolt_assets.market.nights import Edges
from swiftbolt_assets.market.splits import Split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from uuid import UUID

    from psycopg import Connection

#: Days around a listing whose bars may change its judgement: three sessions and a long holiday.
_TOUCHES = timedelta(days=10)
#: Days around a listing that tell how the symbol's nights usually are.
_AROUND = timedelta(days=60)


def hold_bars(connection: Connection[Any], symbol_ids: Sequence[UUID]) -> None:
    """Wait for whoever writes these symbols' bars, and let nobody else begin until commit."""
    for symbol_id in sorted(symbol_ids):
        connection.execute(
            "select pg_advisory_xact_lock(hashtextextended('bars ' || %s::text, 0))",
            (str(symbol_id),),
        )


def judge_near(connection: Connection[Any], symbol_id: UUID, first: date, last: date) -> None:
    """Judge a symbol's splits again where bars from `first` to `last` may have changed that."""
    row = connection.execute(
        "select exists (select from splits where symbol_id = %s"
        " and execution_date between %s and %s)",
        (symbol_id, first - _TOUCHES, last + _TOUCHES),
    ).fetchone()
    if row and row[0]:
        judge_symbol(connection, symbol_id)


def judge_symbol(connection: Connection[Any], symbol_id: UUID) -> list[Judged]:
    """Judge a symbol's splits and store what the prices say; rows change where that differs.

    One in doubt has the symbol asked about again. The symbol's bars must be held.
    """
    rows = connection.execute(_LISTED, (symbol_id,)).fetchall()
    if not rows:
        return []
    listed = [Split(*row[:3]) for row in rows]
    days = [split.day for split in listed]
    edges = read_edges(connection, symbol_id, min(days) - _AROUND, max(days) + _AROUND)
    judged = judge(listed, edges, calendar_of(connection))
    verdicts = [
        {
            "execution_date": row[0].isoformat(),
            "adjustment_type": row[3],
            "ratio": row[4],
            "state": one.state,
            "shown_on": one.effective.isoformat()
            if one.effective and one.state in {ListedState.SHOWN, ListedState.MOVED}
            else None,
            "seen_ratio": one.ratio,
        }
        for row, one in zip(rows, judged, strict=True)
    ]
    connection.execute(_JUDGED, {"symbol": symbol_id, "verdicts": json.dumps(verdicts)})
    if any(one.state is ListedState.DOUBTFUL for one in judged):
        doubt(connection, symbol_id)
    return judged


def read_edges(
    connection: Connection[Any], symbol_id: UUID, first: date, last: date
) -> list[Edges]:
    """Return the ends of the sessions with bars and of the one before them, ascending."""
    rows = connection.execute(
        _EDGES, {"symbol": symbol_id, "first": first, "last": last, "precedence": NAMES}
    ).fetchall()
    return [Edges(*row) for row in rows]


def doubt(connection: Connection[Any], symbol_id: UUID) -> None:
    """Have a symbol asked about again whose prices and splits do not fit, unless it is to be."""
    connection.execute(_DOUBT, (symbol_id,))


def believe(connection: Connection[Any], symbol_id: UUID) -> None:
    """Ask about a symbol no more: its prices and splits fit."""
    connection.execute(
        "update split_lookups set ask_again_at = null, doubts = 0 where ask_again_at is not null"
        " and symbol = (select ticker from symbols where id = %s)",
        (symbol_id,),
    )


_LISTED = """
select execution_date, split_from, split_to, adjustment_type, ratio from splits
 where symbol_id = %s order by execution_date, adjustment_type, ratio
"""

_JUDGED = """
update splits s set
  state = v.state, shown_on = v.shown_on, seen_ratio = v.seen_ratio, judged_at = clock_timestamp()
from jsonb_to_recordset(%(verdicts)s::jsonb) v
  (execution_date date, adjustment_type text, ratio float8, state text, shown_on date,
    seen_ratio float8)
where s.symbol_id = %(symbol)s and s.execution_date = v.execution_date
  and s.adjustment_type = v.adjustment_type and s.ratio = v.ratio
  and (s.judged_at is null or (s.state, s.shown_on, s.seen_ratio)
    is distinct from (v.state, v.shown_on, v.seen_ratio))
"""

_DOUBT = """
insert into split_lookups as l (symbol, ask_again_at)
select ticker, market_now() + doubt_pause(0) from symbols where id = %s
on conflict (symbol) do update set ask_again_at = excluded.ask_again_at, doubts = 0
 where l.ask_again_at is null
"""

# One bar a timestamp, by the precedence of providers, as charts show it.
_EDGES = """
with days as (
  select day, opens, closes from market_sessions
   where day <= %(last)s and day >= coalesce(
     (select max(c.day) from session_coverage c
       where c.symbol_id = %(symbol)s and c.bars > 0 and c.day < %(first)s), %(first)s)
), bars as (
  select distinct on (b.ts) d.day, b.ts, b.open, b.close, b.volume
    from ohlc_bars_v2 b join days d on d.day = (b.ts at time zone 'America/New_York')::date
     and b.ts >= d.opens and b.ts < d.closes
   where b.symbol_id = %(symbol)s and b.timeframe = 'm15' and not b.is_forecast
     and b.ts >= (select min(opens) from days) and b.ts < (select max(closes) from days)
   order by b.ts, array_position(%(precedence)s::text[], b.provider::text)
)
select day, (array_agg(open order by ts))[1], (array_agg(close order by ts desc))[1],
  coalesce(sum(volume), 0)
  from bars group by day order by day
"""
