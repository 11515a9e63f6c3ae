"""From a tracked row to complete bars, on a running platform: first things first, nothing twice.

The tests of this module share one platform at five requests a minute, and run in their order.
"""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

#: 251 sessions are 365 days before 2026-11-20: five requests.
YEAR_REQUESTS = 5
FIRST, LAST = "2025-11-20", "2026-11-19"


@pytest.fixture(scope="module")
def up(new_up: Callable[..., Any], module_market: Any) -> Any:
    return new_up(
        POLYGON_REQUESTS_PER_MINUTE="5",
        POLYGON_BASE_URL=module_market.url,
        TRADIER_BASE_URL=module_market.url,
    )


def of_polygon(market: Any) -> list[str]:
    """Return the symbols that history was asked for, in the order of the requests."""
    paths = [entry["path"] for entry in market.requests() if entry["provider"] == "polygon"]
    return [path.split("/")[4] for path in paths if path.startswith("/v2/aggs/ticker/")]


@dataclass
class Look:
    """What somebody who polls sees at one moment.

    Attributes:
        seconds: since the tracked row was committed.
        progress: by timeframe, (total slices, completed, percent, complete).
        charted: rows of the 4-hour chart.
        timeframes: that have a bar.

    """

    seconds: float
    progress: dict[str, tuple[Any, ...]]
    charted: int
    timeframes: int


CHART = (
    "select (select count(*) from get_chart_data_v2(s.id, 'h4', '2025-11-20', '2026-11-20')),"
    " (select count(distinct timeframe) from ohlc_bars_v2 b where b.symbol_id = s.id)"
    " from symbols s where ticker = 'MSFT'"
)


@pytest.fixture(scope="module")
def looks(up: Any, wait_for: Callable[..., Any]) -> list[Look]:
    """Track MSFT and poll until its windows are complete."""
    seen: list[Look] = []
    up.track("MSFT")
    started = time.monotonic()

    def complete() -> bool:
        done = bool(up.is_complete("MSFT"))
        progress, ((charted, timeframes),) = up.progress("MSFT"), up.rows(CHART)
        seen.append(Look(time.monotonic() - started, progress, charted, timeframes))
        return done

    # (ceil(5 requests / 5 a minute) - 1) minutes + 45 s.
    wait_for(complete, "a year of MSFT", 45)
    return seen


def test_a_tracked_row_leads_to_bars_of_all_timeframes(up: Any, looks: list[Look]) -> None:
    first = next(look for look in looks if look.timeframes == 3)
    assert first.seconds < 30
    sources = "select source, priority from user_symbol_tracking"
    assert up.rows(sources) == [("watchlist", 300)]
    waited = (
        "select max(r.created_at - t.created_at) < interval '60 s' from job_runs r"
        " cross join user_symbol_tracking t where r.symbol = 'MSFT'"
    )
    assert up.rows(waited) == [(True,)]


def test_each_look_shows_as_much_or_more(looks: list[Look]) -> None:
    charted = [look.charted for look in looks]
    assert charted == sorted(charted)
    assert len(set(charted)) > 2
    percents = [look.progress["h4"][2] for look in looks if look.progress]
    assert percents == sorted(percents)
    assert {0, 100} <= set(percents)


def test_the_plan_stands_from_the_first_look_on_and_is_fulfilled(
    up: Any, looks: list[Look]
) -> None:
    planned = [look.progress for look in looks if look.progress]
    totals = {name: {of[name][0] for of in planned if of[name][0]} for name in ("m15", "h1", "h4")}
    assert totals == {"m15": {1}, "h1": {2}, "h4": {YEAR_REQUESTS}}
    assert all(of[3] for of in planned[-1].values())
    made = "select count(*), count(distinct timeframe) from job_definitions where symbol = 'MSFT'"
    assert up.rows(made) == [(3, 3)]


