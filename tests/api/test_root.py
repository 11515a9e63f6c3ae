"""The root's `chart` and `quotes`: JSON to who shows a key, the page to all others."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import Any

import pytest

ACCEPTED = ("*/*", "text/html", "application/json", "text/html,application/xhtml+xml;q=0.9")
CHART, QUOTES = "/chart?symbol=AAPL&timeframe=h1", "/quotes?symbols=AAPL"


@pytest.mark.parametrize("accept", ACCEPTED)
@pytest.mark.parametrize("header", ["Authorization", "apikey"])
@pytest.mark.parametrize("path", [CHART, QUOTES])
def test_who_shows_a_key_gets_json_whatever_it_accepts(
    api: Any, path: str, header: str, accept: str
) -> None:
    key = f"Bearer {api.keys.anon}" if header == "Authorization" else api.keys.anon
    reply = api.get(path, key=None, headers={header: key, "Accept": accept})
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert "bars" in reply.json or "quotes" in reply.json


@pytest.mark.parametrize("accept", ACCEPTED)
def test_who_shows_none_gets_the_page(api: Any, accept: str) -> None:
    for path in (CHART, "/chart", "/chart?symbol=x y&timeframe=none"):
        reply = api.get(path, key=None, headers={"Accept": accept})
        assert reply.status == 200
        assert reply.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("path", [CHART, QUOTES])
def test_a_key_that_opens_nothing_is_told_so(api: Any, path: str) -> None:
    reply = api.get(path, key="no-key-of-this-server")
    assert reply.status == 401
    assert reply.error


def test_prices_are_shown_to_nobody_without_a_key(api: Any) -> None:
    reply = api.get(QUOTES, key=None)
    assert reply.status == 401
    assert reply.error == "Missing authorization token"


@pytest.mark.parametrize("key", ["anon", "none", "wrong"])
@pytest.mark.parametrize("path", [CHART, QUOTES])
def test_no_cache_mixes_the_page_and_the_bars(api: Any, path: str, key: str) -> None:
    shown = {"anon": api.keys.anon, "none": None, "wrong": "no-key-of-this-server"}[key]
    for method in ("GET", "HEAD"):
        reply = api.call(method, path, key=shown)
        named = {name.strip().lower() for name in reply.headers["vary"].split(",")}
        assert {"authorization", "apikey"} <= named
        assert reply.headers["cache-control"] == "no-store"
        assert (method == "HEAD") == (reply.body == b"")


def test_the_root_answers_as_the_functions_do(api: Any) -> None:
    api.post("ensure-coverage", {"symbol": "AAPL", "timeframe": "m15", "window_days": 30})
    api.fill("AAPL", api.days(30))
    assert api.get(QUOTES).json["quotes"] == api.get("quotes?symbols=AAPL").json["quotes"]
    bars = api.get(CHART).json["bars"]
    stored = api.post("chart-data-v2", {"symbol": "AAPL", "timeframe": "h1", "days": 365}).json
    assert [bar["ts"] for bar in bars] == [
        bar["ts"] for bar in stored["layers"]["historical"]["data"]
    ]
    assert api.get("/chart?timeframe=h1").error == "Symbol is required"
    assert "symbol" in api.get("/chart?symbol=a%20b").error
