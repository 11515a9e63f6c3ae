"""`quotes` while Tradier answers, while it does not, and while its budget is needed for bars."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVENING = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)


class Market:
    """A simulator, and what it was asked for."""

    def __init__(self, **settings: Any) -> None:
        config = SimulatorConfig(**{"now": lambda: EVENING, "tradier_allowed": 0, **settings})
        self.thread = SimulatorThread(config).start()
        self.url = self.thread.polygon_url

    def call(self, path: str, method: str = "GET", body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.load(reply)

    def spoil(self, *kinds: str) -> None:
        self.call("/simulator/faults", "PUT", {"rate": 1.0, "kinds": list(kinds)})

    def heal(self) -> None:
        self.call("/simulator/faults", "DELETE")

    @property
    def asked(self) -> int:
        log = self.call("/simulator/requests")
        return sum(one["path"].startswith("/v1/markets/quotes") for one in log)


@contextmanager
def market_with(**settings: Any) -> Iterator[Market]:
    market = Market(**settings)
    try:
        yield market
    finally:
        market.thread.stop()


@pytest.fixture
def market() -> Iterator[Market]:
    with market_with() as running:
        yield running


@pytest.fixture
def stored(api: Any) -> None:
    """Store a month of two symbols."""
    for symbol in ("AAPL", "MSFT"):
        api.post("ensure-coverage", {"symbol": symbol, "timeframe": "m15", "window_days": 30})
        api.fill(symbol, api.days(10))


def sources(api: Any, *symbols: str) -> dict[str, str]:
    reply = api.get(f"quotes?symbols={','.join(symbols)}")
    assert reply.status == 200
    found = reply.json
    for quote in found["quotes"]:
        numbers = [value for name, value in quote.items() if name not in {"symbol", "source"}]
        assert all(isinstance(value, int | float | str) for value in numbers)
    return {quote["symbol"]: quote["source"] for quote in found["quotes"]}


@pytest.mark.usefixtures("stored")
def test_tradier_is_asked_once_in_a_few_seconds(serve: Callable[..., Any], market: Market) -> None:
    with serve(TRADIER_BASE_URL=market.url) as api:
        for _ in range(5):
            assert sources(api, "AAPL", "MSFT") == dict.fromkeys(("AAPL", "MSFT"), "tradier")
        assert market.asked == 1
        assert sources(api, "MSFT", "AAPL", "NVDA") == dict.fromkeys(
            ("MSFT", "AAPL", "NVDA"), "tradier"
        )
        assert market.asked == 2
        # What Tradier does not know has stored bars, or is left out.
        for _ in range(5):
            assert sources(api, "ZZZZ", "NVDA") == {"NVDA": "tradier"}
        assert market.asked == 3, "what it does not know is not asked for at each poll"


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "kind", ["500", "502", "429", "drop", "truncate", "html200", "not_authorized_200"]
)
def test_while_tradier_fails_stored_prices_serve_and_it_is_left_alone(
    serve: Callable[..., Any], market: Market, kind: str
) -> None:
    market.spoil(kind)
    with serve(TRADIER_BASE_URL=market.url) as api:
        assert sources(api, "AAPL", "ZZZZ") == {"AAPL": "stored_bars"}
        market.heal()
        for _ in range(3):
            assert sources(api, "AAPL", "MSFT") == dict.fromkeys(("AAPL", "MSFT"), "stored_bars")
    assert market.asked == 1


@pytest.mark.usefixtures("stored")
def test_a_silent_tradier_holds_nobody_up(serve: Callable[..., Any]) -> None:
    """One waits for it; the others would wait in line, and take all threads with them."""
    with (
        market_with(latency_seconds=20.0) as market,
        serve(TRADIER_BASE_URL=market.url) as api,
        ThreadPoolExecutor(60) as pool,
    ):
        began = time.monotonic()
        waiting = [pool.submit(sources, api, "AAPL") for _ in range(50)]
        assert all(one.result() == {"AAPL": "stored_bars"} for one in waiting)
        assert time.monotonic() - began < 12
        assert market.asked <= 1


@pytest.mark.usefixtures("stored")
def test_the_budget_of_todays_bars_is_left_to_them(
    serve: Callable[..., Any], market: Market
) -> None:
    with serve(TRADIER_BASE_URL=market.url, TRADIER_REQUESTS_PER_MINUTE="7") as api:
        found = [sources(api, symbol)[symbol] for symbol in ("AAPL", "MSFT", "AAPL")]
        assert found == ["tradier"] * 3
        api.app.state.api.quote_desk._known.clear()
        assert sources(api, "AAPL") == {"AAPL": "stored_bars"}
    assert market.asked == 2


@pytest.mark.usefixtures("stored")
def test_a_tradier_that_cools_down_is_not_asked(serve: Callable[..., Any], market: Market) -> None:
    with serve(TRADIER_BASE_URL=market.url) as api:
        api.sql(
            "insert into provider_health (provider, failures, cooling_until, reason) values"
            " ('tradier', 3, clock_timestamp() + interval '5 minutes', 'HTTP 503')"
        )
        assert sources(api, "AAPL") == {"AAPL": "stored_bars"}
    assert market.asked == 0


@pytest.mark.usefixtures("stored")
def test_without_a_token_tradier_is_off(serve: Callable[..., Any], market: Market) -> None:
    with serve(TRADIER_BASE_URL=market.url, POLYGON_API_KEY="a-key-of-the-tests") as api:
        assert sources(api, "AAPL") == {"AAPL": "stored_bars"}
    assert market.asked == 0
