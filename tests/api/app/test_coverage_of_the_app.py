"""`ensure-coverage` as the client asks it, again and again, until it is complete."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import time
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

TIMEFRAMES = ("m15", "h1", "h4", "d1", "w1")
#: Statistics of what was written, by table.
WRITES = (
    "select relname, n_tup_ins + n_tup_upd + n_tup_del from pg_stat_user_tables"
    " where n_tup_ins + n_tup_upd + n_tup_del > 0 and relname <> 'users' order by 1"
)


def progress(reply: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = reply["backfill_progress"]
    return found


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_the_first_answer_holds_the_whole_plan(api: Any, app: Any, timeframe: str) -> None:
    """Failure mode 19: the total was what happened to be created so far."""
    began = time.monotonic()
    first = app.ensure("AAPL", timeframe, 730)
    assert time.monotonic() - began < 10
    assert (first["symbol"], first["timeframe"]) == ("AAPL", timeframe)
    assert first["status"] == "gaps_detected"
    slices = -(-len(api.days(730)) // 52)
    assert progress(first) == {
        "total_slices": slices, "completed_slices": 0, "running_slices": 0,
        "queued_slices": slices, "failed_slices": 0, "progress_percent": 0, "bars_written": 0,
    }  # fmt: skip
    assert first["coverage_status"]["from_ts"] is None
    assert first["coverage_status"]["gaps_found"] == 1


def test_a_click_makes_one_definition_and_one_plan(api: Any, app: Any) -> None:
    ids = {app.ensure("AAPL", "h1", 730)["job_def_id"] for _ in range(3)}
    assert len(ids) == 1
    rows = api.sql("select id::text, timeframe::text, window_days from job_definitions")
    assert rows == [(ids.pop(), "h1", 730)]


def test_daily_and_weekly_charts_follow_the_plan_of_15_minute_bars(api: Any, app: Any) -> None:
    m15 = app.ensure("AAPL", "m15", 730)
    for timeframe in ("d1", "w1"):
        other = app.ensure("AAPL", timeframe, 365)
        assert other["job_def_id"] == m15["job_def_id"]
        assert progress(other) == progress(m15)
        assert other["timeframe"] == timeframe
        assert other["aggregated_from"] == "m15"
    assert len(api.sql("select from job_definitions")) == 1


def test_both_windows_are_taken_and_a_smaller_one_takes_nothing_back(api: Any, app: Any) -> None:
    """Failure mode 30: the client asks for 730 days, then for 5."""
    whole = app.ensure("AAPL", "m15", 730)
    for window in (5, 7, 365):
        assert progress(app.ensure("AAPL", "m15", window)) == progress(whole)
    for asked in (300, 100, 150, 0):
        body = {"symbol": "AAPL", "timeframe": "m15", "window_days": 5, "priority": asked}
        assert api.post("ensure-coverage", body).status == 200
    asked = "select window_days, priority from job_definitions where timeframe = 'm15'"
    assert api.sql(asked) == [(730, 300)]
    later = app.ensure("TSLA", "h1", 365)
    assert progress(app.ensure("TSLA", "h1", 730))["total_slices"] > progress(later)["total_slices"]


def test_repeated_polls_write_nothing(api: Any, app: Any) -> None:
    """Failure mode 47: each poll caused writes."""
    app.ensure("AAPL", "h1", 730)
    app.ensure("AAPL", "d1", 365)
    app.ensure("AAPL", "h1", 5)
    versions = "select xmin::text, id::text from {} order by 2"
    tables = ("job_definitions", "job_runs", "symbols")
    before = [api.sql(versions.format(table)) for table in tables]
    plans = api.sql("select xmin::text, symbol from symbol_plans")
    first = app.ensure("AAPL", "h1", 730)
    for _ in range(20):
        assert app.ensure("AAPL", "h1", 730) | {"eta_seconds": 0} == first | {"eta_seconds": 0}
        app.ensure("AAPL", "d1", 365)
        app.ensure("AAPL", "h1", 5)
    assert [api.sql(versions.format(table)) for table in tables] == before
    assert api.sql("select xmin::text, symbol from symbol_plans") == plans


def test_polls_grow_until_all_is_complete(api: Any, app: Any) -> None:
    """Every slice is claimed, asked for, stored; the client sees each state once."""
    seen = [app.ensure("AAPL", "h1", 730)]
    assert api.queue.claim(least_priority=0) is not None
    slices = api.sql(
        "select distinct first_day, last_day from job_runs where symbol = 'AAPL' order by 2 desc"
    )
    for first, last in slices:
        api.queue.begin("AAPL", first, last)
        seen.append(app.ensure("AAPL", "h1", 730))
        assert progress(seen[-1])["running_slices"] == 1
        assert "backfill_progress" in seen[-1]
        api.fill("AAPL", [day for day in api.days(730) if first <= day <= last])
        seen.append(app.ensure("AAPL", "h1", 730))
        shown = len(app.drawn("AAPL", "h1"))
        # A38, A53: what is stored is what is drawn and counted.
        assert shown == progress(seen[-1])["bars_written"]
    for earlier, later in pairwise(map(progress, seen)):
        assert later["total_slices"] == earlier["total_slices"]
        assert later["progress_percent"] >= earlier["progress_percent"]
        assert later["bars_written"] >= earlier["bars_written"]
    assert all(one["status"] == "gaps_detected" for one in seen[:-1])
    assert all(progress(one)["progress_percent"] < 100 for one in seen[:-1])
    done = seen[-1]
    assert done["status"] == "coverage_complete"
    bars = sum(7 if slots == 26 else 4 for slots in slots_of(api))
    assert progress(done) == {
        "total_slices": len(slices), "completed_slices": len(slices), "running_slices": 0,
        "queued_slices": 0, "failed_slices": 0, "progress_percent": 100, "bars_written": bars,
    }  # fmt: skip
    assert done["coverage_status"]["gaps_found"] == 0
    opens = datetime.fromisoformat(done["coverage_status"]["from_ts"])
    assert opens.date() == api.days(730)[0]
    assert (done["eta_seconds"], done["message"]) == (0.0, None)
    # A40: opening it again plans nothing.
    rows = api.sql("select count(*) from job_runs")
    assert app.ensure("AAPL", "h1", 730)["status"] == "coverage_complete"
    assert api.sql("select count(*) from job_runs") == rows
    assert api.queue.claim(least_priority=0) is None


def slots_of(api: Any) -> list[int]:
    """Return how many quarter hours each session of two years has, from the database's calendar."""
    return [
        int(minutes) // 15
        for (minutes,) in api.sql(
            "select extract(epoch from closes - opens) / 60 from market_sessions"
            " where day between %s and %s",
            api.days(730)[0],
            api.days(730)[-1],
        )
    ]


