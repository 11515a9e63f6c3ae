"""What a page of Polygon's says, from bodies of the recorded shape, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from resources.providers.polygon.bars import bars_request, next_request, start_ms
from resources.providers.polygon.reply import judge, parse_page
from resources.providers.replies import Reply, Request
from swiftbolt_assets.errors import (
    BadRequestError,
    BeyondPlanError,
    KeyRefusedError,
    MalformedReplyError,
    NotYetAvailableError,
    PermissionDeniedError,
    ProviderError,
    RateLimitedError,
    UnavailableError,
    UsageError,
)
from swiftbolt_assets.market.bars import BAR_SCHEMA

#: 2025-07-01 09:30 in New York (13:30 UTC).
T = 1751376600000

#: Compact JSON, key order and number formats as recorded (exponents from 1e6 up, integers as
#: prices, optional vw and n).
PAGE = (
    b'{"ticker":"AAPL","queryCount":45,"resultsCount":3,"adjusted":false,"results":['
    b'{"v":9.876387e+06,"vw":207.3253,"o":206.72,"c":207.53,"h":208.38,"l":206.1401,'
    b'"t":1751376600000,"n":102106},'
    b'{"v":633567,"o":207.53,"c":209,"h":209.11,"l":207,"t":1751377500000},'
    b'{"v":9099.618093,"vw":208.1,"o":209,"c":208.5,"h":209,"l":208,"t":1751378400000,"n":1}'
    b'],"status":"OK","request_id":"7b7ea352e9d8d54ea2e3d3e21ff097c7","count":3}'
)


def reply(body: object, status: int = 200, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, headers, raw, datetime(2026, 11, 20, tzinfo=UTC))


def page(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    content = json.loads(PAGE) | changes
    return {key: value for key, value in content.items() if value != "absent"}


def with_bar(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    content = page()
    content["results"][1] |= changes
    return content


def test_a_recorded_page_is_read_number_by_number() -> None:
    result = parse_page(reply(PAGE), "AAPL")
    assert dict(result.bars.schema) == BAR_SCHEMA
    first = datetime(2025, 7, 1, 13, 30, tzinfo=UTC)
    assert result.bars.row(0) == (
        *(first, 206.72, 208.38, 206.1401, 207.53, 9876387.0, 207.3253, 102106),
    )
    assert result.bars["volume"].to_list() == [9876387.0, 633567.0, 9099.618093]
    assert result.bars["vwap"].to_list()[1] is None
    assert result.bars["trade_count"].to_list() == [102106, None, 1]
    assert result.base_minutes == 45
    assert result.request_id == "7b7ea352e9d8d54ea2e3d3e21ff097c7"
    assert result.next_url is None


def test_delayed_is_a_success() -> None:
    assert parse_page(reply(page(status="DELAYED")), "AAPL").bars.height == 3


@pytest.mark.parametrize(
    "body",
    [
        page(queryCount=0, resultsCount=0, results="absent", count="absent"),
        page(queryCount=0, resultsCount=0, results=[], count=0),
        page(queryCount=0, resultsCount=0, results=None, count=0),
        {"status": "OK", "request_id": "x", "count": 0},
    ],
)
def test_an_empty_range_is_no_bars(body: dict[str, Any]) -> None:
    result = parse_page(reply(body), "AAPL")
    assert result.bars.height == 0
    assert dict(result.bars.schema) == BAR_SCHEMA


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"OK"',
        b"12",
        b"<!DOCTYPE html><html></html>",
        b'<?xml version="1.0"?><a/>',
        PAGE[:200],
        PAGE[:-1],
        PAGE + b"x",
        b"\xff\xfe" + PAGE,
        b"[" * 100_000,
        b'{"status":"OK","count":' + b"9" * 5000 + b"}",
        {},
        {"status": "OK"},
        {"status": None},
        {"status": 200, "count": 0},
        {"status": "SOMETHING", "count": 0},
        page(status="absent"),
        page(results=None),
        page(results="absent"),
        page(results={}),
        page(results="x"),
        page(results=[]),
        page(resultsCount=4),
        page(count=2),
        page(resultsCount="3"),
        page(resultsCount=0, count=0, results="absent"),
        page(queryCount=-1),
        page(queryCount=10**9),
        page(ticker="MSFT"),
        page(ticker="aapl"),
        page(ticker="absent"),
        page(ticker=None),
        page(adjusted=True),
        page(adjusted="absent"),
        page(adjusted="false"),
        page(next_url=7),
    ],
)
def test_a_body_that_cannot_be_trusted_is_malformed(body: object) -> None:
    with pytest.raises(MalformedReplyError) as caught:
        parse_page(reply(body), "AAPL")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [None, "207.1", True, [], {}, 10**400])
@pytest.mark.parametrize(
    ("key", "column"),
    [("o", "open"), ("h", "high"), ("l", "low"), ("c", "close"), ("v", "volume"), ("vw", "vwap")],
)
def test_an_unusable_number_becomes_null_and_the_page_is_kept(
    key: str, column: str, value: object
) -> None:
    bars = parse_page(reply(with_bar(**{key: value})), "AAPL").bars
    assert bars[column][1] is None
    expected = parse_page(reply(PAGE), "AAPL").bars
    assert bars.drop(column).equals(expected.drop(column))
    assert bars[column][0] == expected[column][0]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_know_become_null(literal: str) -> None:
    body = PAGE.replace(b"207.53,", literal.encode() + b",", 1)
    bars = parse_page(reply(body), "AAPL").bars
    assert bars["close"].to_list() == [None, 209.0, 208.5]


@pytest.mark.parametrize("value", [-5.5, 0, 1e300])
def test_a_number_that_is_only_absurd_stays_for_the_quarantine(value: float) -> None:
    assert parse_page(reply(with_bar(o=value)), "AAPL").bars["open"][1] == value


@pytest.mark.parametrize(
    "stamp",
    [
        *(None, "1751377500000", True, T + 0.5, [], 0, -1, 10**30),
        *(T // 1000, T * 1000, T * 1_000_000, 4_102_444_800_000),
    ],
)
def test_a_stamp_that_is_no_millisecond_becomes_null(stamp: object) -> None:
    bars = parse_page(reply(with_bar(t=stamp)), "AAPL").bars
    assert bars["ts"].to_list()[1] is None
    assert bars["close"].to_list() == [207.53, 209.0, 208.5]


@pytest.mark.parametrize(
    ("a_second", "unit"), [(1, "seconds"), (10**6, "microseconds"), (10**9, "nanoseconds")]
)
def test_a_page_in_another_unit_of_time_is_malformed_and_told_by_its_stamps(
    a_second: int, unit: str
) -> None:
    content = page()
    for row in content["results"]:
        row["t"] = row["t"] // 1000 * a_second
    with pytest.raises(MalformedReplyError) as raised:
        parse_page(reply(content), "AAPL")
    first = T // 1000 * a_second
    assert str(raised.value) == f"none of its 3 bars has a time: {first} looks like {unit}"
    # One bar with a time, and it is a page of which two bars are bad.
    content["results"][2]["t"] = T
    assert parse_page(reply(content), "AAPL").bars["ts"].null_count() == 2


@pytest.mark.parametrize("junk", [None, "x", {"t": "2025-07-01"}, {"t": -1}, {"t": 10**17}])
def test_a_page_without_any_time_is_malformed(junk: object) -> None:
    content = page(results=[junk] * 3)
    with pytest.raises(MalformedReplyError, match=r"^none of its 3 bars has a time: "):
        parse_page(reply(content), "AAPL")


def test_a_missing_stamp_becomes_null() -> None:
    content = page()
    del content["results"][1]["t"]
    assert parse_page(reply(content), "AAPL").bars["ts"][1] is None


def test_a_stamp_with_an_exponent_is_the_same_instant() -> None:
    body = PAGE.replace(b'"t":1751376600000', b'"t":1.7513766e+12')
    assert parse_page(reply(body), "AAPL").bars["ts"][0] == datetime(2025, 7, 1, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize("junk", [None, 5, "x", []])
def test_something_that_is_no_bar_keeps_its_place_as_nulls(junk: object) -> None:
    content = page()
    content["results"][1] = junk
    bars = parse_page(reply(content), "AAPL").bars
    assert bars.height == 3
    assert set(bars.row(1)) == {None}


def test_misplaced_and_repeated_bars_stay_in_the_order_of_the_wire() -> None:
    stamps = [T + 900_000, T, T, T + 1]
    content = page(resultsCount=4, count=4)
    content["results"] = [{**content["results"][0], "t": stamp} for stamp in stamps]
    bars = parse_page(reply(content), "AAPL").bars
    assert bars["ts"].dt.epoch("ms").to_list() == stamps


NO_DAY = "Your plan doesn't include this data timeframe. Please upgrade your plan at https://x"
TODAY = "Attempted to request today's data before end of day. Please upgrade your plan at https://x"
PLAN = "You are not entitled to this data. Please upgrade your plan at https://massive.com/pricing"
LIMIT = "You've exceeded the maximum requests per minute, please wait or upgrade"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"status": "ERROR", "error": "Could not parse the time parameter"}, BadRequestError),
        (401, {"status": "ERROR", "error": "Unknown API Key"}, KeyRefusedError),
        (401, b"", KeyRefusedError),
        (403, {"status": "NOT_AUTHORIZED", "message": NO_DAY}, BeyondPlanError),
        (403, {"status": "NOT_AUTHORIZED", "message": TODAY}, NotYetAvailableError),
        (403, {"status": "NOT_AUTHORIZED", "message": PLAN}, PermissionDeniedError),
        (403, b"<html>blocked</html>", PermissionDeniedError),
        (404, {"status": "NOT_FOUND", "message": "Ticker not found."}, BadRequestError),
        (429, {"status": "ERROR", "error": LIMIT}, RateLimitedError),
        (429, b"", RateLimitedError),
        (408, b"", UnavailableError),
        (413, b"", UnavailableError),
        (499, b"", UnavailableError),
        (500, b"null", UnavailableError),
        (502, b"<html>Bad Gateway</html>", UnavailableError),
        (503, b"[]", UnavailableError),
        (599, b"\xff", UnavailableError),
        (204, b"", MalformedReplyError),
    ],
)
def test_a_status_maps_to_its_error(
    status: int, body: object, expected: type[ProviderError]
) -> None:
    assert type(judge(reply(body, status))) is expected


def test_a_good_status_is_no_error() -> None:
    assert judge(reply(PAGE)) is None


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        ("NOT_AUTHORIZED", NO_DAY, BeyondPlanError),
        ("NOT_AUTHORIZED", TODAY, NotYetAvailableError),
        ("NOT_AUTHORIZED", PLAN, PermissionDeniedError),
        ("ERROR", "Unknown API Key", KeyRefusedError),
        ("ERROR", LIMIT, RateLimitedError),
        ("ERROR", "internal", UnavailableError),
        ("NOT_FOUND", "Ticker not found.", BadRequestError),
    ],
)
def test_an_error_with_status_200_is_that_error(
    status: str, message: str, expected: type[ProviderError]
) -> None:
    """It was seen on a snapshot: the status in the body counts too."""
    with pytest.raises(ProviderError) as caught:
        parse_page(reply({"status": status, "message": message}), "AAPL")
    assert type(caught.value) is expected


def test_a_refused_key_names_its_variable() -> None:
    assert "check POLYGON_API_KEY" in str(judge(reply({"error": "Unknown API Key"}, 401)))


def test_the_request_asks_for_raw_prices_of_whole_days() -> None:
    request = bars_request("BRK.B", date(2025, 7, 1), date(2025, 7, 3))
    assert request.path == "/v2/aggs/ticker/BRK.B/range/15/minute/2025-07-01/2025-07-03"
    assert dict(request.params) == {"adjusted": "false", "sort": "asc", "limit": "50000"}


@pytest.mark.parametrize("symbol", ["A/../../v1", "A?x=1", "A#", "A%2F", "Ａ", "A B", "💥"])  # noqa: RUF001
def test_no_symbol_leaves_its_place_in_the_path(symbol: str) -> None:
    path = bars_request(symbol, date(2025, 7, 1), date(2025, 7, 1)).path
    assert path.count("/") == 9
    assert path.isascii()
    assert not set(path) & set("?# ")


@pytest.mark.parametrize("symbol", ["", ".", ".."])
def test_a_symbol_that_names_a_folder_is_refused(symbol: str) -> None:
    with pytest.raises(UsageError, match="symbol"):
        bars_request(symbol, date(2025, 7, 1), date(2025, 7, 1))


BASE = "https://api.massive.com"
NEXT = "/v2/aggs/ticker/AAPL/range/15/minute/1751378400000/2025-07-03"


@pytest.mark.parametrize(
    ("link", "base"),
    [
        (f"https://api.polygon.io{NEXT}?cursor=bGltaXQ9Mg", BASE),
        (f"https://api.massive.com{NEXT}?cursor=bGltaXQ9Mg&apiKey=stolen&token=x", BASE),
        (f"https://api.massive.com{NEXT}?cursor=bGltaXQ9Mg", "https://api.polygon.io"),
        (f"https://api.polygon.io{NEXT}?cursor=bGltaXQ9Mg", "https://proxy.example/massive"),
        (f"http://sim:8000/polygon{NEXT}?cursor=bGltaXQ9Mg", "http://sim:8000/polygon"),
        (f"http://sim:8000{NEXT}?cursor=bGltaXQ9Mg", "http://sim:8000/polygon"),
    ],
)
def test_a_next_page_keeps_its_cursor_and_says_again_what_is_wanted(link: str, base: str) -> None:
    request = next_request(link, base, "AAPL")
    assert request.path == NEXT
    assert request.params == (
        *(("cursor", "bGltaXQ9Mg"), ("adjusted", "false"), ("sort", "asc"), ("limit", "50000")),
    )
    assert start_ms(request) == 1751378400000


@pytest.mark.parametrize(
    "link",
    [
        f"https://evil.example{NEXT}",
        f"https://api.polygon.io.evil.example{NEXT}",
        f"https://api.polygon.io:443:443{NEXT}",
        f"https://api.polygon.io:99999{NEXT}",
        NEXT,
        "not a link",
        f"https://user@evil.example{NEXT}",
        "https://[::1",
        "https://api.polygon.io/v3/reference/tickers?cursor=x",
        f"https://api.polygon.io{NEXT.replace('AAPL', 'MSFT')}",
        f"https://api.polygon.io{NEXT.replace('15/minute', '1/day')}",
        f"https://api.polygon.io{NEXT}/../../x",
    ],
)
def test_a_link_that_leads_elsewhere_is_refused(link: str) -> None:
    with pytest.raises(MalformedReplyError):
        next_request(link, BASE, "AAPL")


@pytest.mark.parametrize(
    "start", ["", "x", "-5", "2025-13-01", "9" * 40, "\u0661\u0662", "2025-07-01T00"]
)
def test_a_page_that_starts_nowhere_is_refused(start: str) -> None:
    path = f"/v2/aggs/ticker/AAPL/range/15/minute/{start}/2025-07-03"
    with pytest.raises(MalformedReplyError):
        start_ms(Request(path, ()))


def test_a_date_starts_at_midnight_in_new_york() -> None:
    assert start_ms(bars_request("A", date(2025, 7, 1), date(2025, 7, 1))) == 1751342400000
    assert start_ms(bars_request("A", date(2025, 1, 2), date(2025, 1, 2))) == 1735794000000
