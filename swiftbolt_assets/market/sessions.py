"""The trading sessions of the New York Stock Exchange (XNYS).

The regular session is 09:30-16:00 New York time; it ends at 13:00 on early-close days (the day
before Independence Day, the Friday after Thanksgiving, Christmas Eve, when the exchange says so).
Full-day closures are the holidays and ad-hoc days such as 2025-01-09 (day of mourning). Source of
`xnys.json`: exchange_calendars, written by `tests/market/write_xnys.py` and held against the
library by `tests/market/test_market_sessions.py`; a data file because the library brings pandas,
1.9 s of CPU in every worker.

What belongs here: sessions and their bounds. What does not: bars (`bars.py`), buckets
(`resample.py`), Dagster's partitions (`assets/partitions.py`).
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from swiftbolt_assets.clock import NEW_YORK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SLOT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, order=True)
class Session:
    """One trading day.

    Attributes:
        day: its New York date.
        opens: the first instant of regular hours, UTC.
        closes: the first instant after regular hours, UTC.

    """

    day: date
    opens: datetime
    closes: datetime

    @property
    def slots(self) -> int:
        """Return how many quarter hours it has: 26, or 14 on an early-close day."""
        return (self.closes - self.opens) // SLOT

    def slot_starts(self) -> list[datetime]:
        """Return the start of each quarter hour, ascending, UTC."""
        return [self.opens + i * SLOT for i in range(self.slots)]

    def bars_expected(self, minutes: int) -> int:
        """Return how many buckets of `minutes` the session has; the last may be short."""
        return -(-(self.closes - self.opens) // timedelta(minutes=minutes))


class Calendar:
    """The sessions between two dates, ascending.

    Attributes:
        first: the first date it can speak of.
        last: the last date it can speak of.
        sessions: all sessions in between.
        closures: weekdays without a session, ascending.

    """

    def __init__(
        self, first: date, last: date, sessions: Sequence[Session], closures: Iterable[date]
    ) -> None:
        self.first = first
        self.last = last
        self.sessions = tuple(sessions)
        self.closures = tuple(sorted(closures))
        self._days = [session.day for session in sessions]

    def between(self, first: date, last: date) -> list[Session]:
        """Return the sessions of `first`..`last`, both included, ascending.

        Raises:
            ValueError: a bound lies outside the calendar's data.

        """
        if first < self.first or last > self.last:
            raise ValueError(f"the XNYS calendar reaches from {self.first} to {self.last}")
        start, stop = bisect_left(self._days, first), bisect_right(self._days, last)
        return list(self.sessions[start:stop])

    def position(self, day: date) -> int:
        """Return how many sessions lie before a date: the number of its own or of the next one."""
        return bisect_left(self._days, day)

    def session(self, day: date) -> Session | None:
        """Return the session of a date, or None when the exchange is closed."""
        found = self.between(day, day)
        return found[0] if found else None


@cache
def xnys() -> Calendar:
    """Return the XNYS calendar of the data file."""
    data = json.loads(files(__package__).joinpath("xnys.json").read_text("utf-8"))
    first, last = date.fromisoformat(data["first"]), date.fromisoformat(data["last"])
    closures = frozenset(date.fromisoformat(day) for day in data["closures"])
    early = {date.fromisoformat(day): at for day, at in data["early_closes"].items()}
    opens, closes = time.fromisoformat(data["open"]), data["close"]
    sessions = []
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        if day.weekday() < 5 and day not in closures:  # noqa: PLR2004 - Saturday is 5
            close = time.fromisoformat(early.get(day, closes))
            sessions.append(Session(day, _utc(day, opens), _utc(day, close)))
    return Calendar(first, last, sessions, closures)


def _utc(day: date, at: time) -> datetime:
    return datetime.combine(day, at, NEW_YORK).astimezone(UTC)
