"""The coverage ledger and the log of provider requests.

What belongs here: reading what is settled, recording what was asked, and the lock that keeps two
runs from asking for the same symbol. What does not: judging (`market/coverage.py`) and storing
sessions with their ledger rows (`store.py`, one transaction).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from resources.postgres.connection import first_line
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.market.coverage import Reason, SessionCoverage, State
from swiftbolt_assets.market.overlap import WAITING
from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from resources.postgres.database import Database
    from resources.providers.contract import RequestRecord


T = TypeVar("T")


@dataclass(frozen=True)
class Known:
    """The ends of what is stored of a symbol's 15-minute bars; None when nothing is."""

    earliest: datetime | None
    latest: datetime | None


@dataclass(frozen=True)
class Suspect:
    """A bar that was not stored: far from its neighbours, or against what is stored.

    Attributes:
        ts: its start.
        bar: as it was delivered, JSON.
        age_s: seconds since then.

    """

    ts: datetime
    bar: str
    age_s: float


class Ledger:
    """Reads and records; opens a connection for each call, none is held."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def database(self) -> Database:
        """Return where it lives."""
        return self._database

    def coverage(self, symbol_id: UUID, first: date, last: date) -> dict[date, SessionCoverage]:
        """Return what is known of a symbol's sessions from `first` to `last`, both included."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"select {COVERAGE_COLUMNS} from session_coverage"  # noqa: S608 - constants only
                " where symbol_id = %s and day between %s and %s",
                (symbol_id, first, last),
            ).fetchall()
        return {row[0]: coverage_of(row) for row in rows}

    def wanted_since(self, symbol_id: UUID) -> date | None:
        """Return the first date of a symbol's widest window, None when nobody wants it."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "select greatest(market_today() - w.window_days, first_fetched_day())"
                " from wanted_symbols w join symbols s on s.ticker = w.symbol where s.id = %s",
                (symbol_id,),
            ).fetchone()
        return row[0] if row else None

    def suspects(self, symbol_id: UUID, starts: Sequence[datetime]) -> list[Suspect]:
        """Return earlier bars at some instants that were to come again, newest first."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "select ts, bar::text, extract(epoch from clock_timestamp() - rejected_at)::float8"
                " from rejected_bars"
                " where symbol_id = %s and ts = any(%s) and rule = any(%s) order by id desc",
                (symbol_id, list(starts), list(WAITING)),
            ).fetchall()
        return [Suspect(*row) for row in rows]

    def known(self, symbol_id: UUID) -> Known:
        """Return the first and last stored 15-minute bar of a symbol's history."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "select min(m.opens), max(m.closes) from session_coverage c"
                " join market_sessions m using (day) where c.symbol_id = %s and c.bars > 0",
                (symbol_id,),
            ).fetchone()
        return Known(*(row or (None, None)))

    def record_request(self, record: RequestRecord) -> None:
        """Keep one request in `provider_requests`, whatever becomes of its reply."""
        with self._database.transaction() as connection:
            connection.execute(
                "insert into provider_requests (provider, endpoint, symbol, sent_at, seconds,"
                " status, outcome, request_id, bars, base_minutes)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    record.provider,
                    record.endpoint,
                    record.symbol,
                    record.sent_at,
                    record.seconds,
                    record.status,
                    record.outcome,
                    record.request_id,
                    record.bars,
                    record.base_minutes,
                ),
            )

    def disbelieve(self, provider: str, symbol: str, since: datetime, outcome: str) -> None:
        """Change the outcome of requests for a symbol's bars whose replies were read, not believed.

        Args:
            provider: who answered.
            symbol: canonical ticker.
            since: the first of them was not sent before, of the process's clock.
            outcome: the name of the error that they amount to.

        """
        with self._database.transaction() as connection:
            connection.execute(
                "update provider_requests set outcome = %s where provider = %s and symbol = %s"
                " and sent_at >= %s and outcome in ('ok', 'BeyondPlanError')"
                " and endpoint like '/v2/aggs/%%'",
                (outcome, provider, symbol, since),
            )

    def session_rows(self, symbol_id: UUID, days: list[date]) -> dict[tuple[Timeframe, date], int]:
        """Return a symbol's stored bars by timeframe and session date."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"select b.timeframe, m.day, count(distinct b.ts) {_OF_SESSIONS}"
                " and b.timeframe = any (stored_timeframes()) group by 1, 2",
                {"symbol": symbol_id, "days": days},
            ).fetchall()
        return {(Timeframe(timeframe), day): count for timeframe, day, count in rows}

    def underivable_bars(self, symbol_id: UUID, days: list[date]) -> list[tuple[str, datetime]]:
        """Return the (timeframe, ts) of h1/h4 bars that differ from a resample in SQL.

        The oracle of the derivation: `date_bin` anchored at each session's open, computed by the
        database from the stored 15-minute bars. Bars that are missing or too many are included.
        """
        with self._database.transaction() as connection:
            return [
                (str(timeframe), ts)
                for timeframe, ts in connection.execute(
                    _UNDERIVABLE, {"symbol": symbol_id, "days": days}
                ).fetchall()
            ]

    def stray_bars(self, symbol_id: UUID, first: date, last: date) -> list[tuple[str, datetime]]:
        """Return the (timeframe, ts) of bars of some New York dates that no session can have.

        Bars outside regular hours, on closed days, or between the starts of their timeframe's
        buckets, which are counted from the session's open.
        """
        with self._database.transaction() as connection:
            rows = connection.execute(
                _STRAY, {"symbol": symbol_id, "first": first, "last": last}
            ).fetchall()
        return [(str(timeframe), ts) for timeframe, ts in rows]

    @contextmanager
    def symbol_turn(
        self, symbol_id: UUID, on_wait: Callable[[], None] | None = None
    ) -> Iterator[None]:
        """Hold a symbol's turn: two runs never ask a provider for the same symbol at once.

        The second waits here; afterwards it finds settled what the first has stored. The lock
        belongs to the connection, so a killed holder lets go.
        """
        key = f"fill {symbol_id}"
        with self._database.connect() as connection:
            try:
                row = connection.execute(
                    "select pg_try_advisory_lock(hashtextextended(%s, 0))", (key,)
                ).fetchone()
                if not (row and row[0]):
                    if on_wait:
                        on_wait()
                    connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (key,))
            except psycopg.Error as error:
                raise StorageError(f"database: {first_line(error)}") from error
            yield


