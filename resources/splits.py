"""Table `splits`, and what is due to be asked about it.

One request a day serves all symbols: it asks from some days before the last answer on, so that
nothing falls between two days; a new symbol's past is asked for once. Bars come first: as long as
their queue has work, a look-up waits, a day at most.

What belongs here: statements about splits, and session ends for the check that compares them with
prices. What does not: the request (`polygon_splits.py`), folding (`market/splits.py`, and
`get_chart_data_v2` in SQL).
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from resources.polygon_splits import SplitsAsked
from swiftbolt_assets.market.plan import plan_edge
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.splits import Edges, Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from uuid import UUID

    from resources.polygon_splits import SplitsAnswer
    from resources.postgres import Database
    from swiftbolt_assets.errors import ProviderError

#: Days before the last answer that are asked for once more: late entries and corrections.
OVERLAP = timedelta(days=7)
#: What the first daily request reaches back; the symbols' own look-ups reach further.
_FIRST_REACH = timedelta(days=30)
#: The plan's edge is not known to the day.
_EDGE_MARGIN = timedelta(days=7)
_ALL = "*"


@dataclass(frozen=True)
class SplitChanges:
    """What an answer changed: splits that are new, differ, or are withdrawn."""

    added: int
    changed: int
    removed: int


@dataclass(frozen=True)
class FailedLookUp:
    """A look-up whose latest attempt failed.

    Attributes:
        symbol: whose splits, None for the daily one of all symbols.
        failures: in a row.
        error: why the latest failed.
        retry_s: seconds until it is due again; 0 when it is.
        answered_on: New York date of its latest answer, None before any.

    """

    symbol: str | None
    failures: int
    error: str
    retry_s: float
    answered_on: date | None


class SplitBook:
    """Reads and writes splits; opens a connection for each call, none is held."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, today: date) -> list[SplitsAsked]:
        """Return what is to be asked now: all symbols first, then each new one by itself."""
        with self._database.transaction() as connection:
            rows = connection.execute(_DUE, {"today": today}).fetchall()
        return [
            SplitsAsked(
                None if symbol == _ALL else symbol,
                xnys().first
                if symbol != _ALL
                else answered_on - OVERLAP
                if answered_on is not None
                else today - _FIRST_REACH,
            )
            for symbol, answered_on in rows
        ]

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Yield whether it is ours to ask: two look-ups at once would ask the same twice."""
        with self._database.connect() as connection:
            row = connection.execute(
                "select pg_try_advisory_lock(hashtextextended('splits', 0))"
            ).fetchone()
            yield bool(row and row[0])

    def store(self, answer: SplitsAnswer, today: date) -> SplitChanges:
        """Store an answer's splits of known symbols; rows change only where they differ.

        A split that the answer leaves out has been withdrawn, unless the plan may have cut it, the
        answer has unusable rows, or it has none at all, which looks just like a fault.

        Raises:
            StorageError: the database refused or went away; nothing was stored.

        """
        rows = [
            {
                "ticker": row.symbol,
                "execution_date": row.split.day.isoformat(),
                "split_from": row.split.split_from,
                "split_to": row.split.split_to,
                "provider_id": row.provider_id,
            }
            for row in answer.rows
        ]
        values = {
            "rows": json.dumps(rows),
            "whose": answer.asked.symbol,
            "since": max(answer.asked.first, plan_edge(today) + _EDGE_MARGIN),
            "may_remove": bool(rows) and not answer.refused,
            "scope": answer.asked.symbol or _ALL,
            "today": today,
            "request": answer.request_id,
        }
        with self._database.transaction() as connection:
            stored = connection.execute(_STORE, values).fetchall()
            removed = connection.execute(_REMOVE, values).rowcount
            connection.execute(_ANSWERED, values)
        added = sum(is_new for (is_new,) in stored)
        return SplitChanges(added, len(stored) - added, removed)

    def failed(self, asked: SplitsAsked, error: ProviderError) -> None:
        """Keep why a look-up failed; it is due again in 10 minutes, doubled each time to 6 h."""
        with self._database.transaction() as connection:
            connection.execute(_FAILED, (asked.symbol or _ALL, " ".join(str(error).split())))

    def failures(self) -> list[FailedLookUp]:
        """Return the look-ups whose latest attempt failed, the daily one first."""
        with self._database.transaction() as connection:
            rows = connection.execute(_FAILURES).fetchall()
        return [FailedLookUp(None if row[0] == _ALL else row[0], *row[1:]) for row in rows]

    def of(self, symbol_id: UUID) -> list[Split]:
        """Return a symbol's splits, announced ones included, ascending."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "select execution_date, split_from, split_to from splits"
                " where symbol_id = %s order by execution_date",
                (symbol_id,),
            ).fetchall()
        return [Split(*row) for row in rows]

    def edges(self, symbol_id: UUID, days: Sequence[date]) -> list[Edges]:
        """Return the ends of some sessions and of the one with bars before them, ascending."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                _EDGES, {"symbol": symbol_id, "first": min(days), "last": max(days)}
            ).fetchall()
        return [Edges(*row) for row in rows]


_DUE = """
with busy as (
  select distinct symbol from job_runs where status in ('queued', 'running')
), everyone as (
  select symbol, answered_on from split_lookups
   where symbol = '*' and answered_on is distinct from %(today)s
     and (retry_at is null or retry_at <= clock_timestamp())
     and (not exists (select from busy)
       or coalesce(answered_at, created_at) < clock_timestamp() - interval '1 day')
), newcomers as (
  select s.ticker, null::date
    from symbols s left join split_lookups l on l.symbol = s.ticker
   where l.answered_at is null and (l.retry_at is null or l.retry_at <= clock_timestamp())
     and exists (select from session_coverage c where c.symbol_id = s.id and c.bars > 0)
     and (s.ticker not in (select symbol from busy)
       or (select min(c.checked_at) from session_coverage c where c.symbol_id = s.id)
         < clock_timestamp() - interval '1 day')
)
select * from everyone union all select * from newcomers order by symbol
"""

_STORE = """
insert into splits as s
  (symbol_id, execution_date, split_from, split_to, provider, provider_id, seen_at)
