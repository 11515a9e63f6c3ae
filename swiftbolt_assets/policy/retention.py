"""What may go, and when: the rules of an installation that runs for years.

What belongs here: the decisions. What does not: deleting (`resources/platform/retention.py`,
`resources/platform/dagster_history.py`), the run (`jobs/retention.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from swiftbolt_assets.policy.freshness import closed_hours

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from swiftbolt_assets.market.sessions import Calendar

#: A run a minute, and the newest says it all: such runs are kept for so long.
BRIEF = timedelta(days=2)
#: Live requests are 10,000 a day with 100 symbols.
LIVE_REQUESTS = timedelta(days=7)
#: Once a day, a little earlier than the day before rather than later and later.
_EVERY = timedelta(hours=20)
#: A machine that runs in session hours only is pruned then.
_LONGEST_WAIT = timedelta(days=3)
#: Corrections of a month's last sessions have come by then.
_SETTLED = timedelta(days=7)
#: More than this would keep readers waiting for longer than 10 s (220,000 rows/s were measured).
MOST_ROWS = 2_000_000


@dataclass(frozen=True)
class Month:
    """A month of bars that lies as it was written.

    Attributes:
        first: its first day.
        rows: about so many.

    """

    first: date
    rows: int


def reason_to_wait(age: timedelta, now: datetime, calendar: Calendar) -> str | None:
    """Return why nothing is to be pruned now, one sentence; None when it is time.

    Args:
        age: since the last time, in real time.
        now: the market clock's instant.
        calendar: the exchange's sessions.

    """
    hours = f"{age / timedelta(hours=1):.0f} h ago"
    # A clock that was set back makes it negative: then it is time.
    if timedelta(0) <= age < _EVERY:
        return f"old rows were pruned {hours}"
    if timedelta(0) <= age < _LONGEST_WAIT and is_busy(now, calendar):
        return f"the exchange is open, and old rows were pruned {hours}"
    return None


def is_busy(now: datetime, calendar: Calendar) -> bool:
    """Return whether people look at today's bars: from the session's open until they are in."""
    return closed_hours(calendar, now) is None


def month_to_order(months: Sequence[Month], today: date) -> Month | None:
    """Return the month whose bars are to be laid in order, the newest first; None when none is.

    It is over, its corrections are in, and it is small enough not to keep readers waiting.
    """
    ready = [
        month
        for month in months
        if 0 < month.rows <= MOST_ROWS and _next_month(month.first) + _SETTLED <= today
    ]
    return max(ready, key=lambda month: month.first, default=None)


def _next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