#: The columns of `session_coverage` that `coverage_of` reads, in its order.
COVERAGE_COLUMNS = (
    "day, state, reason, expected, bars, answers, absences, ask_again_at, doubted_at, witness,"
    " marks"
)


def coverage_of(row: Sequence[Any]) -> SessionCoverage:
    """Return a row of the ledger from its columns (`COVERAGE_COLUMNS`)."""
    day, state, reason, expected, bars, answers, absences, again_at, doubted_at, *rest = row
    witness, marks = rest
    return SessionCoverage(
        day,
        State(state),
        Reason(reason) if reason else None,
        expected,
        bars,
        answers,
        {at: Reason(why) for at, why in _by_start(absences).items()},
        again_at,
        doubted_at,
        None if witness is None else _by_start(witness),
        _by_start(marks),
    )


def _by_start(values: Mapping[str, T]) -> dict[datetime, T]:
    return {datetime.fromisoformat(at): value for at, value in values.items()}


# A symbol's bars within some sessions. The bounds of the whole and the equal day make it one scan
# of its months; a look for each session cost five times as much over two years.
_OF_SESSIONS = """
from ohlc_bars_v2 b
join market_sessions m on m.day = (b.ts at time zone 'America/New_York')::date
  and b.ts >= m.opens and b.ts < m.closes
where m.day = any(%(days)s) and b.symbol_id = %(symbol)s and not b.is_forecast
  and b.ts >= new_york_midnight((select min(d) from unnest(%(days)s::date[]) d))
  and b.ts < new_york_midnight((select max(d) from unnest(%(days)s::date[]) d) + 1)
"""
_STRAY = """
select distinct b.timeframe::text, b.ts
from ohlc_bars_v2 b
where b.symbol_id = %(symbol)s and not b.is_forecast and b.timeframe = any (stored_timeframes())
  and b.ts >= new_york_midnight(%(first)s) and b.ts < new_york_midnight(%(last)s + 1)
  and not exists (
    select from market_sessions m
     where m.day = (b.ts at time zone 'America/New_York')::date
       and b.ts >= m.opens and b.ts < m.closes
       and date_bin(timeframe_width(b.timeframe), b.ts, m.opens) = b.ts)
order by 1, 2
"""
_UNDERIVABLE = f"""
with m15 as (
  select distinct on (b.ts) b.*, m.opens
  {_OF_SESSIONS} and b.timeframe = 'm15'
  order by b.ts, b.provider
), derived as (
  select w.timeframe, date_bin(timeframe_width(w.timeframe), m15.ts, m15.opens) as ts,
    (array_agg(open order by m15.ts))[1] as open, max(high) as high, min(low) as low,
    (array_agg(close order by m15.ts desc))[1] as close, sum(volume) as volume
  from m15 cross join unnest(stored_timeframes()) w (timeframe)
  where w.timeframe <> 'm15'
  group by 1, 2
), stored as (
  select distinct on (b.timeframe, b.ts) b.timeframe, b.ts, b.open, b.high, b.low, b.close, b.volume
  {_OF_SESSIONS} and b.timeframe = any (stored_timeframes()) and b.timeframe <> 'm15'
  order by b.timeframe, b.ts, b.provider
)
select timeframe::text, ts from derived d full join stored s using (timeframe, ts)
where d.open is distinct from s.open or d.high is distinct from s.high
   or d.low is distinct from s.low or d.close is distinct from s.close
   or abs(coalesce(d.volume, -1) - coalesce(s.volume, -1)) > 1e-9 * abs(coalesce(d.volume, 0))
order by timeframe, ts
"""  # noqa: S608 - constants only
