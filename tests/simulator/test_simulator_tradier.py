"""Tradier's endpoints over real HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from swiftbolt_assets.clock import NEW_YORK

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    Start = Callable[..., httpx.Client]

SALES = "/v1/markets/timesales"


def bars(api: httpx.Client, symbol: str, **params: str) -> Any:  # noqa: ANN401 - list, object or null
    reply = api.get(SALES, params={"symbol": symbol, "interval": "15min", **params})
    assert reply.status_code == 200, reply.text
    series = reply.json()["series"]
    return None if series is None else series["data"]


def test_xml_is_spoken_unless_json_is_asked_for(api: httpx.Client) -> None:
    params = {"symbol": "AAPL", "interval": "15min", "start": "2026-11-20 09:30"}
    xml = api.get(SALES, params=params, headers={"Accept": "*/*"})
    assert xml.headers["content-type"] == "application/xml;charset=UTF-8"
    root = ET.fromstring(xml.text)  # noqa: S314 - our own text
    spoken = api.get(SALES, params=params)
    assert spoken.headers["content-type"] == "application/json;charset=UTF-8"
    rows = spoken.json()["series"]["data"]
    assert root.tag == "series"
    assert [one.findtext("time") for one in root] == [row["time"] for row in rows]
    assert [float(one.findtext("close", "")) for one in root] == [row["close"] for row in rows]


def test_the_default_interval_is_ticks(api: httpx.Client) -> None:
    reply = api.get(SALES, params={"symbol": "AAPL", "start": "2026-11-20 10:00"})
    row = reply.json()["series"]["data"][0]
    assert list(row) == ["time", "timestamp", "price", "volume"]


def test_bars_have_the_documented_keys_and_a_price_that_is_the_middle(api: httpx.Client) -> None:
    rows = bars(api, "AAPL", start="2026-11-20 09:30", session_filter="open")
    assert list(rows[0]) == [
        "time",
        "timestamp",
        "price",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "vwap",
    ]
    for row in rows:
        local = datetime.fromisoformat(row["time"])
        assert local.tzinfo is None
        assert local.replace(tzinfo=NEW_YORK).timestamp() == row["timestamp"]
        assert row["price"] == (row["high"] + row["low"]) / 2
        assert isinstance(row["volume"], int)


def test_the_end_is_inclusive_and_the_16_00_bar_is_the_auction_print(api: httpx.Client) -> None:
    rows = bars(
        api, "MIDL", start="2026-11-19 12:00", end="2026-11-19 16:00", session_filter="open"
    )
    assert len(rows) == 17
    last = rows[-1]
    assert last["time"] == "2026-11-19T16:00:00"
    assert last["open"] == last["high"] == last["low"] == last["close"]


def test_one_bar_is_an_object_and_none_is_null(api: httpx.Client) -> None:
    one = bars(api, "AAPL", start="2026-11-19 10:00", end="2026-11-19 10:00")
    assert one["time"] == "2026-11-19T10:00:00"
    assert bars(api, "ZZTOP", start="2026-11-19") is None
    assert bars(api, "AAPL", start="2026-11-14", end="2026-11-15") is None
    xml = api.get(
        SALES,
        params={"symbol": "ZZTOP", "interval": "15min"},
        headers={"Accept": "application/xml"},
    )
    assert ET.fromstring(xml.text).tag == "series"  # noqa: S314 - our own text


def test_class_shares_are_spelled_with_a_slash(api: httpx.Client) -> None:
    assert len(bars(api, "BRK/B", start="2026-11-19 09:30", end="2026-11-19 15:45")) == 26
    assert bars(api, "BRK.B", start="2026-11-19 09:30", end="2026-11-19 15:45") is None


def test_most_bars_equal_polygons_and_a_few_lack_late_trades(api: httpx.Client) -> None:
    path = "/v2/aggs/ticker/AAPL/range/15/minute/2026-11-02/2026-11-19"
    reply = api.get(path, params={"limit": "50000", "adjusted": "false"})
    polygon = {row["t"] // 1000: row for row in reply.json()["results"]}
    tradier = bars(api, "AAPL", start="2026-11-02", end="2026-11-19 23:59")
    assert [row["timestamp"] for row in tradier] == list(polygon)
    differ = 0
    for row in tradier:
        twin = polygon[row["timestamp"]]
        assert (row["open"], row["close"]) == (twin["o"], twin["c"])
        assert twin["l"] <= row["low"] <= row["high"] <= twin["h"]
        assert row["volume"] <= twin["v"]
        differ += row["volume"] < twin["v"] - 1
    assert 0 < differ < len(tradier) / 20


def test_minutes_after_now_do_not_exist_and_the_running_bar_is_partial(start: Start) -> None:
    now = [datetime(2026, 11, 20, 15, 7, 30, tzinfo=UTC)]
    api = start(now=lambda: now[0], tradier_allowed=0)
    window = {"start": "2026-11-20 09:30", "end": "2026-11-20 16:00", "session_filter": "open"}
    early = bars(api, "AAPL", **window)
    assert [row["time"][11:16] for row in early] == ["09:30", "09:45", "10:00"]
    now[0] = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
    later = bars(api, "AAPL", **window)
    assert [row["time"][11:16] for row in later] == ["09:30", "09:45", "10:00", "10:15"]
    assert later[:2] == early[:2]
    assert later[2]["open"] == early[2]["open"]
    assert later[2]["volume"] > early[2]["volume"]
    now[0] = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
    assert bars(api, "AAPL", **window) is None


@pytest.mark.parametrize("hours", ["open", "all"])
@pytest.mark.parametrize(
    ("today", "before", "oldest"),
    [
        # What Tradier itself has named: 41 weekdays, a closure no less than any other.
        ("2024-03-12", "2024-01-14", "2024-01-15"),
        ("2026-04-27", "2026-02-26", "2026-02-27"),
        ("2026-08-14", "2026-06-17", "2026-06-18"),
        ("2026-09-29", "2026-07-31", "2026-08-03"),
    ],
)
def test_a_start_that_is_too_old_is_refused_with_the_oldest_date(
    start: Start, today: str, before: str, oldest: str, hours: str
) -> None:
    noon = datetime.fromisoformat(f"{today}T16:00:00+00:00")
    api = start(now=lambda: noon)
    params = {"symbol": "AAPL", "interval": "15min", "session_filter": hours}
    reply = api.get(SALES, params={**params, "start": f"{before} 09:30"})
    assert reply.status_code == 400
    assert reply.text == f"Invalid parameter, start: must be on or after {oldest} 00:00:00."
    assert api.get(SALES, params={**params, "start": f"{oldest} 00:00"}).status_code == 200


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"interval": "2min"}, "interval"),
        ({"session_filter": "some"}, "session_filter"),
        ({"symbol": ""}, "symbol"),
        ({"start": "yesterday"}, "start"),
        ({"start": "2026-13-01"}, "start"),
        ({"start": "2026-11-20", "end": "2026-11-19"}, "end"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(
    api: httpx.Client, params: dict[str, str], name: str
) -> None:
    reply = api.get(SALES, params={"symbol": "AAPL", "interval": "15min", **params})
    assert (reply.status_code, reply.text) == (400, f"Invalid Parameter: {name}")


def test_a_missing_token_is_plain_text_and_a_wrong_one_a_fault(start: Start) -> None:
    api = start(tradier_tokens=frozenset({"good"}))
    none = api.get("/v1/markets/clock", headers={"Authorization": "good"})
    assert (none.status_code, none.text) == (401, "Invalid Access Token")
    assert none.headers["content-type"] == "plain/text"
    assert "x-ratelimit-allowed" not in none.headers
    wrong = api.get("/v1/markets/clock", headers={"Authorization": "Bearer bad"})
    code = wrong.json()["fault"]["detail"]["errorcode"]
    assert (wrong.status_code, code) == (401, "keymanagement.service.invalid_access_token")
    assert api.get("/v1/markets/clock", headers={"Authorization": "Bearer good"}).is_success


@pytest.mark.parametrize("status", [429, 500])
def test_the_quota_is_counted_by_the_clock_minute_and_told_in_headers(
    start: Start, status: int
) -> None:
    clock = [1_719_590_761.0]
    api = start(tradier_allowed=2, tradier_quota_status=status, seconds=lambda: clock[0])
    told = []
    for _ in range(2):
        reply = api.get("/v1/markets/clock")
        told.append([reply.headers[f"x-ratelimit-{name}"] for name in ("used", "available")])
    assert told == [["1", "1"], ["2", "0"]]
    assert reply.headers["x-ratelimit-allowed"] == "2"
    assert reply.headers["x-ratelimit-expiry"] == "1719590820000"
    refused = api.get("/v1/markets/clock")
    assert refused.status_code == status
    assert refused.json()["fault"]["detail"]["errorcode"] == "policies.ratelimit.QuotaViolation"
    clock[0] = 1_719_590_820.0
    assert api.get("/v1/markets/clock").status_code == 200


@pytest.mark.parametrize(
    ("now", "state", "change", "following"),
    [
        (datetime(2026, 11, 20, 8, tzinfo=UTC), "closed", "07:00", "premarket"),
        (datetime(2026, 11, 20, 13, tzinfo=UTC), "premarket", "09:30", "open"),
        (datetime(2026, 11, 20, 15, tzinfo=UTC), "open", "16:00", "postmarket"),
        (datetime(2026, 11, 20, 22, tzinfo=UTC), "postmarket", "20:00", "closed"),
        (datetime(2026, 11, 27, 18, tzinfo=UTC), "postmarket", "17:00", "closed"),
        (datetime(2026, 11, 26, 15, tzinfo=UTC), "closed", "07:00", "premarket"),
    ],
)
def test_the_clock_tells_the_state_and_the_next_change(
    start: Start, now: datetime, state: str, change: str, following: str
) -> None:
    clock = start(now=lambda: now).get("/v1/markets/clock").json()["clock"]
    assert (clock["state"], clock["next_change"], clock["next_state"]) == (state, change, following)
    assert clock["timestamp"] == int(now.timestamp())


def test_the_calendar_has_every_day_and_no_hours_on_closed_ones(api: httpx.Client) -> None:
    reply = api.get("/v1/markets/calendar", params={"month": "11", "year": "2026"})
    days = {day["date"]: day for day in reply.json()["calendar"]["days"]["day"]}
    assert len(days) == 30
    assert days["2026-11-26"]["status"] == "closed"
    assert "open" not in days["2026-11-26"]
    assert days["2026-11-27"]["open"] == {"start": "09:30", "end": "13:00"}
    assert days["2026-11-20"]["premarket"] == {"start": "07:00", "end": "09:24"}
    assert api.get("/v1/markets/calendar", params={"month": "13"}).status_code == 400


def test_quotes_name_unmatched_symbols_apart(api: httpx.Client) -> None:
    def quotes(symbols: str) -> Any:  # noqa: ANN401 - the shape is what is tested
        return api.get("/v1/markets/quotes", params={"symbols": symbols}).json()["quotes"]

    two = quotes("AAPL,BRK/B,ZZA,ZZB")
    assert [quote["symbol"] for quote in two["quote"]] == ["AAPL", "BRK/B"]
    assert two["unmatched_symbols"] == {"symbol": ["ZZA", "ZZB"]}
    assert quotes("AAPL")["quote"]["last"] > 0
    assert quotes("ZZA") == {"unmatched_symbols": {"symbol": "ZZA"}}
    assert quotes("AAPL")["quote"]["close"] is not None


def test_the_close_of_a_quote_is_null_during_the_session(start: Start) -> None:
    now = datetime(2026, 11, 20, 15, tzinfo=UTC)
    reply = start(now=lambda: now).get("/v1/markets/quotes", params={"symbols": "AAPL"})
    assert reply.json()["quotes"]["quote"]["close"] is None
