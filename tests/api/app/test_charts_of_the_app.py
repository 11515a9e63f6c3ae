"""Bars as the client decodes and draws them: `chart-data-v2`, the older `chart`, and `quotes`."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import io
import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from rehearsal.macos.structs import CHART
from rehearsal.macos.swift import decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

TODAY = date(2026, 11, 20)
ARROW = {"Accept": "application/vnd.apache.arrow.stream"}


@pytest.fixture
def filled(api: Any, app: Any) -> Any:
    """Return the API with 60 days of AAPL, and today from Tradier."""
    app.ensure("AAPL", "m15", 60)
    api.fill("AAPL", api.days(60))
    for timeframe, slots in (("m15", 26), ("h1", 25), ("h4", 17)):
        api.trade_today("AAPL", timeframe, slots)
    return api


@pytest.mark.parametrize(("timeframe", "a_day"), [("m15", 26), ("h1", 7), ("h4", 2)])
def test_layers_go_by_date_and_hold_what_is_stored(
    filled: Any, app: Any, timeframe: str, a_day: int
) -> None:
    chart = app.chart("AAPL", timeframe, 60)
    past, today = chart["layers"]["historical"], chart["layers"]["intraday"]
    assert past["count"] == a_day * len(filled.days(60))
    assert today["count"] == a_day
    assert (past["provider"], today["provider"]) == ("polygon", "tradier")
    assert chart["layers"]["forecast"] == {
        "count": 0, "provider": "none", "data": [], "oldestBar": None, "newestBar": None,
    }  # fmt: skip
    assert chart["metadata"]["total_bars"] == past["count"] + today["count"]
    assert past["newestBar"] < today["oldestBar"]
    assert all(bar["ts"].endswith("Z") for bar in app.drawn("AAPL", timeframe, 60))
    assert {bar["data_status"] for bar in past["data"]} == {"verified"}
    assert not any(bar["is_intraday"] for bar in past["data"])


def test_the_layers_are_what_the_sql_function_returns(filled: Any, app: Any) -> None:
    rows = filled.sql(
        "select ts, close, provider::text from get_chart_data_v2((select id from symbols where"
        " ticker = 'AAPL'), 'h1', '2026-09-01', '2026-12-01')"
    )
    drawn = app.drawn("AAPL", "h1", 60)
    assert [(bar["ts"], bar["close"], bar["provider"]) for bar in drawn] == rows


def test_a_day_and_a_week_are_made_of_their_quarter_hours(filled: Any, app: Any) -> None:
    days = app.chart("AAPL", "d1", 60)
    past = days["layers"]["historical"]["data"]
    assert len(past) == len(filled.days(60))
    assert {bar["volume"] for bar in past} == {260.0}
    assert days["metadata"]["aggregated_from"] == "m15"
    (today,) = days["layers"]["intraday"]["data"]
    assert (today["ts"], today["volume"]) == ("2026-11-20T14:30:00Z", 182.0)
    assert (today["open"], today["high"], today["low"], today["close"]) == (110, 112, 109, 111)
    weeks = [bar["ts"] for bar in app.drawn("AAPL", "w1", 60)]
    assert all(datetime.fromisoformat(ts).weekday() == 0 for ts in weeks)
    gaps = {later - earlier for earlier, later in pairwise(map(datetime.fromisoformat, weeks))}
    # The clock goes back within the range.
    assert gaps <= {timedelta(days=7), timedelta(days=7, hours=1)}


def test_the_week_that_runs_is_drawn_though_it_holds_todays_bars(filled: Any, app: Any) -> None:
    """The client draws the historical layer of weeks; a week begins before today."""
    assert filled.days(60)
    last = app.drawn("AAPL", "w1", 60)[-1]
    assert last["ts"] == "2026-11-16T14:30:00Z"
    assert (last["volume"], last["data_status"]) == (4 * 260.0 + 182.0, "live")


def test_a_forecast_is_a_layer_of_its_own(filled: Any, app: Any) -> None:
    filled.sql(
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, is_forecast, close,"
        " upper_band, lower_band, confidence_score) select id, 'h1', '2026-11-23T15:30:00Z',"
        " 'ml_forecast', true, 120, 130, 110, 0.5 from symbols where ticker = 'AAPL'"
    )
    chart = app.chart("AAPL", "h1", 60)
    (bar,) = chart["layers"]["forecast"]["data"]
    assert (bar["open"], bar["close"], bar["upper_band"]) == (None, 120.0, 130.0)
    assert chart["layers"]["forecast"]["provider"] == "ml_forecast"
    body = {"symbol": "AAPL", "timeframe": "h1", "days": 60, "includeForecast": False}
    bare = filled.post("chart-data-v2", body).json
    assert bare["layers"]["forecast"]["count"] == 0
    # Failure mode 36: without forecasts, today was cut off.
    assert bare["layers"]["intraday"]["count"] == 7


def test_yesterdays_live_bars_stay_until_the_history_comes(api: Any, app: Any) -> None:
    """Failure mode 4: they vanished at midnight."""
    app.ensure("AAPL", "m15", 30)
    api.trade_today("AAPL")
    api.sql(
        "set session_replication_role = replica; update ohlc_bars_v2 set ts = ts - interval '1 day'"
    )
    bars = app.drawn("AAPL", "m15", 5)
    assert len(bars) == 26
    assert {bar["provider"] for bar in bars} == {"tradier"}
    assert app.chart("AAPL", "m15", 5)["layers"]["intraday"]["count"] == 0
    api.fill("AAPL", api.days(1))
    bars = app.drawn("AAPL", "m15", 5)
    assert {bar["provider"] for bar in bars} == {"polygon"}
    assert len(bars) == 26


def test_a_range_of_instants_wins_over_days(filled: Any) -> None:
    def asked(**more: Any) -> dict[str, Any]:
        reply = filled.post("chart-data-v2", {"symbol": "AAPL", "timeframe": "m15"} | more)
        assert reply.status == 200
        found: dict[str, Any] = reply.json
        return found

    one = asked(start="2026-11-19T14:30:00Z", end="2026-11-19T09:45:00-05:00")
    assert [bar["ts"] for bar in one["layers"]["historical"]["data"]] == [
        "2026-11-19T14:30:00Z", "2026-11-19T14:45:00Z",
    ]  # fmt: skip
    assert one["metadata"]["start_date"] == "2026-11-19T14:30:00Z"
    assert asked(start="2026-11-20T00:00:00Z")["layers"]["historical"]["count"] == 0
    assert asked(end="2020-01-01T00:00:00Z")["metadata"]["total_bars"] == 0
    # Four sessions: the days count back from the end.
    back = asked(end="2026-11-12T21:00:00Z", days=3)["layers"]["historical"]
    assert (back["count"], back["oldestBar"]) == (4 * 26, "2026-11-09T14:30:00Z")


def test_prices_before_a_split_are_folded_unless_asked_for_as_traded(filled: Any) -> None:
    filled.sql(
        "insert into splits (symbol_id, execution_date, split_from, split_to) select id,"
        " '2026-11-18', 1, 10 from symbols where ticker = 'AAPL'"
    )
    for adjusted, first in ((True, 10.0), (False, 100.0)):
        body = {"symbol": "AAPL", "timeframe": "h1", "days": 10, "adjusted": adjusted}
        chart = filled.post("chart-data-v2", body).json
        bars = chart["layers"]["historical"]["data"]
        assert bars[0]["open"] == pytest.approx(first)
        assert bars[-1]["open"] == 100.0
        assert chart["metadata"]["adjusted"] is adjusted


def test_folded_numbers_have_no_binary_tail_in_any_timeframe(filled: Any) -> None:
    filled.sql(
        "insert into splits (symbol_id, execution_date, split_from, split_to) select id,"
        " '2026-11-18', 7, 3 from symbols where ticker = 'AAPL'"
    )
    for timeframe in ("m15", "h1", "h4", "d1", "w1"):
        body = {"symbol": "AAPL", "timeframe": timeframe, "days": 60}
        text = filled.post("chart-data-v2", body).body.decode()
        decimals = re.findall(r'"(open|high|low|close|volume)":\d+\.(\d+)', text)
        assert decimals
        # Four of a raw price and one of 7/3; six of a volume and one of 3/7.
        assert {name for name, digits in decimals if len(digits) > 5} <= {"volume"}
        assert max(len(digits) for _, digits in decimals) <= 7
        assert "e-" not in text


def test_coverage_tells_what_the_prices_say_of_each_listed_split(filled: Any) -> None:
    filled.sql(
        "insert into splits (symbol_id, execution_date, split_from, split_to, state, shown_on)"
        " select id, day::date, 1, 10, state, shown::date from symbols, (values"
        " ('2026-11-16', 'repeated', null), ('2026-11-17', 'moved', '2026-11-18'),"
        " ('2026-11-10', 'doubtful', null)) v (day, state, shown) where ticker = 'AAPL'"
    )
    told = filled.get("coverage", params={"symbol": "AAPL"}).json["splits"]
    assert [(one["execution_date"], one["effective_date"], one["state"]) for one in told] == [
        ("2026-11-10", None, "doubtful"),
        ("2026-11-16", None, "repeated"),
        ("2026-11-17", "2026-11-18", "moved"),
    ]


@pytest.mark.parametrize("timeframe", ["m15", "h1", "d1"])
def test_arrow_holds_the_same_bars(filled: Any, app: Any, timeframe: str) -> None:
    body = {"symbol": "AAPL", "timeframe": timeframe, "days": 60}
    reply = filled.post("chart-data-v2", body, headers=ARROW)
    assert reply.headers["content-type"] == ARROW["Accept"]
    frame = pl.read_ipc_stream(io.BytesIO(reply.body))
    assert frame["ts"].dtype == pl.Datetime("us", "UTC")
    layers = app.chart("AAPL", timeframe, 60)["layers"]
    bars = layers["historical"]["data"] + layers["intraday"]["data"]
    assert frame["ts"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_list() == [bar["ts"] for bar in bars]
    for name in ("open", "high", "low", "close", "volume", "provider"):
        assert frame[name].to_list() == [bar[name] for bar in bars]
    body |= {"days": 36_500, "end": "2020-01-01T00:00:00Z"}
    empty = filled.post("chart-data-v2", body, headers=ARROW)
    assert pl.read_ipc_stream(io.BytesIO(empty.body)).height == 0


def test_a_long_range_comes_in_pages_the_newest_first(
    filled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failure mode 35: a cap in ascending order showed the oldest bars."""
    whole = filled.post("chart-data-v2", {"symbol": "AAPL", "timeframe": "m15", "days": 60}).json
    monkeypatch.setattr("resources.bars.chart.MOST", 500)
    seen: list[dict[str, Any]] = []
    body: dict[str, Any] = {"symbol": "AAPL", "timeframe": "m15", "days": 60}
    while True:
        page = filled.post("chart-data-v2", body).json
        bars = page["layers"]["historical"]["data"] + page["layers"]["intraday"]["data"]
        assert len(bars) <= 500
        seen = bars + seen
        older = page["metadata"]["older_before"]
        if older is None:
            break
        body["end"] = older
    expected = whole["layers"]["historical"]["data"] + whole["layers"]["intraday"]["data"]
    assert seen == expected


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "Symbol is required"),
        ({"symbol": ""}, 400, "Symbol is required"),
        ({"symbol": "a b"}, 400, "symbol"),
        ({"symbol": "AAPL", "timeframe": "m7"}, 400, "Invalid timeframe. Must be one of"),
        ({"symbol": "AAPL", "days": 0}, 400, "days"),
        ({"symbol": "AAPL", "days": "many"}, 400, "days"),
        ({"symbol": "AAPL", "start": "2026-11-20"}, 400, "start"),
        ({"symbol": "AAPL", "start": "2026-11-20T10:00:00"}, 400, "start"),
        ({"symbol": "AAPL", "start": "0001-01-01T00:00:00+14:00"}, 400, "start"),
        ({"symbol": "AAPL", "end": "9999-12-31T23:59:59-14:00"}, 400, "end"),
        (
            {"symbol": "AAPL", "start": "2026-11-20T00:00:00Z", "end": "2026-11-19T00:00:00Z"},
            400,
            "start: it is after end",
        ),
    ],
)
def test_a_wrong_request_for_a_chart_names_its_field(
    api: Any, app: Any, body: dict[str, Any], status: int, error: str
) -> None:
    app.sync("AAPL", source="chart_view")
    reply = api.post("chart-data-v2", body)
    assert reply.status == status
    assert error in reply.error