select y.id, r.execution_date, r.split_from, r.split_to, 'polygon', r.provider_id,
  clock_timestamp()
from jsonb_to_recordset(%(rows)s::jsonb) r
  (ticker text, execution_date date, split_from float8, split_to float8, provider_id text)
join symbols y using (ticker)
order by y.id, r.execution_date
on conflict (symbol_id, execution_date) do update set
  split_from = excluded.split_from, split_to = excluded.split_to,
  provider = excluded.provider, provider_id = excluded.provider_id, seen_at = excluded.seen_at
where (s.split_from, s.split_to, s.provider_id)
  is distinct from (excluded.split_from, excluded.split_to, excluded.provider_id)
returning xmax = 0
"""

_REMOVE = """
delete from splits s using symbols y
 where %(may_remove)s and y.id = s.symbol_id and s.provider = 'polygon'
   and s.execution_date >= %(since)s and (%(whose)s::text is null or y.ticker = %(whose)s)
   and not exists (
     select from jsonb_to_recordset(%(rows)s::jsonb) r (ticker text, execution_date date)
      where r.ticker = y.ticker and r.execution_date = s.execution_date)
"""

_ANSWERED = """
insert into split_lookups (symbol, answered_on, answered_at, request_id)
values (%(scope)s, %(today)s, clock_timestamp(), %(request)s)
on conflict (symbol) do update set
  answered_on = excluded.answered_on, answered_at = excluded.answered_at,
  request_id = excluded.request_id, failures = 0, error = null, retry_at = null
"""

_FAILED = """
insert into split_lookups as l (symbol, failures, error, retry_at)
values (%s, 1, %s, clock_timestamp() + interval '10 minutes')
on conflict (symbol) do update set
  failures = l.failures + 1, error = excluded.error,
  retry_at = clock_timestamp()
    + least(interval '10 minutes' * 2 ^ least(l.failures, 10), interval '6 hours')
"""

_FAILURES = """
select symbol, failures, error,
  greatest(extract(epoch from retry_at - clock_timestamp()), 0)::float8, answered_on
from split_lookups where failures > 0 order by symbol
"""

# One bar a timestamp, Polygon's where both providers have one, as charts show it.
_EDGES = """
with days as (
  select day, opens, closes from market_sessions
   where day <= %(last)s and day >= coalesce(
     (select max(c.day) from session_coverage c
       where c.symbol_id = %(symbol)s and c.bars > 0 and c.day < %(first)s), %(first)s)
), bars as (
  select distinct on (b.ts) d.day, b.ts, b.open, b.close
    from ohlc_bars_v2 b join days d on d.day = (b.ts at time zone 'America/New_York')::date
     and b.ts >= d.opens and b.ts < d.closes
   where b.symbol_id = %(symbol)s and b.timeframe = 'm15' and not b.is_forecast
     and b.ts >= (select min(opens) from days) and b.ts < (select max(closes) from days)
   order by b.ts, b.provider
)
select day, (array_agg(open order by ts))[1], (array_agg(close order by ts desc))[1]
  from bars group by day order by day
"""