def test_the_windows_hold_the_markets_bars_for_five_requests(
    up: Any, looks: list[Look], module_market: Any
) -> None:
    assert looks[-1].progress
    assert of_polygon(module_market) == ["MSFT"] * YEAR_REQUESTS
    windows = {"m15": "2026-10-21", "h1": "2026-08-22", "h4": FIRST}
    for timeframe, first in windows.items():
        stored = up.rows(
            "select to_char(ts at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
            " open, high, low, close, volume from ohlc_bars_v2 b"
            " join symbols s on s.id = b.symbol_id"
            f" where ticker = 'MSFT' and timeframe = '{timeframe}'"
            f" and ts >= '{first}' and ts < '2026-11-20' order by ts"
        )
        truth = module_market.truth("MSFT", timeframe, first, LAST)
        assert len(stored) == len(truth) > 0
        prices = ("open", "high", "low", "close")
        assert [row[1:5] for row in stored] == [tuple(bar[n] for n in prices) for bar in truth]
        # Sums of fractions depend on their order in the last digit.
        volumes = [bar["volume"] for bar in truth]
        assert [row[5] for row in stored] == pytest.approx(volumes, rel=1e-12)


def test_interest_in_what_is_complete_asks_nothing_and_rewrites_nothing(
    up: Any, wait_for: Callable[..., Any], module_market: Any
) -> None:
    versions = (
        "select max(xmin::text::bigint), count(*) from ohlc_bars_v2 b"
        " join symbols s on s.id = b.symbol_id where ticker = 'MSFT'"
    )
    before, asked = up.rows(versions), len(of_polygon(module_market))
    ticks = "select count(*) from user_symbol_tracking where updated_at > created_at"
    up.track("MSFT")
    up.track("MSFT", "chart_view")
    wait_for(lambda: up.rows(ticks) == [(1,)], "the repeat is noted")
    with up.connect() as connection:
        assert connection.execute("select plan_job_runs('MSFT')").fetchone() == (0,)
    assert up.is_complete("MSFT")
    assert (up.rows(versions), len(of_polygon(module_market))) == (before, asked)


def test_a_watchlist_symbol_overtakes_two_hundred_searched_ones(
    up: Any, wait_for: Callable[..., Any], module_market: Any
) -> None:
    module_market.reset()
    letters = "ABCDEFGHIJKLMNOPQRST"
    low = [f"LO{one}{two}" for one, two in itertools.product(letters, letters[:10])]
    with up.connect() as connection:
        connection.execute("insert into symbols (ticker) select unnest(%s::text[])", (low,))
        connection.execute(
            "insert into user_symbol_tracking (user_id, symbol_id, source)"
            " select '00000000-0000-0000-0000-000000000000', id, 'recent_search' from symbols"
            " where ticker = any(%s) order by ticker",
            (low,),
        )
    wait_for(lambda: len(of_polygon(module_market)) >= 2, "low ones are asked for", 90)
    asked = len(of_polygon(module_market))
    up.track("NVDA")
    wait_for(lambda: "NVDA" in of_polygon(module_market), "NVDA is asked for", 90)
    position = of_polygon(module_market).index("NVDA")
    assert position - asked < 2
    # Once NVDA has what it wants, the low ones go on, the oldest first.
    wait_for(lambda: up.is_complete("NVDA"), "NVDA is complete", 180)
    resumed = len(of_polygon(module_market))
    wait_for(lambda: len(of_polygon(module_market)) > resumed, "low ones go on", 90)
    begun = [symbol for symbol in of_polygon(module_market) if symbol.startswith("LO")]
    first_seen = list(dict.fromkeys(begun))
    assert first_seen == sorted(first_seen) == low[: len(first_seen)]
    assert up.rows("select count(*) from job_runs where status = 'failed'") == [(0,)]


def test_never_more_symbols_at_work_than_allowed(up: Any) -> None:
    claims = "select count(distinct claim_id) from job_runs where claim_id is not null"
    assert up.rows(claims + " and status in ('queued', 'running')")[0][0] <= 5
    running = "select count(distinct (symbol, first_day)) from job_runs where status = 'running'"
    assert up.rows(running)[0][0] <= 5


def test_the_operator_sees_what_is_queued_and_why(up: Any) -> None:
    report = up.shell.run("status", "--json").json
    assert report["platform"] == "running"
    assert report["queue"]["queued"] > 100
    assert report["queue"]["eta_s"] > 600
    assert report["queue"]["failed"] == 0


def test_a_disabled_symbol_leaves_the_queue(up: Any, wait_for: Callable[..., Any]) -> None:
    assert up.shell.run("jobs", "set", "LOTJ", "--disabled").code == 0
    waiting = "select count(*) from job_runs where symbol = 'LOTJ' and status = 'queued'"
    wait_for(lambda: up.rows(waiting) == [(0,)], "its slices are cancelled", 30)
