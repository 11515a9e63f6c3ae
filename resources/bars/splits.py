"""Table `splits`, and what is due to be asked about it.

One request a day serves all symbols: it asks from some days before the last answer on, so that
nothing falls between two days; a new symbol's past is asked for once. Bars come first: as long as
their queue has work, a look-up waits, a day at most.

Splits are kept as they are listed, by event: day, kind and ratio. What the prices say of each
stands beside it. A symbol whose prices and splits do not fit is asked about again by itself, after
hours and then days of the market's clock.

What belongs here: statements about the list and what is due. What does not: the request
(its provider's folder), holding it against prices (`split_judging.py`), folding
(`market/splits.py`, and `get_chart_bars` in SQL).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from resources.bars.calendar import calendar_of
from resources.providers.lists import SplitsAsked
from resources.providers.registry import HISTORY
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.policy.request_windows import plan_edge

# Judging needs frames, which cost a command half a second; `status` and `backfill` judge nothing.
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import date
    from uuid import UUID

    from resources.postgres.database import Database
    from resources.providers.lists import SplitsAnswer
    from swiftbolt_assets.errors import ProviderError
    from swiftbolt_assets.market.listed_splits import Finding, Judged
    from swiftbolt_assets.market.splits import Split

#: Days before the last answer that are asked for once more: late entries and corrections.
OVERLAP = timedelta(days=7)
#: What the first daily request reaches back; the symbols' own look-ups reach further.
_FIRST_REACH = timedelta(days=30)
#: The plan's edge is not known to the day.
_EDGE_MARGIN = timedelta(days=7)
_ALL = "*"


#: What a jump is held against: the symbol's nights of a year before, and some after.
_YEAR, _MONTH = timedelta(days=365), timedelta(days=30)


@dataclass(frozen=True)
class SplitChanges:
    """What an answer changed.

    Attributes:
        added: splits that are new.
        removed: those that are withdrawn.
        symbols: whose splits are others now, or were asked about because of a doubt.

    """

    added: int
    removed: int
    symbols: frozenset[str]


@dataclass(frozen=True)
class Review:
    """A symbol's prices held against its splits: how many nights, and those that do not fit."""

    nights: int
    findings: list[Finding]


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

    def turn(self) -> AbstractContextManager[bool]:
        """Yield whether it is ours to ask: two look-ups at once would ask the same twice."""
        return self._database.turn("splits")

    def store(self, answer: SplitsAnswer, today: date) -> SplitChanges:
        """Store an answer's splits of known symbols, and judge those whose splits it changed.

        A split that the answer leaves out has been withdrawn, unless the plan may have cut it, the
        answer has unusable rows, or it has none at all, which looks just like a fault.

        Raises:
            StorageError: the database refused or went away; nothing was stored.

        """
        from resources.bars.split_judging import hold_bars, judge_symbol

        rows = [
            {
                "ticker": row.symbol,
                "execution_date": row.split.day.isoformat(),
                "adjustment_type": row.kind,
                "split_from": row.split.split_from,
                "split_to": row.split.split_to,
                "provider_id": row.provider_id,
                "historical_adjustment_factor": row.factor,
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
            "provider": HISTORY.name,
        }
        with self._database.transaction() as connection:
            # Before any row is locked: who writes bars holds these and then changes the rows.
            known = dict(connection.execute(_CONCERNED, values).fetchall())
            hold_bars(connection, list(known))
            added = [one for one, is_new in connection.execute(_STORE, values) if is_new]
            removed = [one for (one,) in connection.execute(_REMOVE, values)]
            unjudged = [one for (one,) in connection.execute(_UNJUDGED) if one in known]
            connection.execute(_ANSWERED, values)
            for symbol_id in sorted({*added, *removed, *unjudged}):
                judge_symbol(connection, symbol_id)
            doubted = [one for (one,) in connection.execute(_PUT_OFF, values)]
        changed = {known[one] for one in (*added, *removed, *unjudged)}
        return SplitChanges(len(added), len(removed), frozenset({*changed, *doubted}))

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
        """Return the splits that count, on the day on which they do, announced ones included."""
        found = [split for one in self.listed(symbol_id) if (split := one.folds) is not None]
        return sorted(found)

    def listed(self, symbol_id: UUID) -> list[Judged]:
        """Return a symbol's splits as they are listed, and what the prices say of each."""
        from swiftbolt_assets.market.listed_splits import Judged, ListedState
        from swiftbolt_assets.market.splits import Split

        with self._database.transaction() as connection:
            rows = connection.execute(
                "select execution_date, split_from, split_to, state, effective_date, seen_ratio"
                " from splits where symbol_id = %s"
                " order by execution_date, adjustment_type, ratio",
                (symbol_id,),
            ).fetchall()
        return [Judged(Split(*row[:3]), ListedState(row[3]), *row[4:]) for row in rows]

    def doubted(self) -> list[str]:
        """Return the symbols whose prices and splits do not fit."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "select symbol from split_lookups where ask_again_at is not null order by symbol"
            ).fetchall()
        return [symbol for (symbol,) in rows]

    def review(self, symbol_id: UUID, first: date, last: date) -> Review:
        """Hold the prices of some sessions against the splits; what does not fit is asked again.

        Raises:
            StorageError: the database does not answer.

        """
        from resources.bars.split_judging import doubt, hold_bars, judge_symbol, read_edges
        from swiftbolt_assets.market.listed_splits import findings
        from swiftbolt_assets.market.nights import stands_out

        with self._database.transaction() as connection:
            edges = read_edges(connection, symbol_id, first, last)
            nights = max(0, len(edges) - 1)
            row = connection.execute(
                "select exists (select from splits where symbol_id = %s)", (symbol_id,)
            ).fetchone()
            has_splits = bool(row and row[0])
            calendar = calendar_of(connection)
            if not (has_splits or stands_out(edges, calendar)):
                return Review(nights, [])
            hold_bars(connection, [symbol_id])
            judged = judge_symbol(connection, symbol_id)
            around = read_edges(connection, symbol_id, first - _YEAR, last + _MONTH)
            found = [one for one in findings(around, judged, calendar) if first <= one.day <= last]
            if found:
                doubt(connection, symbol_id)
        return Review(nights, found)

    def review_all(self, symbol: str) -> Review:
        """Hold all prices of a symbol against its splits; where they fit, nothing is asked again.

        Raises:
            StorageError: the database does not answer.

        """
        from resources.bars.split_judging import believe

        with self._database.transaction() as connection:
            row = connection.execute(_STORED_DAYS, (symbol,)).fetchone()
        if row is None:
            return Review(0, [])
        symbol_id, first, last = row
        review = self.review(symbol_id, first, last)
        if not review.findings:
            with self._database.transaction() as connection:
                believe(connection, symbol_id)
        return review


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
   where (l.answered_at is null or (l.ask_again_at <= market_now()
       -- What trades no more has no new split.
       and not exists (select from delisted_symbols d where d.symbol_id = s.id)))
     and (l.retry_at is null or l.retry_at <= clock_timestamp())
     and exists (select from session_coverage c where c.symbol_id = s.id and c.bars > 0)
     and (s.ticker not in (select symbol from busy)
       or (select min(c.checked_at) from session_coverage c where c.symbol_id = s.id)
         < clock_timestamp() - interval '1 day')
)
select * from everyone union all select * from newcomers order by symbol
"""

# Whose splits an answer may change, and those that nobody has held against prices yet.
_CONCERNED = """
select y.id, y.ticker from symbols y
 where y.ticker in (select r.ticker from jsonb_to_recordset(%(rows)s::jsonb) r (ticker text))
    or y.ticker = %(whose)s
    or exists (select from splits s where s.symbol_id = y.id and (s.judged_at is null
      or (%(whose)s::text is null and s.execution_date >= %(since)s)))
"""

_UNJUDGED = "select distinct symbol_id from splits where judged_at is null"

# Ids and factors are what the provider said last; they make no other event.
_STORE = """
insert into splits as s
  (symbol_id, execution_date, adjustment_type, split_from, split_to, provider, provider_id,
    historical_adjustment_factor, seen_at)
select y.id, r.execution_date, r.adjustment_type, r.split_from, r.split_to,
  %(provider)s::data_provider, r.provider_id, r.historical_adjustment_factor, clock_timestamp()
from jsonb_to_recordset(%(rows)s::jsonb) r
  (ticker text, execution_date date, adjustment_type text, split_from float8, split_to float8,
    provider_id text, historical_adjustment_factor float8)
join symbols y using (ticker)
order by y.id, r.execution_date, r.adjustment_type
on conflict (symbol_id, execution_date, adjustment_type, ratio) do update set
  provider_id = excluded.provider_id,
  historical_adjustment_factor = excluded.historical_adjustment_factor,
  seen_at = excluded.seen_at
where (s.provider_id, s.historical_adjustment_factor)
  is distinct from (excluded.provider_id, excluded.historical_adjustment_factor)
returning symbol_id, xmax = 0
"""

_REMOVE = """
delete from splits s using symbols y
 where %(may_remove)s and y.id = s.symbol_id and s.provider = %(provider)s::data_provider
   and s.execution_date >= %(since)s and (%(whose)s::text is null or y.ticker = %(whose)s)
   and not exists (
     select from jsonb_to_recordset(%(rows)s::jsonb) r
       (ticker text, execution_date date, adjustment_type text, split_from float8, split_to float8)
      where r.ticker = y.ticker and r.execution_date = s.execution_date
        and r.adjustment_type = s.adjustment_type and r.split_to / r.split_from = s.ratio)
returning s.symbol_id
"""

# A symbol that was asked about because of a doubt waits longer, whatever comes of it.
_PUT_OFF = """
update split_lookups set doubts = doubts + 1, ask_again_at = market_now() + doubt_pause(doubts + 1)
 where symbol = %(whose)s and ask_again_at <= market_now()
returning symbol
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

_STORED_DAYS = """
select s.id, min(c.day), max(c.day) from symbols s join session_coverage c on c.symbol_id = s.id
 where s.ticker = %s and c.bars > 0 group by s.id
"""
