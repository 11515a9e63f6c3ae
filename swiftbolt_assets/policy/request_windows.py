"""Which sessions to ask for next, with as few requests as possible.

A reply of history holds the bars of so many stored one-minute bars at most (its provider's record,
`resources/providers/registry.py`), and a session has at most 960 of them (04:00-20:00): of 50,000,
52 whole sessions always fit. Where replies show a lower density, more fit. Newest sessions come
first; sessions that must be asked for again come after those that were never asked for, so that one
request can settle many.

What belongs here: pure planning of request windows. What does not: what an answer proves
(`market/coverage.py`) and how a window becomes a request (the provider's folder).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from resources.providers.registry import HISTORY

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date

    from swiftbolt_assets.market.sessions import Calendar, Session

REQUEST_BASE_MINUTES = HISTORY.most_base_minutes
SESSION_BASE_MINUTES = 960
GUARANTEED_SESSIONS = REQUEST_BASE_MINUTES // SESSION_BASE_MINUTES
#: Older sessions may be denser than the newer ones that were measured.
_DENSITY_MARGIN = 1.1
#: So many long replies without a bar in a row, and the rest is asked for in one request: before
#: a listing there is nothing that could exceed the limit.
_EMPTY_STRETCHES = 2
_EMPTY_STRETCH_SESSIONS = 20
_DAY = timedelta(days=1)
#: A request with its storing.
SECONDS_A_REQUEST = 2.0


@dataclass(frozen=True, slots=True)
class Density:
    """How many one-minute bars a symbol's sessions hold, as far as replies have shown.

    Attributes:
        per_session: the highest mean of one reply; None before the first with a bar.
        empty_in_a_row: the latest replies without any bar.

    """

    per_session: float | None = None
    empty_in_a_row: int = 0

    def seen(self, base_minutes: int, sessions: int) -> Density:
        """Return the density after one more reply of `base_minutes` for `sessions` sessions."""
        if sessions == 0:
            return self
        if base_minutes == 0:
            # A few empty days are a halt; only a long stretch hints at a listing.
            longer = sessions >= _EMPTY_STRETCH_SESSIONS
            return replace(self, empty_in_a_row=self.empty_in_a_row + longer)
        return Density(max(base_minutes / sessions, self.per_session or 0.0))

    @property
    def sessions_a_request(self) -> int:
        """Return how many sessions one request may span; never less than is guaranteed."""
        if self.empty_in_a_row >= _EMPTY_STRETCHES:
            return REQUEST_BASE_MINUTES
        if self.per_session is None:
            return GUARANTEED_SESSIONS
        fit = int(REQUEST_BASE_MINUTES / (self.per_session * _DENSITY_MARGIN))
        return max(GUARANTEED_SESSIONS, fit)


@dataclass(frozen=True, slots=True)
class Pace:
    """A provider's budget now.

    Attributes:
        per_minute: requests in any 60 s; 0 is unlimited.
        free: slots that are free.
        next_free_s: until the next one is.

    """

    per_minute: int
    free: int
    next_free_s: float


def next_window(
    pending: Sequence[Session],
    calendar: Calendar,
    density: Density,
    *,
    empty: Collection[date] = frozenset(),
) -> tuple[date, date]:
    """Return the first and last date of the next request.

    The window ends at the newest pending session and reaches back as far as one request can; it
    may span sessions that are settled already, because requests are scarcer than bars.

    Args:
        pending: the sessions to ask for, in any order, at least one.
        calendar: the exchange's sessions.
        density: what earlier replies have shown.
        empty: dates whose sessions came back without a bar: they take no room.

    """
    wanted = {session.day for session in pending}
    first = last = max(wanted)
    room = density.sessions_a_request
    for session in reversed(calendar.between(min(wanted), last)):
        room -= session.day not in empty
        if room < 0:
            break
        if session.day in wanted:
            first = session.day
    return first, last


def with_neighbours(
    window: tuple[date, date],
    calendar: Calendar,
    density: Density,
    *,
    before: date,
    empty: Collection[date] = frozenset(),
) -> tuple[date, date]:
    """Widen a window by the nearest sessions on both sides, where they fit one request.

    Sessions that came back empty are asked for again with their neighbours: bars around a hole
    prove it, an answer without any bar proves little.

    Args:
        window: first and last date.
        calendar: the exchange's sessions.
        density: what earlier replies have shown.
        before: the first date that is not history yet.
        empty: dates whose sessions came back without a bar: they take no room and are no
            neighbours; the next session beyond them is.

    """
    first, last = window
    spanned = calendar.between(first, last)
    room = density.sessions_a_request - sum(s.day not in empty for s in spanned)
    later = calendar.between(last + _DAY, before - _DAY)
    newest = next((s.day for s in later if s.day not in empty), None)
    if room > 0 and newest is not None:
        last = newest
        room -= 1
    earlier = calendar.between(calendar.first, first - _DAY)
    oldest = next((s.day for s in reversed(earlier) if s.day not in empty), None)
    return (oldest if room > 0 and oldest is not None else first), last


def plan_edge(today: date) -> date:
    """Return the first date that every plan of the provider reaches: the smallest sold now."""
    return years_before(today, HISTORY.plan_years[0])


def years_before(today: date, years: int) -> date:
    """Return the same date some years ago."""
    # 29 February is the 28th then.
    day = 28 if (today.month, today.day) == (2, 29) else today.day
    return today.replace(year=today.year - years, day=day)


def theoretical_minimum(base_minutes: int) -> int:
    """Return the fewest requests that can carry `base_minutes` one-minute bars."""
    return -(-base_minutes // REQUEST_BASE_MINUTES)


def requests_expected(sessions: int, density: Density) -> int:
    """Return how many requests so many sessions will take."""
    return -(-sessions // density.sessions_a_request)


def seconds_left(
    requests: int, *, per_minute: int, free: int, next_free_s: float, seconds_a_request: float
) -> float:
    """Return how long so many requests take under the budget.

    Args:
        requests: still to be sent.
        per_minute: the budget; 0 is unlimited.
        free: slots of the budget that are free now.
        next_free_s: until the next one is.
        seconds_a_request: what one takes by itself.

    """
    if per_minute == 0 or requests <= free:
        return requests * seconds_a_request
    # The first request without a slot waits for the next; each further minute brings a budget.
    minutes = (requests - free - 1) // per_minute
    return next_free_s + 60.0 * minutes + seconds_a_request


def seconds_to_done(
    ahead: int,
    pace: Pace,
    *,
    is_running: bool,
    cooling_s: float,
    last_attempt_s: float | None,
) -> float | None:
    """Return how long a queue takes at a budget's pace, None when nothing is under way.

    Args:
        ahead: requests to be sent until the last one is.
        pace: the budget.
        is_running: whether one is under way.
        cooling_s: until the provider is asked again, 0 when it is not left alone.
        last_attempt_s: until the last of those that wait for a retry may begin, None without.

    """
    if not ahead:
        return SECONDS_A_REQUEST if is_running else None
    left = seconds_left(
        ahead,
        per_minute=pace.per_minute,
        free=pace.free,
        next_free_s=pace.next_free_s,
        seconds_a_request=SECONDS_A_REQUEST,
    )
    return round(max(left + cooling_s, last_attempt_s or 0.0), 1)
