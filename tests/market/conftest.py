"""The simulator's replies of two years, read as the platform reads them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from resources.providers.polygon.reply import parse_page
from resources.providers.replies import Reply
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.listings import Listings
from swiftbolt_assets.simulator.polygon import Aggregates
from swiftbolt_assets.simulator.prices import Market
from swiftbolt_assets.simulator.wire import Ask, BarPage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from swiftbolt_assets.market.sessions import Session

    Simulated = Callable[[str, Sequence[Session]], pl.DataFrame]


@pytest.fixture(scope="session")
def simulated() -> Simulated:
    """Return the bars of a symbol's reply to a window of sessions."""
    now = datetime(2026, 11, 21, 17, tzinfo=UTC)
    aggregates = Aggregates(SimulatorConfig(now=lambda: now), Market(1), Listings({}))

    def reply(symbol: str, first: date, last: date) -> pl.DataFrame:
        values = {"ticker": symbol, "multiplier": "15", "timespan": "minute"}
        ask = Ask("/v2/aggs", {"adjusted": "false", "limit": "50000"}, "", "http://simulator")
        page = aggregates.range(ask, values | {"from": f"{first}", "to": f"{last}"})
        assert isinstance(page, BarPage), page
        sent = page.print_page(page)
        return parse_page(Reply(sent.status, {}, sent.body, now), symbol).bars

    return lambda symbol, sessions: reply(symbol, sessions[0].day, sessions[-1].day)
