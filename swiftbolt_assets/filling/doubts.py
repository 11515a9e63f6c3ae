"""Weighs what is in doubt against what others know, after a fill; history is not asked for it.

The provider of today's bars, which keeps some weeks of them, is asked once for the days in doubt
if its budget has room to spare. A symbol's new bars are evidence for others, too.

What belongs here: the order of steps. What does not: what evidence makes of a doubt
(`market/doubt.py`), asking history again (the planner, when a session is due).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from resources.providers.registry import TODAY
from swiftbolt_assets.clock import midnight, new_york_date
from swiftbolt_assets.errors import ProviderError
from swiftbolt_assets.market.by_session import of_sessions
from swiftbolt_assets.market.coverage import reconsider
from swiftbolt_assets.market.validation import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date, datetime

    from resources.bars.witnesses import Doubted, Witnesses
    from resources.providers.contract import Answer, BarProvider
    from swiftbolt_assets.filling.target import Target
    from swiftbolt_assets.market.sessions import Calendar, Session

#: What the other provider keeps, less the day that begins meanwhile.
_REACH_WEEKDAYS = TODAY.weekdays_kept - 1
#: Bars of the sessions around show that it knows the one in between.
_AROUND = timedelta(days=5)
#: For the request limiter: after all else.
_PRIORITY = 0


@dataclass(frozen=True)
class Doubts:
    """What is weighed.

    Attributes:
        witnesses: what others know.
        other: another provider of bars with room to spare, None without.
        now: on the market clock.
        calendar: the exchange's sessions.
        tell: hears what came of it, one line.

    """

    witnesses: Witnesses
    other: BarProvider | None
    now: datetime
    calendar: Calendar
    tell: Callable[[str], object]

    def settle(self, target: Target) -> int:
        """Weigh a symbol's doubts, and those of others that its bars tell of; return how many went.

        Raises:
            StorageError: the database does not answer.

        """
        earliest = self.witnesses.earliest(target.symbol_id)
        since = self._told_since()
        if earliest is not None:
            since = min(since, new_york_date(earliest))
        # Nobody can tell of the years before the first bar but another provider.
        mine = self.witnesses.doubted(target.symbol_id, since)
        told = self._witnessed(target, mine)
        beside = self.witnesses.doubted_beside(target.symbol_id)
        return sum(self._reconsidered(one, told.get(one.row.day), earliest) for one in mine) + sum(
            self._reconsidered(one, one.row.witness, None) for one in beside
        )

    def _told_since(self) -> date:
        """Return the first date that the other provider can tell of."""
        return _weekdays_before(new_york_date(self.now), _REACH_WEEKDAYS)

    def _reconsidered(
        self, doubted: Doubted, told: Mapping[datetime, float] | None, earliest: datetime | None
    ) -> int:
        """Store what the evidence makes of a session; return how many quarter hours it settled.

        Args:
            doubted: the session.
            told: another provider's bars, start -> shares; None if it was not asked.
            earliest: start of the symbol's earliest bar, where the session may lie before it.

        """
        session = self.calendar.session(doubted.row.day)
        if session is None:
            return 0
        bars = self.witnesses.bars(doubted.symbol_id, session)
        slots = {slot for slot in session.slot_starts() if slot not in bars}
        elsewhere = self.witnesses.elsewhere(
            doubted.symbol_id,
            {session: slots},
            self.witnesses.seen(doubted.symbol_id, [session], {session.day: told}),
            self.witnesses.unbelieved(doubted.symbol_id, [session]),
        )
        row = replace(doubted.row, witness=told)
        row = reconsider(session, bars, row, elsewhere, self.now, earliest)
        if row == doubted.row or not self.witnesses.store(doubted, row):
            return 0
        return doubted.row.unconfirmed - row.unconfirmed

    def _witnessed(
        self, target: Target, doubted: Sequence[Doubted]
    ) -> dict[date, Mapping[datetime, float] | None]:
        """Return another provider's bars by date, start -> shares, asking it once."""
        known = {one.row.day: one.row.witness for one in doubted}
        today = new_york_date(self.now)
        since = self._told_since()
        unasked = [one for one in doubted if one.row.witness is None and one.row.day >= since]
        if self.other is None or not unasked:
            return known
        first = max(unasked[0].row.day - _AROUND, since)
        last = min(unasked[-1].row.day + _AROUND, today - timedelta(days=1))
        try:
            answer = self.other.fetch(target.symbol, first, last, priority=_PRIORITY)
        except ProviderError as error:
            self.tell(f"{target.symbol}: nobody else could be asked: {error}")
            return known
        self.tell(f"{target.symbol}: {self.other.name} was asked about {len(unasked)} sessions")
        return known | {
            one.row.day: _traded(answer, self.calendar.session(one.row.day)) for one in unasked
        }


def _traded(answer: Answer, session: Session | None) -> dict[datetime, float] | None:
    """Return another provider's bars of a session, start -> shares; None if it does not know it.

    It knows one if it has bars of it, or on both sides.
    """
    if session is None or session.day < answer.first:
        return None
    window = (midnight(answer.first), midnight(answer.last + timedelta(days=1)))
    good = validate(answer.bars, *window).good
    of_day = of_sessions(good, [session])
    before, after = pl.col("ts") < session.opens, pl.col("ts") >= session.closes
    on_both_sides = not (good.filter(before).is_empty() or good.filter(after).is_empty())
    if of_day.is_empty() and not on_both_sides:
        return None
    return dict(of_day.select("ts", "volume").iter_rows())


def _weekdays_before(day: date, count: int) -> date:
    """Return the date so many weekdays before another."""
    weeks, rest = divmod(count, 5)
    day -= timedelta(weeks=weeks)
    for _ in range(rest):
        day -= timedelta(days=3 if day.weekday() == 0 else 1)
    return day
