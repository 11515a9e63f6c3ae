"""Changes of the calendar: added, taken back, and followed by all that rests on a changed day.

The table of sessions, which SQL goes by, bars, ledger and slices follow in the transaction of the
change, so that no reader finds one without the others.

What belongs here: these transactions. What does not: reading the calendar (`calendar.py`), which
changes make sense (`swiftbolt_assets/market/announced.py`), how bars and ledger follow
(`swiftbolt_assets/migrations/functions/calendar.sql`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resources.bars.calendar import LOCK, calendar_of
from resources.bars.split_judging import hold_bars, judge_near
from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.market.announced import Change

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from psycopg import Connection

    from resources.postgres.database import Database


@dataclass(frozen=True)
class Announced:
    """A change that is in force.

    Attributes:
        change: of one day.
        changed_at: when it was added, or became another one.
        bars_aside: 15-minute bars that lie outside the session because of it.

    """

    change: Change
    changed_at: datetime
    bars_aside: int


class CalendarBook:
    """Adds and removes changes; opens a connection for each call, none is held."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def announced(self) -> list[Announced]:
        """Return the changes in force, ascending by day."""
        with self._database.transaction() as connection:
            rows = connection.execute(_ANNOUNCED).fetchall()
        return [Announced(Change(*row[:3]), *row[3:]) for row in rows]

    def add(self, change: Change) -> bool:
        """Add a change, or put it in the place of the day's other one; return whether it is new.

        Raises:
            StorageError: the database refused or went away; nothing has changed.

        """
        with self._database.transaction() as connection:
            _hold_alone(connection)
            done = connection.execute(_ADD, (change.day, change.closes, change.reason))
            _follow(connection)
        return done.rowcount == 1

    def remove(self, day: date) -> Change:
        """Take a change back, and return it.

        Raises:
            UsageError: there is none of the day.
            StorageError: the database refused or went away; nothing has changed.

        """
        with self._database.transaction() as connection:
            _hold_alone(connection)
            row = connection.execute(
                "update calendar_changes set removed_at = clock_timestamp()"
                " where day = %s and removed_at is null returning day, closes, reason",
                (day,),
            ).fetchone()
            if row is None:
                raise UsageError(
                    f"day: {day} has no change; swiftbolt calendar list shows those there are"
                )
            _follow(connection)
        return Change(*row)


def write_sessions(connection: Connection[Any]) -> None:
    """Make the table of sessions what the calendar in force says, and let all else follow."""
    _hold_alone(connection)
    _follow(connection)


def _follow(connection: Connection[Any]) -> None:
    sessions = calendar_of(connection).sessions
    values = {
        "days": [session.day for session in sessions],
        "opens": [session.opens for session in sessions],
        "closes": [session.closes for session in sessions],
    }
    days = [day for (day,) in connection.execute(_SESSIONS, values).fetchall()]
    days += [day for (day,) in connection.execute(_NO_SESSIONS, values).fetchall()]
    if not days:
        return
    connection.execute("select follow_calendar(%s)", (sorted(days),))
    _judge_splits(connection, days)


def _judge_splits(connection: Connection[Any], days: Sequence[date]) -> None:
    """Hold splits against prices again where the nights around them are others now."""
    first, last = min(days), max(days)
    rows = connection.execute(
        "select distinct symbol_id from splits where execution_date between"
        " %s::date - 10 and %s::date + 10",
        (first, last),
    ).fetchall()
    symbols = [symbol_id for (symbol_id,) in rows]
    hold_bars(connection, symbols)
    for symbol_id in symbols:
        judge_near(connection, symbol_id, first, last)


def _hold_alone(connection: Connection[Any]) -> None:
    connection.execute(f"select pg_advisory_xact_lock({LOCK})")


_ANNOUNCED = """
select c.day, c.closes, c.reason, c.changed_at,
  (select count(distinct (a.symbol_id, a.ts)) from bars_aside a
    where a.timeframe = 'm15' and not a.is_forecast
      and a.ts >= new_york_midnight(c.day) and a.ts < new_york_midnight(c.day + 1))
  from calendar_changes c where c.removed_at is null order by c.day
"""
_ADD = """
insert into calendar_changes as c (day, closes, reason) values (%s, %s, %s)
on conflict (day) do update set closes = excluded.closes, reason = excluded.reason,
  changed_at = clock_timestamp(), removed_at = null
where (c.closes, c.reason) is distinct from (excluded.closes, excluded.reason)
   or c.removed_at is not null
"""
_SESSIONS = """
insert into market_sessions (day, opens, closes)
select * from unnest(%(days)s::date[], %(opens)s::timestamptz[], %(closes)s::timestamptz[])
on conflict (day) do update set opens = excluded.opens, closes = excluded.closes
where (market_sessions.opens, market_sessions.closes)
  is distinct from (excluded.opens, excluded.closes)
returning day
"""
_NO_SESSIONS = "delete from market_sessions where day <> all(%(days)s) returning day"
