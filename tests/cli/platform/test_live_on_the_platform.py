"""Today's bars on a running platform: the schedule ticks, one run serves, the close is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

_SEEN = """
select extract(epoch from refreshed_at - '2026-11-20 20:00Z')::float8
from live_refreshes where closed_through = '2026-11-20 20:00Z'
"""
_BARS = """
select count(*) from ohlc_bars_v2
where timeframe = 'm15' and provider = 'tradier' and data_status = 'live'
"""


def test_a_quarter_hour_is_seen_within_a_minute_after_its_close(
    new_up: Callable[..., Any], wait_for: Callable[..., Any]
) -> None:
    # Wherever the machine's minute stands: the market's has an offset of its own.
    up = new_up(SWIFTBOLT_NOW="2026-11-20T14:58:20-05:00")
    up.track("AAPL")
    (seconds,) = wait_for(lambda: up.rows(_SEEN), "the bar of 14:45", 240)[0]
    assert 0 <= seconds <= 60
    assert up.rows(_BARS) == [(22,)]
