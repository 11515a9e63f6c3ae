"""Hours and splits to come, without a request and without a write."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import Any


def split(api: Any, symbol: str, day: str, kind: str, old: float, new: float) -> None:
    api.sql("insert into symbols (ticker) values (%s) on conflict do nothing", symbol)
    api.sql(
        "insert into splits (symbol_id, execution_date, adjustment_type, split_from, split_to)"
        " select id, %s, %s, %s, %s from symbols where ticker = %s",
        day, kind, old, new, symbol,
    )  # fmt: skip


def test_the_evening_says_when_the_next_session_is(api: Any) -> None:
    market = api.get("market-status").json["market"]
    assert (market["isOpen"], market["nextOpen"], market["nextClose"]) == (
        False, "2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z",
    )  # fmt: skip
    assert market["timestamp"].startswith("2026-11-20T22:3")


def test_splits_to_come_are_told_the_next_first_and_past_or_doubtful_ones_are_not(api: Any) -> None:
    split(api, "NVDA", "2026-12-10", "forward_split", 1, 4)
    split(api, "AAPL", "2026-11-23", "reverse_split", 10, 1)
    split(api, "AAPL", "2026-11-20", "stock_dividend", 20, 21)
    split(api, "AAPL", "2026-11-19", "forward_split", 1, 2)
    split(api, "TSLA", "2026-12-01", "forward_split", 1, 3)
    api.sql(
        "update splits set state = 'doubtful' where symbol_id ="
        " (select id from symbols where ticker = 'TSLA')"
    )
    actions = api.get("market-status").json["pendingActions"]
    assert [(one["symbol"], one["type"], one["exDate"], one["ratio"]) for one in actions] == [
        ("AAPL", "stock_dividend", "2026-11-20", 1.05),
        ("AAPL", "reverse_split", "2026-11-23", 0.1),
        ("NVDA", "forward_split", "2026-12-10", 4),
    ]
    assert {one["cashAmount"] for one in actions} == {None}
    mine = api.get("market-status?symbol=nvda").json["pendingActions"]
    assert [one["symbol"] for one in mine] == ["NVDA"]
    assert api.get("market-status?symbol=ZZZZ").json["pendingActions"] == []
    assert api.get("market-status?symbol=a%20b").status == 400
    chart = api.get("chart?symbol=NVDA").json["meta"]
    assert (chart["hasPendingSplits"], chart["pendingSplitInfo"]) == (True, "4 for 1 on 2026-12-10")


def test_asking_every_minute_for_a_day_leaves_nothing_behind(api: Any) -> None:
    tables = ("provider_requests", "rate_slot", "rate_waiter", "symbols", "job_runs", "rechecks")
    for _ in range(20):
        assert api.get("market-status?symbol=MSFT").status == 200
    assert [api.sql(f"select count(*) from {name}") for name in tables] == [[(0,)]] * len(tables)
    assert api.get("market-status", key=None).status == 401
