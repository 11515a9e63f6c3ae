"""How far back the provider's plan reaches, learned where it refuses days as too old.

A plan may reach back one year, two, five, ten, or without end. A range that is older is refused;
one that is older in part is cut short by some servers and refused by others. The first refusal is
narrowed down in a few requests, and what was learned is remembered for all symbols.

In a bad hour everything is refused. A refusal is about age only if newer days are answered after
it: else the error names no reach, and whoever asked decides.

What belongs here: the narrowing, and what is remembered. What does not: what becomes of the days
that are refused (`swiftbolt_assets/filling/filler.py`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg

from resources.postgres.connection import first_line
from resources.providers.registry import HISTORY
from swiftbolt_assets.errors import BeyondPlanError, StorageError
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.policy.request_windows import plan_edge, years_before

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from datetime import date

    from resources.providers.contract import Answer, BarProvider
    from swiftbolt_assets.market.sessions import Session

    Ask = Callable[[date, date], Answer]

_DAY = timedelta(days=1)
#: No plan is as short: that these days are refused says nothing of their age.
_EVERY_PLAN = timedelta(days=30)


class ReachingProvider:
    """A provider that is not asked for days beyond its plan together with others.

    An answer's `first` is the first date that the plan serves, if later than what was asked.

    Args:
        inner: the provider.
        transaction: opens one; each call is one of its own.

    """

    def __init__(
        self,
        inner: BarProvider,
        transaction: Callable[[], AbstractContextManager[psycopg.Connection[Any]]],
    ) -> None:
        self.name = inner.name
        self._inner = inner
        self._transaction = transaction

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        """Return the answer of the days that the plan serves.

        Raises:
            BeyondPlanError: it serves none of them; names its reach if that is proven.
            ProviderError: what the provider raised.
            StorageError: the database cannot be reached.

        """
        ask = partial(self._inner.fetch, symbol, priority=priority)
        today, reach = self._known()
        start = reach if reach is not None and first < reach <= last else first
        try:
            answer = ask(start, last)
        except BeyondPlanError as error:
            if reach is not None and last < reach:
                raise BeyondPlanError(str(error), reach) from None
            sessions = xnys().between(start, last)
            # Up to where the smallest plan begins: that is all there is to learn.
            ends_at_edge = last < (edge := plan_edge(today)) and not xnys().between(
                last + _DAY, edge - _DAY
            )
            if ends_at_edge or start >= today - _EVERY_PLAN or not sessions:
                raise
            return self._narrowed(ask, sessions, today, error)
        if reach is not None and start < reach and not answer.bars.is_empty():
            # It is another plan now.
            self._learn(None)
        return answer

    def _narrowed(
        self, ask: Ask, sessions: Sequence[Session], today: date, refused: BeyondPlanError
    ) -> Answer:
        """Find the first session from which on the plan serves some that it refused together."""
        last = sessions[-1].day
        best = _served(ask, last, last) if len(sessions) > 1 else None
        if best is None:
            yesterday = xnys().between(today - _EVERY_PLAN, today - _DAY)[-1].day
            if yesterday == last or _served(ask, yesterday, yesterday) is None:
                raise refused
            self._learn(last + _DAY)
            raise BeyondPlanError(str(refused), last + _DAY)
        requests = 1 + best.requests
        low, high = 0, len(sessions) - 1
        while high - low > 1:
            middle = _likely(sessions, low, high, today)
            answer = _served(ask, sessions[middle].day, last)
            requests += 1 if answer is None else answer.requests
            if answer is None:
                low = middle
            else:
                best, high = answer, middle
        self._learn(sessions[high].day)
        return replace(best, requests=requests)

    def _known(self) -> tuple[date, date | None]:
        """Return the market's date, and the first one that the plan is known to serve."""
        row = self._run("select market_today(), plan_reach(%s)", (self.name,))
        return row[0], row[1]

    def _learn(self, reach: date | None) -> None:
        self._run("select learn_plan_reach(%s, %s)", (self.name, reach))

    def _run(self, statement: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
        try:
            with self._transaction() as connection:
                return connection.execute(statement, values).fetchone() or ()
        except psycopg.Error as error:
            raise StorageError(f"database: {first_line(error)}") from error


def _served(ask: Ask, first: date, last: date) -> Answer | None:
    """Return the answer of some days, None where they are refused as too old."""
    try:
        return ask(first, last)
    except BeyondPlanError:
        return None


def _likely(sessions: Sequence[Session], low: int, high: int, today: date) -> int:
    """Return which session to ask from: where plans that are sold begin, else the one halfway."""
    for years in HISTORY.plan_years:
        edge = years_before(today, years)
        at = next((n for n in range(low, high + 1) if sessions[n].day >= edge), low)
        # The first that it serves, and then the last that it does not.
        for number in (at, at - 1):
            if low < number < high:
                return number
    return (low + high) // 2