def test_the_age_of_what_is_shown_is_told(filled: Any, app: Any) -> None:
    fresh = app.chart("AAPL", "m15", 60)["dataQuality"]
    assert (fresh["dataAgeHours"], fresh["isStale"], fresh["hasRecentData"]) == (1, False, True)
    assert fresh["barCount"] == 26 * (len(filled.days(60)) + 1)
    filled.sql("delete from ohlc_bars_v2 where ts > '2026-11-10'")
    stale = app.chart("AAPL", "m15", 60)["dataQuality"]
    assert (stale["isStale"], stale["hasRecentData"]) == (True, False)
    filled.sql("delete from ohlc_bars_v2")
    empty = app.chart("AAPL", "m15", 60)["dataQuality"]
    assert (empty["dataAgeHours"], empty["barCount"], empty["isStale"]) == (None, 0, True)


def test_the_older_chart_answers_in_its_shape(filled: Any) -> None:
    reply = filled.get("chart?symbol=aapl&timeframe=h1&days=60")
    decode(reply.body, CHART)
    chart = reply.json
    assert len(chart["bars"]) == chart["meta"]["totalBars"] == 7 * (len(filled.days(60)) + 1)
    assert chart["meta"]["isMarketOpen"] is False
    assert (chart["freshness"]["ageMinutes"], chart["freshness"]["slaMinutes"]) == (120, 120)
    unknown = filled.get("chart?symbol=ZZZZ").json
    assert (unknown["bars"], unknown["meta"]["dataStatus"]) == ([], "no_data")
    assert filled.get("chart").status == 400
    wrong = filled.get("chart?symbol=AAPL&timeframe=x")
    assert (wrong.status, "Invalid timeframe. Must be one of" in wrong.error) == (400, True)
    assert filled.post("chart", {}).error == "Symbol is required"


