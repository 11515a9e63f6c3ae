"""When the exchange is open, when that changes, and which session is the newest.

Regular hours only, early closes and holidays included (`sessions.py`).

What belongs here: pure answers; `now` is an argument. What does not: who is refreshed when
(`policy/freshness.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from swiftbolt_assets.clock import new_york_date
from swiftbolt_assets.market.sessions import SLOT

if TYPE_CHECKING:
    from datetime import datetime

    from swiftbolt_assets.market.sessions import Calendar, Session

#: The exchange has never been closed for so long since 1914; longer than any run of holidays.
_REACH = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Hours:
    """The exchange at an instant.

    Attributes:
        is_open: whether regular trading runs.
        next_open: when the next session opens, UTC; today's does not count once it has begun.
        next_close: when the running session closes, or the next one when none runs, UTC.

    """

    is_open: bool
    next_open: datetime
    next_close: datetime


def market_hours(calendar: Calendar, now: datetime) -> Hours:
    """Return whether the exchange is open, and when that changes.

    Raises:
        ValueError: the calendar's data ends before the next session.

    """
    today = new_york_date(now)
    until = min(today + _REACH, calendar.last)
    coming = [s for s in calendar.between(today, until) if s.closes > now]
    is_open = bool(coming) and coming[0].opens <= now
    if len(coming) <= is_open:
        raise ValueError(f"the calendar ends {calendar.last}; a newer release knows what follows")
    return Hours(is_open, coming[is_open].opens, coming[0].closes)


def next_bar_at(calendar: Calendar, now: datetime) -> datetime:
    """Return when the next 15-minute bar closes.

    Raises:
        ValueError: the calendar's data ends before the next session.

    """
    hours = market_hours(calendar, now)
    if not hours.is_open:
        return hours.next_open + SLOT
    return hours.next_close - (hours.next_close - now - timedelta(microseconds=1)) // SLOT * SLOT


def newest_session(calendar: Calendar, now: datetime, *, has_live: bool) -> Session:
    """Return the session whose bars are the newest that a provider can have.

    Args:
        calendar: the exchange's sessions.
        now: an instant of the market clock.
        has_live: whether today's bars are to be had; else the newest is one of the past.

    Raises:
        ValueError: the calendar does not reach so far.

    """
    today = new_york_date(now)
    known = calendar.between(today - _REACH, today)
    begun = [s for s in known if s.opens <= now and (has_live or s.day < today)]
    return begun[-1]
