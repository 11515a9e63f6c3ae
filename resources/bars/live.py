"""When each symbol's bars of today were last refreshed.

What belongs here: the statements about table `live_refreshes`. What does not: who is due
(`swiftbolt_assets/policy/freshness.py`), the bars (`store.py`) and the ledger (`session_rows.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from resources.providers.registry import TODAY
from swiftbolt_assets.errors import one_line
from swiftbolt_assets.policy.freshness import ON_SCREEN, Watched

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from resources.postgres.database import Database
    from swiftbolt_assets.market.sessions import Session

#: A symbol that fails is left alone for so long, doubled with each failure.
_FIRST_WAIT_S = 60.0
_LONGEST_WAIT_S = 900.0
_MESSAGE_LENGTH = 300


@dataclass(frozen=True, slots=True)
class TodaysBars:
    """What is stored of today.

    Attributes:
        bars: 15-minute bars, the forming one included.
        closed: how many of them have closed.
        newest: start of the newest closed one, None without any.

    """

    bars: int = 0
    closed: int = 0
    newest: datetime | None = None


class LiveBook:
    """Reads and records refreshes; each call is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def watched(self, *, least_priority: int = 0, symbol: str | None = None) -> list[Watched]:
        """Return the symbols that people want, that trade and that can be asked for, by name.

        Args:
            least_priority: symbols that are wanted less are left out.
            symbol: all others are left out, too.

        """
        return self._read(_WATCHED + _WANTED, {"least": least_priority, "symbol": symbol})

    def watched_count(self, *, least_priority: int = 0) -> int:
        """Return how many symbols trade that people want and that can be asked for."""
        with self._database.transaction() as connection:
            row = connection.execute(_COUNT, {"least": least_priority}).fetchone()
        return int(row[0]) if row else 0

    def unspelled(self, *, least_priority: int = 0, symbol: str | None = None) -> list[str]:
        """Return the symbols that people want and today's provider cannot spell, by name."""
        values = {"least": least_priority, "symbol": symbol}
        with self._database.transaction() as connection:
            rows = connection.execute(_UNSPELLED, values).fetchall()
        return [str(row[0]) for row in rows]

    def of_symbols(self, tickers: Collection[str]) -> list[Watched]:
        """Return known symbols that today's provider can spell, wanted or not, by name."""
        return self._read(_WATCHED + _NAMED, {"tickers": list(tickers)})

    def refreshed(self, symbol_id: UUID, at: datetime, closed_through: datetime) -> None:
        """Note an answer that was asked for at a market instant and is stored."""
        with self._database.transaction() as connection:
            connection.execute(
                _REFRESHED, {"symbol": symbol_id, "at": at, "through": closed_through}
            )

    def failed(self, symbol_id: UUID, message: str) -> None:
        """Note a failure; the symbol is left alone for a while."""
        values = (_FIRST_WAIT_S, _LONGEST_WAIT_S)
        short = one_line(message, _MESSAGE_LENGTH)
        with self._database.transaction() as connection:
            connection.execute(_FAILED, (symbol_id, short, values[0], *values))

    def reported(self, through: dict[UUID, datetime]) -> None:
        """Note how far the catalogue has been told of each symbol."""
        with self._database.transaction() as connection:
            connection.execute(
                "update live_refreshes l set reported_through = n.through"
                " from unnest(%s::uuid[], %s::timestamptz[]) as n (id, through)"
                " where l.symbol_id = n.id",
                (list(through), list(through.values())),
            )

    def stored(self, symbol_ids: Sequence[UUID], session: Session) -> dict[UUID, TodaysBars]:
        """Return what is stored of a session from the live provider."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                _STORED, (list(symbol_ids), session.opens, session.closes, TODAY.name)
            ).fetchall()
        return {UUID(str(row[0])): TodaysBars(*row[1:]) for row in rows}

    def turn(self) -> AbstractContextManager[bool]:
        """Yield whether nobody else serves the due symbols."""
        return self._database.turn("swiftbolt live")

    def _read(self, statement: str, values: dict[str, object]) -> list[Watched]:
        with self._database.transaction() as connection:
            rows = connection.execute(
                statement, {"on_screen": ON_SCREEN.total_seconds(), **values}
            ).fetchall()
        return [Watched(str(row[0]), UUID(str(row[1])), *row[2:]) for row in rows]


# A chart's interest is touched whenever it is tracked again. The upper() of this file fold nothing:
# they leave out what a provider that knows no case cannot spell (providers/capabilities.py).
_WATCHED = """
select s.ticker, s.id, coalesce(w.priority, 0),
  s.id in (
    select t.symbol_id from user_symbol_tracking t
     where t.source = 'chart_view'
       and t.updated_at > now() - make_interval(secs => %(on_screen)s)),
  l.refreshed_at, l.reported_through, coalesce(l.retry_at <= clock_timestamp(), true), l.error
from symbols s
left join wanted_symbols w on w.symbol = s.ticker
left join live_refreshes l on l.symbol_id = s.id
"""
_WANTED = """
where w.priority >= %(least)s and (%(symbol)s::text is null or s.ticker = %(symbol)s)
  and s.ticker = upper(s.ticker)
  and not exists (select from delisted_symbols d where d.symbol_id = s.id)
order by s.ticker
"""
_UNSPELLED = """
select w.symbol from wanted_symbols w
where not exists (
    select from delisted_symbols d join symbols s on s.id = d.symbol_id where s.ticker = w.symbol)
  and w.symbol <> upper(w.symbol) and w.priority >= %(least)s
  and (%(symbol)s::text is null or w.symbol = %(symbol)s)
order by w.symbol
"""
# As `wanted_symbols` has it, without what that view puts together for planning.
_COUNT = """
select count(*) from symbols s
where s.ticker = upper(s.ticker)
  and not exists (select from delisted_symbols x where x.symbol_id = s.id) and exists (
  select from job_definitions d
   where d.symbol = s.ticker and d.enabled and d.job_type <> 'run_forecast'
     and d.timeframe = any (stored_timeframes()) and d.priority >= %(least)s)
"""
_NAMED = "where s.ticker = any(%(tickers)s) and s.ticker = upper(s.ticker) order by s.ticker"

# An answer after the close has told all of a session: it is shown whole from then on.
_REFRESHED = """
with noted as (
  insert into live_refreshes (symbol_id, refreshed_at, closed_through)
  values (%(symbol)s, %(at)s, %(through)s)
  on conflict (symbol_id) do update set
    refreshed_at = excluded.refreshed_at, closed_through = excluded.closed_through,
    failures = 0, error = null, retry_at = null
)
update session_coverage c set live_whole = true
  from market_sessions m
 where c.symbol_id = %(symbol)s and c.state = 'provisional' and c.bars > 0 and not c.live_whole
   and m.day = c.day and m.opens < %(through)s and m.closes = %(through)s
"""
_FAILED = """
insert into live_refreshes as l (symbol_id, failures, error, retry_at)
values (%s, 1, %s, clock_timestamp() + make_interval(secs => %s))
on conflict (symbol_id) do update set
  failures = l.failures + 1, error = excluded.error,
  retry_at = clock_timestamp()
    + make_interval(secs => least(%s * 2 ^ least(l.failures, 20), %s))
"""
_STORED = """
select symbol_id, count(*), count(*) filter (where data_status = 'live'),
  max(ts) filter (where data_status = 'live')
from ohlc_bars_v2
where symbol_id = any(%s) and timeframe = 'm15' and ts >= %s and ts < %s
  and provider = %s and not is_forecast
group by symbol_id
"""