def test_a_failed_slice_is_counted_and_its_reason_told(api: Any, app: Any) -> None:
    app.ensure("AAPL", "m15", 30)
    api.queue.claim(least_priority=0)
    api.sql(
        "update job_runs set status = 'failed', claim_id = null, error_code = 'INVALID_SYMBOL',"
        " error_message = 'polygon: HTTP 400', finished_at = clock_timestamp(),"
        " next_attempt_at = null"
    )
    seen = app.ensure("AAPL", "m15", 30)
    assert progress(seen)["failed_slices"] == 1
    assert progress(seen)["progress_percent"] == 0
    assert seen["status"] == "gaps_detected"
    assert seen["message"] == "polygon: HTTP 400"
    assert seen["eta_seconds"] is None


def test_a_cool_down_is_told_and_counts_towards_the_outlook(api: Any, app: Any) -> None:
    app.ensure("AAPL", "m15", 30)
    api.sql(
        "insert into provider_health (provider, failures, cooling_until, reason) values"
        " ('polygon', 3, clock_timestamp() + interval '90 seconds', 'HTTP 503')"
    )
    seen = app.ensure("AAPL", "m15", 30)
    assert seen["message"] == "polygon: HTTP 503"
    assert 85 < seen["eta_seconds"] < 120


@pytest.mark.parametrize(
    ("timeframe", "shown"),
    [("1h", "h1"), ("15m", "m15"), ("4h", "h4"), ("H1", "h1"), ("1d", "d1"), ("1w", "w1")],
)
def test_an_older_spelling_of_a_timeframe_is_the_same_definition(
    app: Any, timeframe: str, shown: str
) -> None:
    """Failure mode 29: aliases made definitions of another kind."""
    assert app.ensure("aapl", timeframe, 30)["timeframe"] == shown
    assert app.ensure("AAPL", shown, 30)["symbol"] == "AAPL"


def test_a_pinned_definition_stays_what_the_operator_made_it(api: Any, app: Any) -> None:
    app.ensure("AAPL", "m15", 30)
    api.sql("update job_definitions set pinned = true, window_days = 10, priority = 5")
    app.ensure("AAPL", "m15", 730)
    assert api.sql("select window_days, priority from job_definitions") == [(10, 5)]


def test_fifty_clients_that_open_one_symbol_at_once_make_one_plan(api: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def ask(number: int) -> int:
        body = {
            "symbol": "AAPL",
            "timeframe": ("m15", "h1", "h4", "d1")[number % 4],
            "window_days": 730,
        }
        return int(api.post("ensure-coverage", body).status)

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(ask, range(50))) == {200}
    doubles = api.sql(
        "select from job_runs group by symbol, timeframe, slice_from having count(*) > 1"
    )
    assert doubles == []
    assert api.sql("select count(*) from job_definitions") == [(3,)]
