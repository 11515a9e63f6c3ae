"""What a request has room for: the two sessions before yesterday, and sessions in doubt.

A provider corrects bars for a day or two. The request for yesterday has room for the sessions
before it, so looking again costs nothing. It may also be late with yesterday. Sessions of which
something is in doubt ride along with whatever is asked near them.

What belongs here: these choices. What does not: asking and storing
(`swiftbolt_assets/filling/filler.py`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from swiftbolt_assets.market.coverage import Reason, State
from swiftbolt_assets.policy.request_windows import GUARANTEED_SESSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from swiftbolt_assets.market.coverage import SessionCoverage
    from swiftbolt_assets.market.sessions import Calendar, Session

#: Sessions before the newest one that are looked at once more.
LOOKED_AT_AGAIN = 2
#: So many calendar days hold at least that many sessions, holidays included.
REACH = timedelta(days=14)
#: What one request can span, about.
RIDERS_REACH = timedelta(days=7 * GUARANTEED_SESSIONS // 5)


def late_day(calendar: Calendar, latest_known: datetime | None, *, today: date) -> date | None:
    """Return the newest session before today if the symbol traded in the one before it.

    Args:
        calendar: the exchange's sessions.
        latest_known: start of the symbol's latest bar known, None without any.
        today: the current New York date.

    """
    past = calendar.between(today - REACH, today - timedelta(days=1))
    traded = latest_known is not None and latest_known >= past[-2].opens
    return past[-1].day if traded else None


def sessions_to_revise(
    unsettled: Sequence[Session],
    known: Mapping[date, SessionCoverage],
    calendar: Calendar,
    *,
    today: date,
) -> list[Session]:
    """Return the settled sessions that are asked for with yesterday's, ascending; none without it.

    Args:
        unsettled: what is to be asked for, ascending.
        known: the ledger's rows by date, of the last `REACH` at least.
        calendar: the exchange's sessions.
        today: the current New York date.

    """
    past = calendar.between(today - REACH, today - timedelta(days=1))
    if not (past and unsettled and unsettled[-1].day == past[-1].day):
        return []
    before = past[-1 - LOOKED_AT_AGAIN : -1]
    return [s for s in before if s.day in known and known[s.day].state is State.FINAL]


def sessions_to_ride_along(
    unsettled: Sequence[Session],
    known: Mapping[date, SessionCoverage],
    calendar: Calendar,
    *,
    now: datetime,
) -> list[Session]:
    """Return settled sessions in doubt that the newest request has room for, ascending.

    Args:
        unsettled: what is to be asked for, ascending.
        known: the ledger's rows by date, of the last `RIDERS_REACH` at least.
        calendar: the exchange's sessions.
        now: on the market clock.

    """
    if not unsettled:
        return []
    asked, last = set(unsettled), unsettled[-1].day
    spanned = calendar.between(last - RIDERS_REACH, last)[-GUARANTEED_SESSIONS:]
    rows = ((s, known.get(s.day)) for s in spanned if s not in asked)
    waiting = [(s, row) for s, row in rows if row and row.again_at and row.is_settled(now)]
    # With others a window is answered that would be refused alone.
    return [s for s, row in waiting if row.reason is not Reason.PLAN_CUT]
