"""The official client, pointed at the simulator, returns bar for bar what ours does."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest
from massive import RESTClient

from resources.providers.endpoint import Secret
from resources.providers.http import Transport
from resources.providers.polygon.bars import PolygonClient
from resources.providers.rate_limit import Unlimited
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resources.providers.contract import RequestRecord

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
#: Both clock changes of a year, an early close, and the first fractional raw volumes.
FIRST, LAST = date(2025, 10, 20), date(2026, 4, 2)


@pytest.fixture(scope="module")
def simulator_url() -> Iterator[str]:
    with SimulatorThread(SimulatorConfig(now=lambda: NOW)) as simulator:
        yield simulator.polygon_url


@pytest.mark.parametrize("symbol", ["AAPL", "BRK.B", "THIN", "HALT", "SPLT"])
def test_the_official_client_returns_the_same_bars(simulator_url: str, symbol: str) -> None:
    """All hours, pages followed by both, values equal to the last bit."""
    records: list[RequestRecord] = []
    ours = Transport(
        simulator_url,
        name="polygon",
        key=Secret("any", "POLYGON_API_KEY"),
        limiter=Unlimited(),
        record=records.append,
    )
    answer = PolygonClient(ours).fetch(symbol, FIRST, LAST, priority=200)
    ours.close()
    official = RESTClient("any", base=simulator_url).list_aggs(
        symbol, 15, "minute", FIRST, LAST, adjusted=False, limit=50_000, sort="asc"
    )
    theirs = [
        (
            datetime.fromtimestamp(bar.timestamp / 1000, UTC),
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
            bar.vwap,
            bar.transactions,
        )
        for bar in official
    ]
    if symbol == "SPLT":
        # The link to a next page loses `adjusted`; ours says it on every page, theirs does not.
        theirs = theirs[: len([at for at, *_ in theirs if at < datetime(2026, 1, 5, tzinfo=UTC)])]
    mine = answer.bars.rows()[: len(theirs)]
    assert len(theirs) > 0
    assert answer.requests == len(records)
    assert mine == theirs
    if symbol != "SPLT":
        assert answer.bars.height == len(theirs)
