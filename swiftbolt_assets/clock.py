"""The one clock and the one "today".

What belongs here: the market clock (sessions, "today", closed bars), which `SWIFTBOLT_NOW` moves
by a fixed offset. What does not: back-off, leases, the rate limiter and audit times, which use
real time (the database's, where processes share it). SQL has the same clock in `market_now()`
and `market_today()`, moved by the connection setting `swiftbolt.clock_offset`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True)
class Clock:
    """The market clock.

    Attributes:
        offset: what is added to the machine's time; zero or negative.

    """

    offset: timedelta = timedelta(0)

    def now(self) -> datetime:
        """Return the market's current instant, in UTC."""
        return datetime.now(UTC) + self.offset

    def today(self) -> date:
        """Return the current date in New York."""
        return new_york_date(self.now())


def new_york_date(instant: datetime) -> date:
    """Return the New York date of an aware instant."""
    return instant.astimezone(NEW_YORK).date()


def midnight(day: date) -> datetime:
    """Return the first instant of a New York date, in UTC."""
    return datetime.combine(day, time(), NEW_YORK).astimezone(UTC)
