"""Who of the watched symbols is asked for today's bars now, and in what order.

A bar is at most five minutes old while the session runs, and is there within a minute after its
quarter hour has closed, the last one included; nothing is asked before the open, on closed days,
or again after the last bar. One tick a minute, so a symbol is due a little before its bars are old.

What belongs here: pure decisions; `now` is an argument. What does not: what is stored about the
symbols (`resources/bars/live.py`), the tick (`sensors/live.py`), one refresh (`filling/today.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from swiftbolt_assets.clock import NEW_YORK, new_york_date
from swiftbolt_assets.market.sessions import SLOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from swiftbolt_assets.market.sessions import Calendar, Session

#: No bar of a running session is older.
OLDEST = timedelta(minutes=5)
#: A closed bar is there after so long.
CLOSED_WITHIN = timedelta(seconds=60)
TICK = timedelta(seconds=60)
#: From a tick to the stored answer: launching a run, waiting for slots, the requests before.
_ALLOWANCE = timedelta(seconds=30)
#: At this age a symbol is due: at the next tick it would be too late.
REFRESH_AFTER = OLDEST - TICK - _ALLOWANCE
#: A close that comes sooner than the next tick is awaited by the run of this one.
_BEFORE_NEXT_TICK = TICK - timedelta(seconds=5)
#: A chart that was tracked so lately is on a screen.
ON_SCREEN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Watched:
    """A symbol whose bars of today are wanted.

    Attributes:
        symbol: canonical ticker.
        symbol_id: its id.
        priority: how much it is wanted.
        on_screen: whether a chart of it was opened lately.
        refreshed_at: the market instant for which its stored answer was asked, None before any.
        reported_through: as far as the catalogue has been told, None before anything.
        may_ask: whether no failure holds it back.
        error: why its latest refresh failed, None when it did not.

    """

    symbol: str
    symbol_id: UUID
    priority: int
    on_screen: bool = False
    refreshed_at: datetime | None = None
    reported_through: datetime | None = None
    may_ask: bool = True
    error: str | None = None


def closed_through(session: Session, now: datetime) -> datetime:
    """Return the end of the newest quarter hour that has closed; the open before the first."""
    elapsed = max(min(now, session.closes) - session.opens, timedelta(0))
    return session.opens + elapsed // SLOT * SLOT


def next_due(watched: Watched, session: Session | None, now: datetime) -> datetime | None:
    """Return when a symbol is to be asked for next, `now` or earlier if it is due; None: not today.

    A refresh from before the open counts as none.
    """
    if session is None:
        return None
    at = _of_today(watched, session, now)
    if at is None:
        return session.opens
    if at >= session.closes:
        return None
    following = closed_through(session, at) + SLOT
    return min(following, at + REFRESH_AFTER, session.closes)


def due(
    watched: Iterable[Watched],
    session: Session | None,
    now: datetime,
    *,
    budget: int | None = None,
) -> list[Watched]:
    """Return who is to be asked for now: on screen first, then by priority, then the oldest.

    Args:
        watched: everybody, in any order.
        session: today's, None on a closed day.
        now: the market's instant.
        budget: requests that may be sent until the next tick; None without a limit.

    """
    if session is None:
        return []
    wanted = [
        one
        for one in watched
        if one.may_ask and (at := next_due(one, session, now)) is not None and at <= now
    ]
    wanted = in_order(wanted, session, now)
    return wanted if budget is None else wanted[: max(budget, 0)]


def in_order(watched: Iterable[Watched], session: Session, now: datetime) -> list[Watched]:
    """Return symbols in the order in which they are asked for."""
    return sorted(watched, key=lambda one: _rank(one, session, now))


def awaited_close(session: Session, now: datetime) -> datetime | None:
    """Return when the forming quarter hour closes if no later tick comes before; else None.

    Ticks fall on the machine's minutes, and so do closes; a moved clock lets them fall in between,
    where the next tick would be too late.
    """
    if not session.opens <= now < session.closes:
        return None
    closes = closed_through(session, now) + SLOT
    return closes if closes - now < _BEFORE_NEXT_TICK else None


def age(watched: Watched, session: Session | None, now: datetime) -> timedelta:
    """Return how much of today is not seen yet: the age of its newest price; 0 outside sessions."""
    if session is None or now < session.opens:
        return timedelta(0)
    seen = _of_today(watched, session, now) or session.opens
    if seen >= session.closes:
        return timedelta(0)
    return now - seen


def is_stale(watched: Watched, session: Session | None, now: datetime) -> bool:
    """Return whether a bar is older than promised, or a closed one is missing for too long."""
    if session is None or now < session.opens:
        return False
    if now < session.closes and age(watched, session, now) > OLDEST:
        return True
    at = _of_today(watched, session, now)
    closed = closed_through(session, now)
    if closed == session.opens:
        return False
    return (at is None or at < closed) and now - closed > CLOSED_WITHIN


def is_beyond_budget(watched: int, budget: int | None) -> bool:
    """Return whether a quarter hour's close makes more symbols due than a minute has requests.

    Args:
        watched: how many symbols are watched.
        budget: requests a minute; None without a limit.

    """
    return budget is not None and watched > budget


def closed_hours(calendar: Calendar, now: datetime) -> str | None:
    """Return one sentence when the exchange is closed at an instant, None during a session."""
    today = new_york_date(now)
    session = calendar.session(today)
    if session is not None and session.opens <= now < session.closes:
        return None
    last = min(calendar.last, today + timedelta(days=14))
    coming = [one for one in calendar.between(today, last) if one.opens > now]
    opens = f"{coming[0].opens.astimezone(NEW_YORK):%Y-%m-%d %H:%M}" if coming else "later"
    return f"the exchange is closed; the next session opens {opens} New York time"


def _of_today(watched: Watched, session: Session, now: datetime) -> datetime | None:
    """Return the instant of a refresh of this session, `now` at most.

    A clock that was set back leaves refreshes of the future: they count if they saw no other
    closed bar than there is now.
    """
    at = watched.refreshed_at
    if at is None or at < session.opens or new_york_date(at) != session.day:
        return None
    if at > now and closed_through(session, at) != closed_through(session, now):
        return None
    return min(at, now)


def _rank(watched: Watched, session: Session, now: datetime) -> tuple[bool, int, datetime, str]:
    seen = _of_today(watched, session, now) or session.opens
    return not watched.on_screen, -watched.priority, seen, watched.symbol
