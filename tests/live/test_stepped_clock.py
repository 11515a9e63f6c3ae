"""A clock that is stepped back and forth while bars are stored: none is wrong in the end."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from swiftbolt_assets.market.sessions import xnys

if TYPE_CHECKING:
    from tests.live.conftest import Exchange

pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")
_STORED = """
select ts, open, high, low, close, provider::text
  from ohlc_bars_v2 b join symbols s on s.id = b.symbol_id
 where s.ticker = 'AAPL' and timeframe = 'm15' order by ts, provider
"""
#: Days of November 2026 and New York hours; with a first day, sessions from it on are filled.
STEPS = (
    (19, 15, 7, None),
    (19, 11, 0, None),  # four hours back
    (18, 12, 0, None),  # a day back
    (19, 16, 5, None),
    (20, 10, 0, 17),  # a night on: the day before is asked for again
    (19, 12, 0, None),  # back into a day that is settled
    (20, 15, 0, 17),
    (24, 7, 0, 17),  # a weekend and a day on
)


def test_a_clock_stepped_back_and_forth_leaves_no_wrong_row(exchange: Exchange) -> None:
    exchange.at(15, 7, date(2026, 11, 19))
    exchange.track("AAPL")
    for day, hour, minute, first in STEPS:
        today = date(2026, 11, day)
        exchange.at(hour, minute, today)
        if first is not None:
            last = today - timedelta(days=1)
            assert exchange.fill("AAPL", date(2026, 11, first), last).success, today
        assert exchange.refresh().success, today

    stored = [(f"{ts:%Y-%m-%dT%H:%M:%SZ}", *values) for ts, *values in exchange.sql(_STORED)]
    path = "/simulator/truth/AAPL/m15?from=2026-11-17&to=2026-11-23"
    names = ("ts", "open", "high", "low", "close")
    truth = [(*(bar[name] for name in names), "polygon") for bar in exchange.call(path)]
    assert stored == truth
    states = exchange.sql(
        "select day, state from session_coverage c join symbols s on s.id = c.symbol_id"
        " where s.ticker = 'AAPL' order by day"
    )
    days = [session.day for session in xnys().between(date(2026, 11, 17), date(2026, 11, 23))]
    assert states == [(day, "final") for day in days]
