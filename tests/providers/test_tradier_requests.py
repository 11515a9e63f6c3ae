"""Tradier over real HTTP: what is asked, and what its headers teach."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import
from __future__ import annotations

import time
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from resources.providers.tradier.bars import TradierClient
from swiftbolt_assets.errors import BeyondPlanError, MalformedReplyError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

BAR = {
    "time": "2025-07-01T09:30:00",
    "timestamp": 1751376600,
    "price": 207.26,
    "open": 206.72,
    "high": 208.38,
    "low": 206.14,
    "close": 207.53,
    "volume": 9876387,
    "vwap": 207.32,
}
SERIES = {"series": {"data": [BAR]}}
TOO_OLD = b"Invalid parameter, start: must be on or after 2025-07-01 00:00:00."


def client(one: Any) -> TradierClient:
    return TradierClient(one.transport)


def test_one_day_is_one_request(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply(SERIES))
    one = talk("tradier")
    day = date(2025, 7, 1)
    answer = client(one).fetch("brk.b", day, day, priority=300)
    assert (answer.provider, answer.symbol, answer.first, answer.last) == (
        *("tradier", "BRK.B", day, day),
    )
    assert (answer.bars.height, answer.requests, answer.broken_off) == (1, 1, None)
    assert wire.query(0) == {
        "symbol": ["BRK/B"],
        "interval": ["15min"],
        "start": ["2025-07-01 00:00"],
        "end": ["2025-07-01 23:59"],
        "session_filter": ["open"],
    }
    assert "Accept: application/json\r\n" in wire.heads[0]
    assert one.records[0].bars == 1


def test_a_start_that_is_too_old_is_cut_once(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply(TOO_OLD, status=400), wire.reply(SERIES))
    answer = client(talk("tradier")).fetch("AAPL", date(2025, 6, 1), date(2025, 7, 2), priority=300)
    assert wire.query(1)["start"] == ["2025-07-01 00:00"]
    assert answer.first == date(2025, 7, 1)
    assert answer.requests == 2


@pytest.mark.parametrize(
    ("first", "last", "requests"),
    [
        (date(2025, 6, 1), date(2025, 6, 30), 1),
        (date(2025, 6, 1), date(2025, 7, 2), 2),
        (date(2025, 7, 1), date(2025, 7, 2), 1),
    ],
)
def test_a_window_that_stays_too_old_is_beyond_the_plan(
    first: date, last: date, requests: int, wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(wire.reply(TOO_OLD, status=400))
    with pytest.raises(BeyondPlanError, match="tradier: Tradier keeps bars from 2025-07-01"):
        client(talk("tradier")).fetch("AAPL", first, last, priority=300)
    assert len(wire.heads) == requests


def test_a_page_of_the_documentation_is_retried(wire: Any, talk: Callable[..., Any]) -> None:
    html = b"<!DOCTYPE html><title>Tradier API</title>"
    wire.script(wire.reply(html), wire.reply(SERIES))
    one = talk("tradier")
    day = date(2025, 7, 1)
    assert client(one).fetch("AAPL", day, day, priority=300).requests == 2
    assert one.outcomes == ["MalformedReplyError", "ok"]


def test_the_headers_teach_the_budget(wire: Any, talk: Callable[..., Any]) -> None:
    soon = str(int((time.time() + 30) * 1000))
    headers = {
        "X_Ratelimit_Allowed": "200",
        "X_Ratelimit_Available": "0",
        "X_Ratelimit_Expiry": soon,
    }
    wire.script(wire.reply(SERIES, **headers))
    one = talk("tradier")
    day = date(2025, 7, 1)
    client(one).fetch("AAPL", day, day, priority=300)
    assert one.limiter.limits == [200]
    assert len(one.limiter.pushes) == 1
    assert 28 <= one.limiter.pushes[0] <= 32


@pytest.mark.parametrize("allowed", ["0", "-5", "many", "", "1e9", "9" * 30, "\u0661"])
def test_an_absurd_budget_is_not_believed(
    allowed: str, wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(wire.reply(SERIES, X_Ratelimit_Allowed=allowed, X_Ratelimit_Available="7"))
    one = talk("tradier")
    day = date(2025, 7, 1)
    client(one).fetch("AAPL", day, day, priority=300)
    assert one.limiter.limits == []
    assert one.limiter.pushes == []


def test_a_budget_that_cannot_be_noted_does_not_lose_the_reply(
    wire: Any,
    talk: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away(_per_minute: int) -> None:
        raise StorageError("database: it is away")

    wire.script(wire.reply(SERIES, X_Ratelimit_Allowed="120"))
    one = talk("tradier")
    monkeypatch.setattr(one.limiter, "configure", away)
    day = date(2025, 7, 1)
    assert client(one).fetch("AAPL", day, day, priority=300).bars.height == 1
    assert "it is away" in caplog.text


def test_a_series_that_stays_broken_is_an_error(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply(b"{}"))
    day = date(2025, 7, 1)
    with pytest.raises(MalformedReplyError, match="tradier: the body holds no series"):
        client(talk("tradier")).fetch("AAPL", day, day, priority=300)
    assert len(wire.heads) == 4
