"""What a caller leaves out: a field, a field that is null, or the whole body."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import Any

import pytest

SYMBOL = {"symbol": "AAPL"}
#: What each function cannot do without, and what may be absent beside it.
ASKED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "chart": (SYMBOL, ("timeframe", "days", "includeForecast", "layers", "before", "pageSize")),
    "chart-data-v2": (
        SYMBOL,
        (
            *("timeframe", "days", "includeForecast", "forecastDays", "includeMLData"),
            *("start", "end", "adjusted"),
        ),
    ),
    "ensure-coverage": (SYMBOL | {"timeframe": "h1"}, ("window_days", "priority")),
    "sync-user-symbols": ({"symbols": ["AAPL"], "source": "chart_view"}, ("timeframes",)),
    "watchlist-sync": ({"action": "list"}, ("symbol", "watchlistId")),
    "reload-watchlist-data": ({}, ("symbols", "forceRefresh", "timeframes")),
    "market-status": ({}, ("symbol",)),
    "symbols-search": ({}, ("q",)),
    "coverage": (SYMBOL, ("days",)),
    "orchestrator": ({}, ("action",)),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_field_that_is_null_is_absent(api: Any, name: str) -> None:
    needed, optional = ASKED[name]
    for field in optional:
        reply = api.post(name, needed | {field: None}, key=api.keys.service)
        assert reply.status == 200, (field, reply.body)
    everything = needed | dict.fromkeys(optional)
    assert api.post(name, everything, key=api.keys.service).status == 200


@pytest.mark.parametrize("name", [*ASKED, "quotes", "user-refresh", "fetch-bars"])
def test_without_a_body_a_function_answers_as_with_an_empty_one(api: Any, name: str) -> None:
    empty = api.post(name, {}, key=api.keys.service)
    for content, headers in ((b"", {}), (b"null", {"Content-Type": "application/json"})):
        reply = api.call("POST", name, key=api.keys.service, content=content, headers=headers)
        if name in {"market-status", "quotes", "symbols-search", "coverage"} and content:
            continue  # they are asked by a query; a body of theirs is an object or nothing
        assert reply.status == empty.status, (content, reply.body)
        assert empty.status == 200 or reply.error == empty.error


def test_the_description_says_that_null_may_stand_for_what_may_be_absent(api: Any) -> None:
    schemas = api.call("GET", "/openapi.json").json["components"]["schemas"]
    fields = schemas["ChartRequest"]["properties"]
    assert all({"type": "null"} in field["anyOf"] for field in fields.values())
    assert fields["days"]["default"] == 60
    assert fields["days"]["anyOf"][0] == {"type": "integer", "minimum": 1, "maximum": 36_500}
