"""How the app opens a symbol: which call comes first, what it counts, and what follows from it."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from rehearsal.macos.app import App, Seen, ShownError
from rehearsal.macos.structs import JOB_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEFRAMES = ("d1", "m15", "h1", "h4", "w1")
TRACKED = (
    "select t.source from user_symbol_tracking t join symbols s on s.id = t.symbol_id"
    " where s.ticker = 'NVDA'"
)
WANTED = "select max(window_days), max(priority) from job_definitions where symbol = 'NVDA'"


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as running:
        yield running


def shown(chart: dict[str, Any]) -> int:
    """Return how many bars of history and today a chart holds."""
    return sum(chart["layers"][name]["count"] for name in ("historical", "intraday"))


def counted(app: App, timeframe: str, seen: Seen) -> int:
    """Poll once; return the bars told, which are those of the chart."""
    app.poll("NVDA", timeframe, seen)
    bars = seen.banners[-1]["bars_written"]
    assert bars == shown(seen.charts[-1])
    return bars


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
@pytest.mark.parametrize("state", ["S1", "S2"])
def test_a_symbol_that_nobody_knows_opens_without_an_error_and_fills(
    api: Any,
    app_of: Callable[[str], App],
    pool: ThreadPoolExecutor,
    state: str,
    timeframe: str,
) -> None:
    app = app_of(state)
    seen = app.open("NVDA", timeframe, pool)
    assert [shown(chart) for chart in seen.charts] == [0] * 7
    # S1 never says what it looks at: its question about coverage does.
    assert api.sql(TRACKED) == [("chart_view",)]
    assert api.sql(WANTED) == [(730, 200)]
    days = api.days(730)
    parts = [days[at : at + 100] for at in range(0, len(days), 100)]
    bars = [counted(app, timeframe, seen)]
    for part in reversed(parts):
        api.fill("NVDA", part)
        bars.append(counted(app, timeframe, seen))
    for stored in ("m15", "h1", "h4"):
        api.trade_today("NVDA", stored, 17 if stored == "h4" else 26)
    bars.append(counted(app, timeframe, seen))
    assert bars[0] == 0
    assert bars == sorted(bars)
    if timeframe != "w1":
        assert len(set(bars)) == len(bars)
    percents = [banner["progress_percent"] for banner in seen.banners]
    assert percents == sorted(percents)
    assert percents[-1] == 100


def test_bars_are_counted_whoever_asked_for_them_and_when_slices_are_pruned(
    api: Any, app_of: Callable[[str], App]
) -> None:
    """The slices of another definition had brought them, and are deleted after a month."""
    app, seen = app_of("S2"), Seen()
    app.ensure("NVDA", "m15", 730)
    api.fill("NVDA", api.days(400))
    bars = {timeframe: counted(app, timeframe, seen) for timeframe in TIMEFRAMES}
    days = len(api.days(400))
    assert bars["d1"] == days
    assert 24 * days < bars["m15"] <= 26 * days
    api.sql("delete from job_runs where symbol = 'NVDA'")
    api.sql(
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, is_forecast, close,"
        " upper_band, lower_band, confidence_score) select id, 'h1', '2026-11-23T15:30:00Z',"
        " 'ml_forecast', true, 120, 130, 110, 0.5 from symbols where ticker = 'NVDA'"
    )
    assert {timeframe: counted(app, timeframe, seen) for timeframe in TIMEFRAMES} == bars


def test_the_few_days_of_an_empty_chart_take_nothing_back(
    api: Any, app_of: Callable[[str], App]
) -> None:
    app = app_of("S1")
    before = app.ensure("NVDA", "h1", 730)["backfill_progress"]
    for timeframe, window in (("h1", 5), ("h1", 7), ("d1", 7), ("w1", 7)):
        app.ensure("NVDA", timeframe, window)
    assert app.ensure("NVDA", "h1", 730)["backfill_progress"] == before
    assert api.sql(WANTED) == [(730, 200)]


def test_a_window_of_more_than_a_week_is_meant_as_it_is(
    api: Any, app_of: Callable[[str], App]
) -> None:
    app_of("S2").ensure("NVDA", "m15", 30)
    assert api.sql("select timeframe::text, window_days from job_definitions") == [("m15", 30)]
    assert api.sql(TRACKED) == []


@pytest.mark.parametrize("state", ["S1", "S2", "HEAD"])
def test_search_finds_a_known_an_unknown_and_the_letter_of_a_ticker(
    api: Any, app_of: Callable[[str], App], state: str
) -> None:
    app = app_of(state)
    app.ensure("AAPL", "m15", 30)
    assert [one["ticker"] for one in app.call("searchSymbols", "aapl")] == ["AAPL"]
    assert [one["ticker"] for one in app.call("searchSymbols", "nvda")] == ["NVDA"]
    assert {one["ticker"] for one in app.call("searchSymbols", "a")} == {"A", "AAPL"}
    assert all(isinstance(one["description"], str) for one in app.call("searchSymbols", "a"))
    assert api.sql("select ticker from symbols") == [("AAPL",)]


@pytest.mark.parametrize("state", ["S1", "S2", "HEAD"])
def test_a_watchlist_is_added_to_listed_and_taken_from(
    api: Any, app_of: Callable[[str], App], state: str
) -> None:
    app = app_of(state)
    added = app.call("addSymbol", "NVDA")
    assert {job["status"] for job in added["jobStatus"]} <= JOB_WORDS
    app.sync("NVDA", "watchlist")
    api.fill("NVDA", api.days(30))
    again = app.call("addSymbol", "NVDA")
    assert (again["avgLastPriceAll"], again["avgDailyVolume10d"]) == (100.5, 260.0)
    (item,) = app.call("refreshWatchlist")["items"]
    assert item["symbol"] == "NVDA"
    assert app.call("removeSymbol", "NVDA")["success"] is True
    assert app.call("refreshWatchlist")["items"] == []


def test_what_is_no_ticker_stays_an_error(app_of: Callable[[str], App]) -> None:
    for call in ("fetchChartV2", "fetchChart", "ensureCoverage"):
        with pytest.raises(ShownError, match="HTTP 400"):
            app_of("S1").call(call, symbol="NO TICKER")
