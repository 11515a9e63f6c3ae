"""Where the plan ends is learned in a few requests, once for all symbols; what it serves is asked.

Two kinds of servers: one refuses a range that begins before the plan does, one cuts it short and
refuses only what is wholly older.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from resources.providers.health import GuardedProvider, ProviderHealth
from resources.providers.plan_reach import ReachingProvider
from resources.providers.trouble import present_troubles
from swiftbolt_assets.clock import midnight
from swiftbolt_assets.errors import BeyondPlanError
from swiftbolt_assets.market.coverage import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from resources.providers.contract import Answer, BarProvider
    from tests.filling.conftest import Desk

LAST = date(2026, 11, 19)
TIMEFRAME = "polygon: HTTP 403: Your plan doesn't include this data timeframe"


class Planned:
    """The simulator behind a plan that reaches to a date; None refuses everything."""

    name = "polygon"

    def __init__(self, inner: BarProvider, edge: date | None, *, cuts: bool) -> None:
        self.edge = edge
        self.windows: list[tuple[date, date]] = []
        self._inner = inner
        self._cuts = cuts

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        self.windows.append((first, last))
        if self.edge is None or (last if self._cuts else first) < self.edge:
            raise BeyondPlanError(TIMEFRAME)
        answer = self._inner.fetch(symbol, first, last, priority=priority)
        return replace(answer, bars=answer.bars.filter(pl.col("ts") >= midnight(self.edge)))


def guarded(one: Desk, planned: Planned) -> BarProvider:
    reaching = ReachingProvider(planned, one.database.connect)
    return GuardedProvider(reaching, ProviderHealth(one.database.connect))


@pytest.mark.parametrize("cuts", [False, True])
@pytest.mark.parametrize(
    ("edge", "first", "last"),
    [
        (date(2024, 11, 20), date(2024, 10, 24), date(2025, 2, 10)),
        (date(2025, 11, 20), date(2025, 6, 2), date(2026, 2, 6)),
        # Of no length that is sold.
        (date(2026, 5, 12), date(2026, 2, 2), date(2026, 7, 31)),
        (date(2021, 11, 22), date(2021, 9, 1), date(2022, 2, 25)),
    ],
)
def test_what_the_plan_serves_is_stored_and_the_rest_is_cut_whatever_its_length(
    desk: Callable[..., Desk], edge: date, first: date, last: date, *, cuts: bool
) -> None:
    one = desk()
    planned = Planned(one.polygon, edge, cuts=cuts)
    one.fill(first, last, provider=guarded(one, planned))
    rows = one.coverage(first, last)
    older = {s.day for s in one.sessions(first, last) if s.day < edge}
    assert {day for day, row in rows.items() if row.reason is Reason.PLAN_CUT} == older
    one.assert_exact(max(edge, first), last)
    sessions = len(one.sessions(first, last))
    assert len(planned.windows) <= 12 + sessions // 52
    # All is settled; another symbol pays no more than one request for what is older.
    asked = len(planned.windows)
    assert one.fill(first, last, provider=guarded(one, planned)) == []
    other = desk("MSFT")
    other.fill(first, last, provider=guarded(other, planned))
    assert len(planned.windows) - asked <= 2 + len(other.sessions(edge, last)) // 40
    other.assert_exact(max(edge, first), last)
    assert other.coverage(first, last).keys() == rows.keys()


def test_a_longer_plan_is_noticed_and_its_days_are_filled(desk: Callable[..., Desk]) -> None:
    one, first, last = desk(), date(2024, 9, 3), date(2025, 1, 31)
    planned = Planned(one.polygon, date(2024, 11, 20), cuts=False)
    one.fill(first, last, provider=guarded(one, planned))
    planned.edge = date(2021, 11, 22)
    one.later = timedelta(hours=5)
    one.fill(first, last, provider=guarded(one, planned))
    one.assert_exact(first, last)


def test_in_a_bad_hour_nothing_is_learned_and_nothing_is_cut(desk: Callable[..., Desk]) -> None:
    one, first, last = desk(), date(2025, 3, 3), date(2026, 2, 6)
    planned = Planned(one.polygon, None, cuts=False)
    with pytest.raises(BeyondPlanError):
        one.fill(first, last, provider=guarded(one, planned))
    # The range, its newest session, and yesterday.
    assert len(planned.windows) == 3
    assert one.coverage(first, last) == {}
    with pytest.raises(BeyondPlanError):
        one.fill(LAST, LAST, provider=guarded(one, planned))
    assert len(planned.windows) == 4
    one.cool_down_is_over()
    planned.edge = first
    one.fill(first, last, provider=guarded(one, planned))
    one.assert_exact(first, last)


def test_a_refusal_ends_no_doubt_about_a_session_with_bars(desk: Callable[..., Desk]) -> None:
    one, days = desk(), (date(2024, 11, 21), date(2024, 11, 26))
    lost = one.sessions(*days)[2]
    slots = lost.slot_starts()[18:]
    planned = Planned(one.polygon, date(2024, 11, 20), cuts=False)

    class Losing(Planned):
        def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
            answer = super().fetch(symbol, first, last, priority=priority)
            return replace(answer, bars=answer.bars.filter(~pl.col("ts").is_in(slots)))

    one.fill(*days, provider=guarded(one, Losing(one.polygon, days[0], cuts=False)))
    assert one.coverage(*days)[lost.day].unconfirmed == len(slots)
    # The plan moves on, or says so for an hour.
    one.later = timedelta(days=1)
    planned.edge = date(2024, 11, 27)
    one.fill(*days, provider=guarded(one, planned))
    row = one.coverage(*days)[lost.day]
    assert (row.bars, row.unconfirmed) == (18, len(slots))
    assert row.again_at is not None
    planned.edge = days[0]
    one.later = row.again_at - one.now + one.later
    one.fill(*days, provider=guarded(one, planned))
    one.assert_exact(*days)


_LOG = """
insert into provider_requests
  (provider, endpoint, symbol, sent_at, seconds, status, outcome, bars, base_minutes)
select 'polygon', '/v2/aggs/x', %s, clock_timestamp(), 0, 403, %s, 0, 0 from generate_series(1, 9)
"""


@pytest.mark.parametrize(
    ("outcome", "told"), [("BeyondPlanError", []), ("PermissionDeniedError", ["MSFT"])]
)
def test_a_symbol_whose_older_days_are_refused_is_not_one_that_gets_nothing(
    desk: Callable[..., Desk], outcome: str, told: list[str]
) -> None:
    with desk().database.transaction() as connection:
        connection.execute(
            "insert into job_runs (symbol, timeframe, job_type, slice_from, slice_to, status,"
            " triggered_by, priority) values ('MSFT', 'm15', 'fetch_intraday',"
            " '2024-11-04 14:30Z', '2025-01-31 21:00Z', 'failed', 'user', 100)"
        )
        connection.execute(_LOG, ("MSFT", outcome))
        connection.execute(_LOG, ("AAPL", "ok"))
        found = present_troubles(connection)
        assert [one.symbol for one in found if one.symbol is not None] == told
