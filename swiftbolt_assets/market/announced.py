"""Closures and early closes that are announced between releases.

A day of mourning or a storm closes the exchange at a few days' notice, sooner than a release comes.
Such a change takes from the calendar on board and adds nothing to it: a day that it calls closed is
never opened, so Dagster's partitions, which are its days, hold every session there can be.

What belongs here: applying changes to a calendar, and which ones make sense. What does not: where
they are kept (`resources/bars/calendar.py`), the calendar on board (`sessions.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.market.sessions import SLOT, Calendar, Session

if TYPE_CHECKING:
    from collections.abc import Iterable

_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Change:
    """What was announced of one day.

    Attributes:
        day: its New York date.
        closes: when it closes early, New York time; None where it is closed all day.
        reason: as a person put it.

    """

    day: date
    closes: time | None
    reason: str = ""

    def applied(self, session: Session) -> Session | None:
        """Return what is left of the day's session; None when it is closed."""
        if self.closes is None:
            return None
        closes = datetime.combine(self.day, self.closes, NEW_YORK).astimezone(UTC)
        return replace(session, closes=min(closes, session.closes))


def changed(calendar: Calendar, changes: Iterable[Change]) -> Calendar:
    """Return the calendar with changes; those of days that it calls closed change nothing."""
    by_day = {change.day: change for change in changes}
    if not by_day:
        return calendar
    sessions, closures = [], set(calendar.closures)
    for session in calendar.sessions:
        change = by_day.get(session.day)
        left = session if change is None else change.applied(session)
        if left is None:
            closures.add(session.day)
        else:
            sessions.append(left)
    return Calendar(calendar.first, calendar.last, sessions, closures)


def require_sense(calendar: Calendar, change: Change) -> None:
    """Refuse a change that takes nothing from the calendar on board.

    Raises:
        UsageError: it is of no session, or does not close it earlier; names the field.

    """
    day = change.day
    if not calendar.first <= day <= calendar.last:
        raise UsageError(
            f"day: {day} is outside the calendar, which reaches from {calendar.first} to "
            f"{calendar.last}; use a day in between"
        )
    if day.weekday() >= _SATURDAY:
        raise UsageError(f"day: {day} is a {day:%A}, closed anyway; use a weekday")
    session = calendar.session(day)
    if session is None:
        raise UsageError(f"day: {day} is a closure already; nothing is to be added")
    if change.closes is None:
        return
    opens, closes = (at.astimezone(NEW_YORK).time() for at in (session.opens, session.closes))
    at = datetime.combine(day, change.closes)
    if (at - datetime.combine(day, opens)) % SLOT != timedelta(0):
        raise UsageError(
            f"closes: {change.closes:%H:%M} is within a quarter hour; use one's end, such as 13:00"
        )
    if not opens < change.closes < closes:
        raise UsageError(
            f"closes: {day} is open from {opens:%H:%M} to {closes:%H:%M} New York time; "
            "use a time in between"
        )
