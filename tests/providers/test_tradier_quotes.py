"""Tradier's quotes: documented shapes, and whatever else a reply may hold."""

from __future__ import annotations

import json
import math
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.providers.replies import Reply
from resources.providers.tradier.quotes import parse_quotes, quotes_request
from swiftbolt_assets.errors import MalformedReplyError, ProviderError

NOW = datetime(2026, 11, 20, tzinfo=UTC)
#: docs.tradier.com/docs/quotes, AAPL.
QUOTE = {
    "symbol": "AAPL", "description": "Apple Inc", "exch": "Q", "type": "stock", "last": 208.21,
    "change": -2.9, "volume": 25288395, "open": 204.29, "high": 209.37, "low": 203.73,
    "close": None, "bid": 208.19, "ask": 208.21, "change_percentage": -1.38,
    "average_volume": 27215269, "last_volume": 100, "trade_date": 1557168406000,
    "prevclose": 211.75, "week_52_high": 233.47, "week_52_low": 142.0, "bidsize": 12,
}  # fmt: skip


def reply(body: object, status: int = 200) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {}, raw, NOW)


def of(*quotes: object) -> Reply:
    return reply({"quotes": {"quote": quotes[0] if len(quotes) == 1 else list(quotes)}})


def test_the_documented_quote_is_read_number_by_number() -> None:
    (quote,) = parse_quotes(of(QUOTE))
    assert (quote.symbol, quote.last, quote.bid, quote.ask) == ("AAPL", 208.21, 208.19, 208.21)
    assert (quote.open, quote.high, quote.low, quote.close) == (204.29, 209.37, 203.73, None)
    assert (quote.previous_close, quote.volume) == (211.75, 25288395.0)
    assert (quote.average_volume, quote.year_high, quote.year_low) == (27215269.0, 233.47, 142.0)
    assert quote.traded_at == datetime(2019, 5, 6, 18, 46, 46, tzinfo=UTC)


def test_one_quote_is_an_object_several_are_a_list_and_unknown_symbols_stand_apart() -> None:
    other = QUOTE | {"symbol": "BRK/B"}
    assert [quote.symbol for quote in parse_quotes(of(QUOTE, other))] == ["AAPL", "BRK.B"]
    unknown = {"quotes": {"unmatched_symbols": {"symbol": "ZZZZ"}}}
    assert parse_quotes(reply(unknown)) == []
    assert quotes_request(["AAPL", "BRK.B"]).params[0] == ("symbols", "AAPL,BRK/B")


@pytest.mark.parametrize("last", [None, 0, -1, "208.21", True, [], {}])
def test_a_quote_without_a_price_is_left_out(last: object) -> None:
    assert parse_quotes(of(QUOTE | {"last": last})) == []


@pytest.mark.parametrize("last", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_price_that_is_no_number_is_none(last: str) -> None:
    body = json.dumps({"quotes": {"quote": QUOTE}}).replace("208.21", last, 1).encode()
    try:
        found = parse_quotes(reply(body))
    except ProviderError:
        return
    assert found == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"<html></html>", [], {}, {"quotes": None}, {"quotes": "null"}, of([5]).body],
)
def test_what_is_no_list_of_quotes_is_refused(body: object) -> None:
    with pytest.raises(MalformedReplyError):
        parse_quotes(reply(body))


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_quotes = st.fixed_dictionaries(
    {}, optional={name: st.just(value) | _json for name, value in QUOTE.items()}
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_quotes | _json, max_size=4) | _quotes | _json)
def test_any_reply_is_quotes_of_finite_numbers_or_an_error(quotes: Any) -> None:  # noqa: ANN401 - JSON
    try:
        found = parse_quotes(reply({"quotes": {"quote": quotes}}))
    except ProviderError:
        return
    for quote in found:
        assert quote.last > 0
        for value in astuple(quote):
            assert not isinstance(value, float) or math.isfinite(value)
        assert quote.traded_at is None or 1970 <= quote.traded_at.year < 2100
