"""The calendar in force: the one on board, with what was announced since and is kept here.

Every process reads it: the API and long commands again after half a minute, runs once, when they
begin, sensors at each tick. Who writes bars holds it, and what a run stores by the calendar of
before is brought in line with the one in force as it is stored.

What belongs here: reading it, and holding it. What does not: what a change makes of a calendar
(`swiftbolt_assets/market/announced.py`), changing it (`calendar_changes.py`).
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Any

from swiftbolt_assets.market.announced import Change, changed
from swiftbolt_assets.market.sessions import xnys

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from psycopg import Connection

    from resources.postgres.database import Database
    from swiftbolt_assets.market.sessions import Calendar

#: Every process knows a change within a minute.
_FRESH_S = 30.0
#: Writers of bars share it, who changes the calendar has it alone.
LOCK = "hashtextextended('calendar', 0)"


class CalendarInForce:
    """The calendar for a process that lives long; one read serves all for half a minute."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._read: tuple[float, Calendar] | None = None

    def now(self) -> Calendar:
        """Return the calendar in force.

        Raises:
            StorageError: it is to be read again, and the database does not answer.

        """
        with self._lock:
            at = time.monotonic()
            if self._read is None or at - self._read[0] >= _FRESH_S:
                self._read = (at, load_calendar(self._database))
            return self._read[1]


def load_calendar(database: Database) -> Calendar:
    """Return the calendar in force.

    Raises:
        StorageError: the database does not answer.

    """
    with database.transaction() as connection:
        return calendar_of(connection)


def calendar_of(connection: Connection[Any]) -> Calendar:
    """Return the calendar in force, as a transaction sees it."""
    rows = connection.execute(
        "select day, closes, reason from calendar_changes where removed_at is null"
    ).fetchall()
    return changed(xnys(), [Change(*row) for row in rows])


def hold_calendar(connection: Connection[Any]) -> None:
    """Keep the calendar as it is until commit; others may hold it, too."""
    connection.execute(f"select pg_advisory_xact_lock_shared({LOCK})")


def follow_changes(
    connection: Connection[Any], symbol_id: UUID, first: datetime, last: datetime
) -> None:
    """Bring what a run has stored in line with changes that it may not know.

    Args:
        connection: it holds the calendar.
        symbol_id: whose bars were stored.
        first: from this instant on.
        last: to this one.

    """
    connection.execute(
        "select follow_calendar(array_agg(day), array[%s::uuid]) from calendar_changes"
        " where day between (%s at time zone 'America/New_York')::date"
        " and (%s at time zone 'America/New_York')::date having count(*) > 0",
        (symbol_id, first, last),
    )
