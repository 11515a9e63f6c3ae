"""What the client tells of its user: `sync-user-symbols`, `watchlist-sync`, `symbols-search`."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rehearsal.macos.swift import plain_instant

ANON_USER = "00000000-0000-0000-0000-000000000000"
TRACKED = (
    "select s.ticker, t.source, t.priority, t.user_id::text from user_symbol_tracking t"
    " join symbols s on s.id = t.symbol_id order by 1, 2"
)
AVERAGES = ("DailyVolumeAll", "DailyVolume10d", "LastPriceAll", "LastPrice10d")
WANTED = (
    "select symbol, timeframe::text, window_days, priority from job_definitions d"
    " order by symbol, d.timeframe"
)


@pytest.mark.parametrize(
    ("symbol", "source", "priority"),
    [("TSLA", "watchlist", 300), ("AMD", "chart_view", 200), ("NVDA", "recent_search", 100)],
)
def test_each_source_is_recorded_and_answered(
    api: Any, app: Any, symbol: str, source: str, priority: int
) -> None:
    """Failure mode 41: the app's own key was refused."""
    assert app.sync(symbol, source=source) == {
        "success": True,
        "symbols_tracked": 1,
        "symbols_requested": 1,
        "timeframes": 3,
        "jobs_updated": 3,
        "priority": priority,
        "source": source,
    }
    assert api.sql(TRACKED) == [(symbol, source, priority, ANON_USER)]
    assert api.sql(WANTED) == [
        (symbol, "m15", 30, priority),
        (symbol, "h1", 90, priority),
        (symbol, "h4", 365, priority),
    ]


def test_a_search_after_the_watchlist_lowers_nothing(api: Any, app: Any) -> None:
    app.sync("AAPL", source="watchlist")
    app.ensure("AAPL", "m15", 730)
    app.sync("AAPL", source="recent_search")
    assert {row[3] for row in api.sql(WANTED)} == {300}
    assert api.sql(WANTED)[0] == ("AAPL", "m15", 730, 300)
    assert [row[1] for row in api.sql(TRACKED)] == ["recent_search", "watchlist"]


def test_interest_becomes_a_plan_through_the_trigger_alone(api: Any, app: Any) -> None:
    """The migration's trigger makes definitions; the platform's next look plans them."""
    app.sync("TSLA", source="watchlist")
    assert api.queue.plan() > 0
    claim = api.queue.claim(least_priority=0)
    assert (claim.symbol, claim.priority) == ("TSLA", 300)


def test_unknown_tickers_are_added_and_what_is_none_is_dropped(api: Any, app: Any) -> None:
    found = app.sync("AAPL", "brk.b", "NOT A TICKER", "", "AAPL", "zzzz", source="chart_view")
    assert (found["symbols_tracked"], found["symbols_requested"]) == (3, 6)
    assert {row[0] for row in api.sql(TRACKED)} == {"AAPL", "BRK.B", "ZZZZ"}


def test_a_reload_of_the_chart_touches_nothing_but_a_time(api: Any, app: Any) -> None:
    """Failure mode 47: every reload wrote jobs anew."""
    app.sync("AAPL", source="chart_view")
    kept = "select xmin::text, id::text from job_definitions order by 2"
    before = api.sql(kept), api.sql("select id from user_symbol_tracking")
    for _ in range(5):
        app.sync("AAPL", source="chart_view")
    assert (api.sql(kept), api.sql("select id from user_symbol_tracking")) == before


def test_the_server_logs_each_sync(app: Any, api: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "swiftbolt_assets"):
        app.sync("AAPL", "TSLA", source="chart_view")
    assert "sync-user-symbols chart_view AAPL,TSLA (2)" in caplog.text
    assert api.keys.anon not in caplog.text


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "No symbols provided"),
        ({"symbols": [], "source": "watchlist"}, 400, "No symbols provided"),
        (
            {"symbols": ["AAPL"], "source": "gossip"},
            400,
            "Invalid source. Must be: watchlist, recent_search, or chart_view",
        ),
        ({"symbols": ["AAPL"]}, 400, "Invalid source. Must be"),
        ({"symbols": ["!", "a b"], "source": "watchlist"}, 404, "No valid symbols found"),
        ({"symbols": ["A"] * 10_000, "source": "watchlist"}, 400, "symbols: at most 200"),
        (
            {"symbols": ["A"], "source": "watchlist", "timeframes": ["m1"]},
            400,
            "Invalid timeframe. Must be one of",
        ),
        ({"symbols": ["A"], "source": "watchlist", "timeframes": ["m15"] * 99}, 400, "timeframes"),
        ({"symbols": "AAPL", "source": "watchlist"}, 400, "symbols"),
        ({"symbols": [5], "source": "watchlist"}, 400, "symbols.0"),
    ],
)
def test_a_wrong_request_names_its_field_and_leaves_nothing(
    api: Any, body: dict[str, Any], status: int, error: str
) -> None:
    reply = api.post("sync-user-symbols", body)
    assert reply.status == status
    assert error in reply.error
    assert len(reply.body) < 500
    assert api.sql(TRACKED) == []


