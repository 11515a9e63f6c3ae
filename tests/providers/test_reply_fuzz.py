"""Whatever a reply holds, reading it ends in bars or a provider's error, never a wrong instant."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from resources.providers.polygon import reply as polygon_reply
from resources.providers.replies import Reply
from resources.providers.tradier import reply as tradier_reply
from swiftbolt_assets.errors import ProviderError
from swiftbolt_assets.market.bars import BAR_SCHEMA

T = 1751376600000
S = T // 1000
_settings = settings(max_examples=150, deadline=None)

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from([T, T + 900_000, S, S * 10**9, "2025-07-01T09:30:00", "OK", "AAPL", "null"])
)
_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def _reply(body: bytes, status: int = 200) -> Reply:
    return Reply(status, {}, body, datetime(2026, 11, 20, tzinfo=UTC))


def _objects(required: dict[str, Any], optional: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {key: st.just(value) | _json for key, value in required.items()},
        optional=dict.fromkeys(optional, _json),
    )


_polygon_bars = st.lists(
    _objects({"t": T, "o": 1.0, "h": 2, "l": 1, "c": 1.5, "v": 10}, ["vw", "n", "otc"]) | _json,
    max_size=4,
)
_tradier_bars = st.lists(
    _objects({"time": "2025-07-01T09:30:00", "timestamp": S, "open": 1.0}, ["close", "vwap"])
    | _json,
    max_size=4,
)


@_settings
@given(st.binary(max_size=200) | _json.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_an_answer_or_an_error(body: bytes) -> None:
    for status in (200, 400, 401, 403, 429, 500):
        polygon_reply.judge(_reply(body, status))
        tradier_reply.judge(_reply(body, status))
    for read in (
        lambda reply: polygon_reply.parse_page(reply, "AAPL"),
        tradier_reply.parse_series,
    ):
        try:
            read(_reply(body))
        except ProviderError as error:
            said = str(error)
        else:
            said = ""
        assert "\n" not in said


@_settings
@given(_polygon_bars, _objects({"status": "OK", "ticker": "AAPL", "adjusted": False}, ["count"]))
def test_a_polygon_bar_keeps_its_instant_or_has_none(bars: list[Any], head: dict[str, Any]) -> None:
    body = head | {"results": bars, "resultsCount": len(bars), "queryCount": 15 * len(bars)}
    try:
        page = polygon_reply.parse_page(_reply(json.dumps(body).encode()), "AAPL")
    except ProviderError:
        return
    assert dict(page.bars.schema) == BAR_SCHEMA
    assert page.bars.height == len(bars)
    for bar, row in zip(bars, page.bars.rows(named=True), strict=True):
        sent = bar.get("t") if isinstance(bar, dict) else None
        if row["ts"] is not None:
            assert row["ts"] == datetime.fromtimestamp(sent / 1000, UTC)
            assert 1980 <= row["ts"].year < 2100
        if row["open"] is not None:
            assert row["open"] == bar["o"]


@_settings
@given(_tradier_bars)
def test_a_tradier_bar_keeps_its_instant_or_has_none(bars: list[Any]) -> None:
    body = json.dumps({"series": {"data": bars}}).encode()
    try:
        frame = tradier_reply.parse_series(_reply(body))
    except ProviderError:
        return
    assert dict(frame.schema) == BAR_SCHEMA
    assert frame.height == len(bars)
    for bar, row in zip(bars, frame.rows(named=True), strict=True):
        if row["ts"] is not None:
            assert bar["time"] == "2025-07-01T09:30:00"
            assert row["ts"] == datetime(2025, 7, 1, 13, 30, tzinfo=UTC)
