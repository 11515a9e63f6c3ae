"""The reply of `coverage` tells that a symbol trades no more, and `chart` is not refreshing."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import

from __future__ import annotations

from typing import Any

WHY = "the last bar is of 2026-10-16; none in 24 sessions in which others traded"


def declare(api: Any) -> None:
    api.post("sync-user-symbols", {"symbols": ["GONE"], "source": "watchlist"})
    days = api.days(365)
    api.fill("GONE", days[:-24])
    api.sql(
        "select declare_delisted(id, %s, %s, %s, market_today() + 30) from symbols"
        " where ticker = 'GONE'",
        days[-24],
        days[-25],
        WHY,
    )


def test_coverage_tells_that_a_symbol_trades_no_more_and_why(api: Any) -> None:
    declare(api)
    told = api.get("coverage?symbol=GONE").json
    assert told["delisted"]["evidence"] == WHY
    assert told["delisted"]["ask_on"] == "2026-12-20"
    past = [one for one in told["sessions"] if one["day"] < told["today"]]
    assert {(one["state"], one["reason"]) for one in past[-24:]} == {("final", "delisted")}
    assert api.get("coverage?symbol=AAPL").json["delisted"] is None


def test_its_window_is_complete_and_nothing_of_it_is_at_work(api: Any) -> None:
    declare(api)
    ensured = api.post(
        "ensure-coverage", {"symbol": "GONE", "timeframe": "m15", "window_days": 300}
    ).json
    assert ensured["status"] == "coverage_complete"
    chart = api.get("chart?symbol=GONE&timeframe=m15").json
    assert chart["meta"]["dataStatus"] == "stale"