def test_a_watchlist_is_changed_and_listed(api: Any, app: Any) -> None:
    assert app.watchlist("list")["items"] == []
    added = app.watchlist("add", "tsla")
    assert added["symbol"] == "TSLA"
    assert added["jobStatus"] == [{"jobType": "backfill", "status": "pending"}]
    # Without a fraction of a second: the app's formatter takes none.
    assert plain_instant(added["items"][0]["addedAt"]) is not None
    assert added["items"][0]["jobStatus"] is None
    assert added["avgLastPriceAll"] is None
    assert [item["symbol"] for item in added["items"]] == ["TSLA"]
    assert api.sql(TRACKED) == [("TSLA", "watchlist", 300, ANON_USER)]
    again = app.watchlist("add", "TSLA")
    assert "already" in again["message"]
    assert again["watchlistId"] == added["watchlistId"]
    assert app.watchlist("remove", "TSLA")["items"] == []
    assert api.sql(TRACKED) == []
    assert app.watchlist("remove", "TSLA")["success"] is True


def test_a_watchlist_shows_volumes_and_prices_of_stored_bars(api: Any, app: Any) -> None:
    app.watchlist("add", "AAPL")
    api.fill("AAPL", api.days(30), close=100.25)
    again = app.watchlist("add", "AAPL")
    (item,) = again["items"]
    assert app.watchlist("list")["items"] == [item]
    # A new row shows what stands beside `success`.
    names = [f"avg{name}" for name in AVERAGES]
    assert [again[name] for name in names] == [item[name] for name in names]
    assert item["lastPrice"] == item["avgLastPrice10d"] == item["avgLastPriceAll"] == 100.25
    assert item["avgDailyVolume10d"] == item["avgDailyVolumeAll"] == 260.0


def test_a_watchlist_holds_fifty_symbols(api: Any, app: Any) -> None:
    letters = [f"A{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(50)]
    for symbol in letters:
        app.watchlist("add", symbol)
    reply = api.post("watchlist-sync", {"action": "add", "symbol": "ZZZ"})
    assert reply.status == 400
    assert reply.error.startswith("watchlist: it holds 50 symbols")
    assert len(app.watchlist("list")["items"]) == 50
    app.watchlist("remove", letters[0])
    app.watchlist("add", "ZZZ")


def test_symbols_that_are_added_at_once_are_all_on_one_list(api: Any, token: Any) -> None:
    """Two first calls made two watchlists, and one of them was never shown."""
    for _ in range(3):
        user = api.sql("insert into auth.users default values returning id")[0][0]
        key = token(user)
        symbols = [f"A{letter}" for letter in "ABCDEFGH"]

        def add(symbol: str, key: str = key) -> int:
            body = {"action": "add", "symbol": symbol}
            return int(api.post("watchlist-sync", body, key=key).status)

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(add, symbols)) == {200}
        listed = api.post("watchlist-sync", {"action": "list"}, key=key).json
        assert sorted(item["symbol"] for item in listed["items"]) == symbols


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "action: use add, remove or list"),
        ({"action": "burn"}, 400, "action"),
        ({"action": "add"}, 400, "Symbol is required"),
        ({"action": "add", "symbol": "a b"}, 400, "symbol"),
        ({"action": "list", "watchlistId": "x"}, 400, "watchlistId"),
        ({"action": "list", "watchlistId": ANON_USER}, 404, "watchlistId: no watchlist"),
    ],
)
def test_a_wrong_change_of_a_watchlist_is_refused(
    api: Any, body: dict[str, Any], status: int, error: str
) -> None:
    reply = api.post("watchlist-sync", body)
    assert reply.status == status
    assert error in reply.error


def test_a_search_finds_the_ticker_first_and_offers_an_unknown_one(api: Any, app: Any) -> None:
    app.sync("AAPL", "AA", "AAL", "MSFT", source="chart_view")
    api.sql("update symbols set description = 'Microsoft Corporation' where ticker = 'MSFT'")
    assert [found["ticker"] for found in app.search("aa")] == ["AA", "AAL", "AAPL"]
    assert [found["ticker"] for found in app.search("corporation")] == ["MSFT"]
    # A name's word before the ticker that nobody knows.
    assert [found["ticker"] for found in app.search("corp")] == ["MSFT", "CORP"]
    (offered,) = app.search("nvda")
    assert (offered["ticker"], offered["known"]) == ("NVDA", False)
    assert app.search("nvda") == [offered]
    assert app.search("no such name") == []
    assert all(len(app.search(word)) <= 20 for word in ("a", "m", "%", "_", "\\", "'"))
    assert api.sql("select ticker from symbols where ticker = 'NVDA'") == []


@pytest.mark.parametrize("query", ["", "?q=", "?q=%20", "?q=" + "a" * 51, "?q=a%00b", "?q=a%0Ab"])
def test_a_search_for_nothing_finds_nothing(api: Any, query: str) -> None:
    reply = api.get(f"symbols-search{query}")
    assert (reply.status, reply.json) == (200, [])