def test_quotes_of_stored_bars_have_every_number(filled: Any, app: Any) -> None:
    found = app.quotes("AAPL", "ZZZZ", "aapl")
    (quote,) = found["quotes"]
    assert (quote["symbol"], quote["last"], quote["source"]) == ("AAPL", 111.0, "stored_bars")
    assert quote["change"] == pytest.approx(111.0 - 100.5)
    # Nobody told them: the last price, and the range and the mean of the bars there are.
    assert (quote["bid"], quote["ask"]) == (111.0, 111.0)
    assert (quote["week_52_low"], quote["week_52_high"]) == (99.0, 112.0)
    days = len(filled.days(60))
    assert quote["average_volume"] == pytest.approx((260.0 * days + 14.0) / (days + 1))
    assert found["market_state"] == "postmarket"
    assert app.quotes("ZZZZ")["quotes"] == []
    for path in ("quotes", "/quotes"):
        assert filled.get(path).status == 400
        many = filled.get(path + "?symbols=" + ",".join(["A"] * 51))
        assert many.error == "symbols: at most 50 at once"
        assert filled.get(path + "?symbols=a%20b").status == 400


def test_the_change_of_a_first_day_is_that_since_its_open(api: Any, app: Any) -> None:
    app.ensure("AAPL", "m15", 30)
    api.fill("AAPL", api.days(1))
    (quote,) = app.quotes("AAPL")["quotes"]
    assert (quote["open"], quote["last"], quote["change"]) == (100.0, 100.5, 0.5)
    assert quote["change_percentage"] == 0.5
    assert quote["average_volume"] == quote["volume"] == 260.0


def test_a_symbol_that_trades_no_more_has_the_range_of_its_last_year(api: Any, app: Any) -> None:
    app.ensure("AAPL", "m15", 730)
    api.fill("AAPL", api.days(730)[:20])
    (quote,) = app.quotes("AAPL")["quotes"]
    assert (quote["last"], quote["week_52_low"], quote["week_52_high"]) == (100.5, 99.0, 101.0)


def test_a_person_sees_the_same_bars_as_the_app(
    filled: Any, user: UUID, token: Callable[..., str]
) -> None:
    body = {"symbol": "AAPL", "timeframe": "h1", "days": 60}
    mine = filled.post("chart-data-v2", body, key=token(user)).json
    assert mine["layers"] == filled.post("chart-data-v2", body).json["layers"]
    assert datetime.fromisoformat(mine["metadata"]["end_date"]) > datetime(2026, 11, 20, tzinfo=UTC)
