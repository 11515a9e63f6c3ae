"""What Tradier says, from its documented sample and recorded errors, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from resources.providers.replies import Reply
from resources.providers.tradier.bars import bars_request
from resources.providers.tradier.reply import (
    TooOldError,
    judge,
    parse_series,
    until_expiry,
)
from swiftbolt_assets.errors import (
    BadRequestError,
    KeyRefusedError,
    MalformedReplyError,
    PermissionDeniedError,
    RateLimitedError,
    UnavailableError,
)
from swiftbolt_assets.market.bars import BAR_SCHEMA

NOW = datetime(2026, 11, 20, 16, 6, 1, tzinfo=UTC)

#: docs.tradier.com/docs/timesale, 15min, AAPL: `price` is (high + low) / 2 and not the close.
SERIES = (
    b'{"series":{"data":[{"time":"2025-07-01T09:30:00","timestamp":1751376600,'
    b'"price":207.26004999999998,"open":206.72,"high":208.38,"low":206.1401,"close":207.53,'
    b'"volume":9876387,"vwap":207.32529},'
    b'{"time":"2025-07-01T09:45:00","timestamp":1751377500,"price":208.29500000000002,'
    b'"open":207.53,"high":209.11,"low":207.48,"close":209.0848,"volume":6249782,'
    b'"vwap":208.49322}]}}'
)


def reply(body: object, status: int = 200, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, named, raw, NOW)


def with_bar(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    content = json.loads(SERIES)
    content["series"]["data"][1] |= changes
    return content


def test_the_documented_sample_is_read_number_by_number() -> None:
    bars = parse_series(reply(SERIES))
    assert dict(bars.schema) == BAR_SCHEMA
    assert bars.rows() == [
        (
            *(datetime(2025, 7, 1, 13, 30, tzinfo=UTC), 206.72, 208.38, 206.1401, 207.53),
            *(9876387.0, 207.32529, None),
        ),
        (
            *(datetime(2025, 7, 1, 13, 45, tzinfo=UTC), 207.53, 209.11, 207.48, 209.0848),
            *(6249782.0, 208.49322, None),
        ),
    ]


def test_a_single_bar_comes_as_an_object() -> None:
    content = json.loads(SERIES)
    content["series"]["data"] = content["series"]["data"][0]
    assert parse_series(reply(content)).equals(parse_series(reply(SERIES)).head(1))


@pytest.mark.parametrize("body", [b'{"series":null}', b'{"series":"null"}'])
def test_no_series_is_no_bars(body: bytes) -> None:
    bars = parse_series(reply(body))
    assert bars.height == 0
    assert dict(bars.schema) == BAR_SCHEMA


def test_the_auction_at_the_close_is_a_bar_like_any_other() -> None:
    content = with_bar(time="2025-07-01T16:00:00", timestamp=1751400000)
    assert parse_series(reply(content))["ts"][1] == datetime(2025, 7, 1, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "stamp", "instant"),
    [
        ("2026-03-06T09:30:00", 1772807400, datetime(2026, 3, 6, 14, 30, tzinfo=UTC)),
        ("2026-03-09T09:30:00", 1773063000, datetime(2026, 3, 9, 13, 30, tzinfo=UTC)),
        ("2026-10-30T09:30:00", 1793367000, datetime(2026, 10, 30, 13, 30, tzinfo=UTC)),
        ("2026-11-02T09:30:00", 1793629800, datetime(2026, 11, 2, 14, 30, tzinfo=UTC)),
        # The repeated hour of autumn: both stamps are right.
        ("2026-11-01T01:30:00", 1793511000, datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        ("2026-11-01T01:30:00", 1793514600, datetime(2026, 11, 1, 6, 30, tzinfo=UTC)),
    ],
)
def test_stamp_and_wall_clock_agree_across_the_clock_changes(
    said: str, stamp: int, instant: datetime
) -> None:
    bars = parse_series(reply(with_bar(time=said, timestamp=stamp)))
    assert bars["ts"][1] == instant


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp": 1751377500 + 3600},
        {"timestamp": 1751377500 - 4 * 3600},
        {"time": "2025-07-01T09:45:01"},
        {"time": "2025-07-02T09:45:00"},
        {"time": "2025-07-01T13:45:00Z"},
        {"time": "2025-02-30T09:45:00"},
        {"time": ""},
        {"time": None},
        {"time": 5},
        {"timestamp": None},
        {"timestamp": "1751377500"},
        {"timestamp": 1751377500.5},
        {"timestamp": 1751377500000},
        {"timestamp": -1},
        {"timestamp": True},
        {"timestamp": 10**30},
    ],
)
def test_a_bar_whose_instant_is_in_doubt_has_none(changes: dict[str, Any]) -> None:
    bars = parse_series(reply(with_bar(**changes)))
    assert bars["ts"].to_list() == [datetime(2025, 7, 1, 13, 30, tzinfo=UTC), None]
    assert bars["close"].to_list() == [207.53, 209.0848]


@pytest.mark.parametrize(
    ("a_second", "looks"),
    [
        (10**3, "1751376600000 looks like milliseconds"),
        (10**6, "1751376600000000 looks like microseconds"),
        (10**9, "1751376600000000000 looks like nanoseconds"),
        (0.0005, "no stamp is a whole number"),
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_a_series_in_another_unit_of_time_is_malformed(
    a_second: float, looks: str, count: int
) -> None:
    content = json.loads(SERIES)
    content["series"]["data"] = content["series"]["data"][:count]
    for bar in content["series"]["data"]:
        bar["timestamp"] *= a_second
    with pytest.raises(MalformedReplyError) as raised:
        parse_series(reply(content))
    assert str(raised.value) == f"none of its {count} bars has a time: {looks}"


def test_a_series_whose_stamps_all_contradict_its_wall_clock_is_malformed() -> None:
    content = json.loads(SERIES)
    for bar in content["series"]["data"]:
        bar["timestamp"] += 3600
    with pytest.raises(MalformedReplyError, match=r"`time` and `timestamp` contradict"):
        parse_series(reply(content))


@pytest.mark.parametrize("value", [None, "NaN", True, [], float("nan"), float("inf")])
@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume", "vwap"])
def test_an_unusable_number_becomes_null(column: str, value: object) -> None:
    bars = parse_series(reply(with_bar(**{column: value})))
    assert bars[column][1] is None
    assert bars[column][0] is not None
    assert bars["ts"].null_count() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<!DOCTYPE html><title>Tradier API</title>",
        b'<?xml version="1.0"?><series><data/></series>',
        SERIES[:300],
        SERIES + b"x",
        b'{"series":[]}',
        b'{"series":5}',
        b'{"series":{}}',
        b'{"series":{"data":null}}',
        b'{"series":{"data":"x"}}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_body_that_cannot_be_trusted_is_malformed(body: bytes) -> None:
    assert judge(reply(body)) is None
    with pytest.raises(MalformedReplyError):
        parse_series(reply(body))


def fault(text: str, code: str) -> dict[str, Any]:
    return {"fault": {"faultstring": text, "detail": {"errorcode": code}}}


BAD_TOKEN = fault("Invalid Access Token", "keymanagement.service.invalid_access_token")
QUOTA = fault(
    "Rate limit quota violation. Quota limit  exceeded. Identifier : x",
    "policies.ratelimit.QuotaViolation",
)
DATASTORE = fault("Datastore Error", "steps.servicecallout.ExecutionFailed")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, b"Invalid Access Token", KeyRefusedError),
        (401, BAD_TOKEN, KeyRefusedError),
        (200, BAD_TOKEN, KeyRefusedError),
        (403, b"", PermissionDeniedError),
        (429, QUOTA, RateLimitedError),
        (429, b"", RateLimitedError),
        (500, QUOTA, RateLimitedError),
        (200, QUOTA, RateLimitedError),
        (500, DATASTORE, UnavailableError),
        (200, DATASTORE, UnavailableError),
        (503, b"<fault><faultstring>Gateway Timeout</faultstring></fault>", UnavailableError),
        (502, b"", UnavailableError),
        (408, b"", UnavailableError),
        (400, b"Invalid Parameter: start", BadRequestError),
        (400, b"Invalid parameter, start: must be on or after 2024-99-99", BadRequestError),
        (404, b"", BadRequestError),
        (200, {"errors": {"error": "backend is away"}}, UnavailableError),
        (200, {"errors": {"error": ["a", "b"]}}, UnavailableError),
        (200, {"errors": None, "fault": None, "series": None}, type(None)),
        (204, b"", MalformedReplyError),
    ],
)
def test_a_reply_maps_to_its_error(status: int, body: object, expected: type) -> None:
    assert type(judge(reply(body, status))) is expected


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"Invalid parameter, start: must be on or after 2024-01-15 00:00:00."),
        (200, {"errors": {"error": "start: must be on or after 2024-01-15 00:00:00."}}),
    ],
)
def test_a_start_that_is_too_old_names_the_oldest(status: int, body: object) -> None:
    error = judge(reply(body, status))
    assert isinstance(error, TooOldError)
    assert error.oldest == date(2024, 1, 15)


def test_a_refused_token_names_its_variable() -> None:
    assert "check TRADIER_TOKEN" in str(judge(reply(b"Invalid Access Token", 401)))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        # Recorded: sent at 16:06:01, renewed at 16:07:00.000 (a second is added for rounding).
        (
            {
                "date": "Fri, 20 Nov 2026 16:06:01 GMT",
                "x_ratelimit_expiry": "1795190820000",
            },
            60,
        ),
        ({"x_ratelimit_expiry": "1795190780000"}, 20),
        # As its documents have it, in seconds.
        ({"x_ratelimit_expiry": "1795190780"}, 20),
        ({"x_ratelimit_expiry": "1795190000"}, 60),
        ({"x_ratelimit_expiry": "1795190000000"}, 60),
        ({"x_ratelimit_expiry": "9" * 400}, 60),
        ({"x_ratelimit_expiry": "soon"}, 60),
        ({}, 60),
    ],
)
def test_the_budget_is_renewed_when_the_headers_say(
    headers: dict[str, str], seconds: float
) -> None:
    assert until_expiry(reply(b"", **headers)) == pytest.approx(seconds, abs=0.001)


def test_a_quota_fault_waits_for_the_expiry_and_retry_after_wins() -> None:
    error = judge(reply(QUOTA, 429, x_ratelimit_expiry="1795190780000"))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == pytest.approx(20)
    error = judge(reply(QUOTA, 429, x_ratelimit_expiry="1795190780000", retry_after="7"))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 7


def test_the_request_says_interval_hours_and_exchange_time() -> None:
    """The defaults are ticks and all hours; class shares are written with a slash."""
    request = bars_request("BRK.B", date(2025, 7, 1), date(2025, 7, 1))
    assert request.path == "/v1/markets/timesales"
    assert dict(request.params) == {
        "symbol": "BRK/B",
        "interval": "15min",
        "start": "2025-07-01 00:00",
        "end": "2025-07-01 23:59",
        "session_filter": "open",
    }
