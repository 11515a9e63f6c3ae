"""Bars as one list: the unified form, its layers, and pages that meet without a gap."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

STARTED = "%Y-%m-%dT%H:%M:%SZ"


def seconds(bar: Any) -> int:
    return int(datetime.fromisoformat(bar["ts"]).timestamp())


@pytest.fixture
def filled(api: Any) -> Any:
    api.post("ensure-coverage", {"symbol": "AAPL", "timeframe": "m15", "window_days": 730})
    api.fill("AAPL", api.days(730))
    for timeframe, slots in (("m15", 26), ("h1", 25), ("h4", 17)):
        api.trade_today("AAPL", timeframe, slots)
    return api


def test_one_reply_has_what_every_state_of_the_app_needs(filled: Any) -> None:
    told = filled.get("chart?symbol=AAPL&timeframe=h1&days=30&include_forecast=true&layers=true")
    chart = told.json
    assert chart["assetType"] == chart["asset_type"] == "stock"
    assert [[chart["symbol_id"]]] == [
        [str(row[0])] for row in filled.sql("select id from symbols where ticker = 'AAPL'")
    ]
    assert chart["optionsRanks"] == []
    layers = chart["layers"]
    assert [layer["count"] for layer in layers.values()] == [
        len(layer["data"]) for layer in layers.values()
    ]
    parts = [bar for layer in layers.values() for bar in layer["data"]]
    assert parts == chart["bars"]
    assert chart["meta"]["totalBars"] == len(parts) == 7 * (len(filled.days(30)) + 1)
    assert [bar["is_intraday"] for bar in layers["intraday"]["data"]] == [True] * 7
    assert chart["dataQuality"]["slaHours"] == 2
    assert type(chart["freshness"]["slaMinutes"]) is int
    assert "layers" not in filled.get("chart?symbol=AAPL&timeframe=h1&days=30").json


def test_a_forecast_has_numbers_everywhere_and_is_marked(filled: Any) -> None:
    filled.sql(
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, is_forecast, close,"
        " upper_band, lower_band, confidence_score)"
        " select id, 'h1', '2026-11-23 14:30Z', 'ml_forecast', true, 120, 130, 110, 0.5"
        " from symbols where ticker = 'AAPL'"
    )
    asked = "chart?symbol=AAPL&timeframe=h1&days=5&layers=true"
    (bar,) = filled.get(f"{asked}&include_forecast=true").json["layers"]["forecast"]["data"]
    assert (bar["open"], bar["high"], bar["low"], bar["close"]) == (120, 120, 120, 120)
    assert (bar["is_forecast"], bar["upper_band"], bar["confidence_score"]) == (True, 130, 0.5)
    assert filled.get(asked).json["layers"]["forecast"]["data"] == []


def test_a_forming_bar_is_partial(filled: Any) -> None:
    filled.sql("update ohlc_bars_v2 set data_status = 'provisional' where ts = '2026-11-20 20:45Z'")
    bars = filled.get("chart?symbol=AAPL&timeframe=m15&days=5").json["bars"]
    assert [bar["ts"] for bar in bars if bar["is_partial"]] == ["2026-11-20T20:45:00Z"]


@pytest.mark.parametrize("timeframe", ["m15", "h1", "h4", "d1", "w1"])
def test_an_unknown_ticker_has_an_empty_chart(api: Any, timeframe: str) -> None:
    asked = f"chart?symbol=zzzz&timeframe={timeframe}&layers=true&include_forecast=true"
    reply = api.get(asked)
    assert reply.status == 200
    chart = reply.json
    (offered,) = api.get("symbols-search?q=zzzz").json
    assert (chart["symbol"], chart["symbol_id"]) == ("ZZZZ", offered["id"])
    assert (chart["bars"], chart["meta"]["dataStatus"]) == ([], "no_data")
    assert [layer["data"] for layer in chart["layers"].values()] == [[], [], []]
    assert api.post("chart", {"symbol": "ZZZZ", "before": 1_763_000_000}).json["bars"] == []
    assert api.sql("select count(*) from symbols where ticker = 'ZZZZ'") == [(0,)]


def test_it_is_refreshing_while_something_is_at_work(filled: Any) -> None:
    def status() -> Any:
        return filled.get("chart?symbol=AAPL&timeframe=d1").json["meta"]["dataStatus"]

    assert status() == "fresh"
    filled.sql(
        "insert into rechecks (symbol_id, asked_at, due_at, priority)"
        " select id, now(), now(), 300 from symbols where ticker = 'AAPL'"
    )
    assert status() == "refreshing"
    filled.sql("update rechecks set ended_at = now()")
    assert status() == "fresh"
    filled.sql("delete from session_coverage where day = '2026-11-19'")
    filled.queue.plan()
    assert status() == "refreshing"


@pytest.mark.parametrize(("timeframe", "size"), [("m15", 1_000), ("h1", 400), ("d1", 37)])
def test_pages_read_two_years_and_no_bar_is_missing_or_twice(
    filled: Any, timeframe: str, size: int
) -> None:
    whole = filled.post("chart", {"symbol": "AAPL", "timeframe": timeframe, "days": 800}).json
    read = whole["bars"][-5:]
    while True:
        body = {
            "symbol": "AAPL",
            "timeframe": timeframe,
            "before": seconds(read[0]),
            "pageSize": size,
            "includeMLData": False,
        }
        page = filled.post(f"chart?t=1&before={body['before']}", body).json
        assert len(page["bars"]) <= size
        assert all(seconds(bar) < body["before"] for bar in page["bars"])
        if not page["bars"]:
            break
        read = page["bars"] + read
    assert [bar["ts"] for bar in read] == [bar["ts"] for bar in whole["bars"]]
    assert read == whole["bars"]
    assert len(filled.days(730)) >= 500


def test_before_is_an_instant_in_three_ways_and_nothing_else(filled: Any) -> None:
    at = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
    ways = (at.timestamp(), str(int(at.timestamp())), at.timestamp() * 1_000, at.isoformat())
    pages = [
        filled.post("chart", {"symbol": "AAPL", "timeframe": "m15", "before": way}).json["bars"]
        for way in ways
    ]
    assert {bars[-1]["ts"] for bars in pages} == {"2026-11-18T15:15:00Z"}
    assert {len(bars) for bars in pages} == {400}
    half = {"symbol": "AAPL", "timeframe": "m15", "before": at.timestamp() + 0.5, "pageSize": -3}
    assert [bar["ts"] for bar in filled.post("chart", half).json["bars"]] == [at.strftime(STARTED)]
    for wrong in ("yesterday", "", "nan", 1e300, -1e11, "9999-12-31"):
        reply = filled.post("chart", {"symbol": "AAPL", "before": wrong})
        assert (reply.status, reply.error.partition(":")[0]) == (400, "before"), wrong


@pytest.mark.parametrize(
    ("timeframe", "sla"),
    [("m15", 0.5), ("h1", 2), ("h4", 8), ("d1", 24), ("w1", 168)],
)
def test_its_quality_says_what_its_freshness_says(filled: Any, timeframe: str, sla: float) -> None:
    def told() -> tuple[Any, ...]:
        chart = filled.get(f"chart?symbol=AAPL&timeframe={timeframe}&days=60").json
        quality, fresh = chart["dataQuality"], chart["freshness"]
        assert (quality["slaHours"], fresh["slaMinutes"]) == (sla, sla * 60)
        assert fresh["isWithinSla"] is not quality["isStale"]
        age = fresh["ageMinutes"]
        assert not quality["isStale"] or age >= sla * 60
        assert (chart["meta"]["dataStatus"] == "stale") == quality["isStale"]
        return quality["isStale"], chart["meta"]["totalBars"] > 0

    assert told()[1]
    filled.sql("delete from ohlc_bars_v2 where ts > '2026-11-10'")
    assert told() == (True, True)
    # Where there is none, nothing is old.
    filled.sql("delete from ohlc_bars_v2")
    assert told() == (False, False)
