"""Every SQL statement that the two seed documents print runs as printed, and answers truly.

Where a seed prints a placeholder (`...`, `user-id-here`, `TEST`), a real value stands here.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from uuid import UUID

    import psycopg

# Seed 000, "Monitoring & Debugging", "Troubleshooting", "Adding More Symbols".

RUNS_BY_STATUS = """
-- See all jobs for AAPL h1
SELECT status, COUNT(*), SUM(rows_written) as total_bars
FROM job_runs
WHERE symbol = 'AAPL' AND timeframe = 'm15'
GROUP BY status;
"""
RECENT_COMPLETIONS = """
-- Recent completions
SELECT slice_from, slice_to, rows_written, finished_at
FROM job_runs
WHERE symbol = 'AAPL' AND status = 'success'
ORDER BY finished_at DESC
LIMIT 10;
"""
FAILED_RUNS = """
-- Failed jobs (investigate errors)
SELECT slice_from, error_message, error_code
FROM job_runs
WHERE symbol = 'AAPL' AND status = 'failed';
"""
BARS_BY_PROVIDER = """
-- Count bars by provider
SELECT provider, is_intraday, COUNT(*), MIN(ts), MAX(ts)
FROM ohlc_bars_v2
WHERE symbol_id = (SELECT id FROM symbols WHERE ticker = 'AAPL')
  AND timeframe = 'h1'
GROUP BY provider, is_intraday;
"""
DEFINITIONS = "SELECT * FROM job_definitions WHERE symbol = 'AAPL'"
BAR_COUNT = (
    "SELECT COUNT(*) FROM ohlc_bars_v2 WHERE symbol_id ="
    " (SELECT id FROM symbols WHERE ticker = 'AAPL') AND timeframe = 'h1'"
)
ADD_TSLA = """
-- Add TSLA with high priority
SELECT seed_intraday_backfill_job('TSLA', 'm15', 730, 190);
"""
ADD_SEVERAL = """
-- Add multiple symbols at once
DO $$
BEGIN
  PERFORM seed_intraday_backfill_job('MSFT', 'm15', 730, 180);
  PERFORM seed_intraday_backfill_job('GOOGL', 'm15', 730, 170);
  PERFORM seed_intraday_backfill_job('NVDA', 'm15', 730, 160);
  PERFORM seed_intraday_backfill_job('META', 'm15', 730, 150);
END $$;
"""

# Seed 003, "Monitoring", "Configuration", "Testing", "Troubleshooting".

JOB_STATS = """
-- System health across all timeframes
SELECT * FROM get_timeframe_job_stats(1);
"""
SYMBOL_COVERAGE = """
-- Check AAPL coverage
SELECT * FROM get_symbol_timeframe_coverage('AAPL');
"""
TRACKED_STATUS = """
-- Get user's tracked symbols with coverage info
SELECT * FROM get_user_tracked_symbols_status('00000000-0000-0000-0000-000000000000');
"""
NARROWER_H1 = """
UPDATE job_definitions
SET window_days = 60
WHERE timeframe = 'h1';
"""
TRACKED_TSLA = """
SELECT * FROM user_symbol_tracking
WHERE symbol_id = (SELECT id FROM symbols WHERE ticker = 'TSLA');
"""
TRACKED_NVDA = """
SELECT * FROM user_symbol_tracking
WHERE symbol_id = (SELECT id FROM symbols WHERE ticker = 'NVDA')
  AND source = 'recent_search';
"""
TRACKED_AMD = """
SELECT * FROM user_symbol_tracking
WHERE symbol_id = (SELECT id FROM symbols WHERE ticker = 'AMD')
  AND source = 'chart_view';
"""
TRIGGER = """
-- Check trigger exists
SELECT tgname FROM pg_trigger WHERE tgname = 'trigger_auto_create_jobs';
"""
TRACK_BY_HAND = """
-- Test manually
INSERT INTO user_symbol_tracking (user_id, symbol_id, source, priority)
VALUES (
  (SELECT id FROM auth.users LIMIT 1),
  (SELECT id FROM symbols WHERE ticker = 'NFLX'),
  'watchlist',
  300
);
"""
DEFINITIONS_BY_HAND = """
-- Verify jobs created
SELECT * FROM job_definitions WHERE symbol = 'NFLX';
"""
CRON_JOB = """
-- Check cron job
SELECT * FROM cron.job WHERE jobname = 'orchestrator-tick';
"""
RECENT_RUNS = """
-- Check recent runs
SELECT * FROM job_runs
WHERE created_at > now() - interval '5 minutes'
ORDER BY created_at DESC;
"""

PRINTED = {
    name.lower(): text
    for name, text in list(globals().items())
    if name.isupper() and isinstance(text, str)
}

TODAY, YESTERDAY = date(2026, 1, 8), date(2026, 1, 7)
ANON_USER = "00000000-0000-0000-0000-000000000000"


class Books(Protocol):
    """The open transaction of `conftest.py`."""

    sql: psycopg.Connection[tuple[Any, ...]]

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]: ...
    def symbol(self, ticker: str) -> UUID: ...
    def track(self, user: object, symbol: UUID, source: str) -> None: ...
    def bars(self, symbol: UUID, first: date, last: date, **chosen: object) -> None: ...
    def run(self, ticker: str, timeframe: str, status: str, **columns: object) -> None: ...


def named(books: Books, statement: str) -> list[dict[str, Any]]:
    """Return a statement's rows by column."""
    cursor = books.sql.execute(statement)
    names = [column.name for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def filled(books: Books) -> Books:
    """Return a database in which AAPL has two years and today, and runs of every status."""
    aapl = books.symbol("AAPL")
    books.rows("select seed_intraday_backfill_job('AAPL', 'm15', 730, 200)")
    books.bars(aapl, date(2024, 1, 9), YESTERDAY, timeframes=["h1"])
    books.bars(aapl, TODAY, TODAY, provider="tradier", timeframes=["h1"])
    for minute in range(12):
        books.run(
            "AAPL",
            "m15",
            "success",
            slice_from=at(5, 14, minute),
            slice_to=at(5, 15, minute),
            rows_written=100 + minute,
            started_at=at(8, 2, minute),
            finished_at=at(8, 3, minute),
        )
    books.run(
        "AAPL",
        "m15",
        "failed",
        slice_from=at(6, 14, 30),
        slice_to=at(6, 21),
        error_code="RATE_LIMIT_EXCEEDED",
        error_message="polygon: too many requests",
    )
    books.run("AAPL", "m15", "running", slice_from=at(7, 14, 30), slice_to=at(7, 21))
    books.run("AAPL", "h1", "queued", slice_from=at(7, 14, 30), slice_to=at(7, 21))
    books.run("MSFT", "m15", "failed", error_message="not AAPL's")
    return books


@pytest.mark.parametrize("name", PRINTED)
def test_every_printed_statement_runs_on_a_fresh_installation(fresh: Books, name: str) -> None:
    fresh.sql.execute(PRINTED[name])


@pytest.mark.parametrize("name", PRINTED)
def test_every_printed_statement_runs_on_a_filled_database(filled: Books, name: str) -> None:
    filled.symbol("NFLX")
    filled.sql.execute(PRINTED[name])


def test_runs_are_counted_by_status_with_their_bars(filled: Books) -> None:
    assert sorted(filled.rows(RUNS_BY_STATUS)) == [
        ("failed", 1, 0),
        ("running", 1, 0),
        ("success", 12, 12 * 100 + 66),
    ]


def test_the_ten_newest_completions_come_newest_first(filled: Books) -> None:
    assert filled.rows(RECENT_COMPLETIONS) == [
        (at(5, 14, minute), at(5, 15, minute), 100 + minute, at(8, 3, minute))
        for minute in range(11, 1, -1)
    ]


def test_failed_runs_tell_why(filled: Books) -> None:
    """Mistake M18: the original overwrote the reason."""
    assert filled.rows(FAILED_RUNS) == [
        (at(6, 14, 30), "polygon: too many requests", "RATE_LIMIT_EXCEEDED")
    ]


def test_polygons_bars_end_yesterday_and_tradiers_are_todays(filled: Books) -> None:
    """Mistakes M2, M14 and M15: 3,489 bars, from 2024-01-09 on, and a whole day has seven."""
    assert sorted(filled.rows(BARS_BY_PROVIDER)) == [
        ("polygon", False, 3489, datetime(2024, 1, 9, 14, 30, tzinfo=UTC), at(7, 20, 30)),
        ("tradier", True, 7, at(8, 14, 30), at(8, 20, 30)),
    ]


def test_the_count_of_bars_is_what_the_chart_function_shows(filled: Books) -> None:
    assert filled.rows(BAR_COUNT) == [(3496,)]
    shown = filled.rows(
        "SELECT is_intraday, count(*) FROM get_chart_data_v2((SELECT id FROM symbols WHERE"
        " ticker = 'AAPL'), 'h1', '2024-01-09', '2026-01-09') GROUP BY is_intraday ORDER BY 1"
    )
    assert shown == [(False, 3489), (True, 7)]


def test_the_migrations_leave_an_enabled_definition_of_aapl(fresh: Books) -> None:
    found = {row["timeframe"]: row for row in named(fresh, DEFINITIONS)}
    m15 = found["m15"]
    assert (m15["job_type"], m15["window_days"], m15["enabled"]) == ("fetch_intraday", 730, True)
    assert m15["priority"] == 200


def test_more_symbols_are_seeded_by_calls_and_again_without_harm(
    books: Books,
) -> None:
    first = books.rows(ADD_TSLA)
    assert books.rows(ADD_TSLA) == first
    books.sql.execute(ADD_SEVERAL)
    assert books.rows(
        "select symbol, window_days, priority, enabled from job_definitions order by priority desc"
    ) == [
        ("TSLA", 730, 190, True),
        ("MSFT", 730, 180, True),
        ("GOOGL", 730, 170, True),
        ("NVDA", 730, 160, True),
        ("META", 730, 150, True),
    ]
    assert books.rows("select count(*) from symbols") == [(5,)]


def test_the_health_of_the_last_hour_is_told_by_timeframe(filled: Books) -> None:
    assert filled.rows(JOB_STATS) == [
        ("h1", 1, 1, 0, 0, 0, 0, None),
        ("m15", 15, 0, 1, 12, 2, 1266, 3600.0),
    ]


def test_the_coverage_of_aapl_is_what_is_stored(filled: Books) -> None:
    first, last = datetime(2024, 1, 9, 14, 30, tzinfo=UTC), at(8, 20, 30)
    days = (last - first) / timedelta(days=1)
    assert filled.rows(SYMBOL_COVERAGE) == [
        ("h1", 3496, first, last, days, None, False, 0),
        ("h4", 0, None, None, 0.0, None, False, 0),
        ("m15", 0, None, None, 0.0, None, True, 200),
    ]


def test_the_tracked_symbols_of_a_user_come_with_true_counts(filled: Books) -> None:
    filled.track(ANON_USER, filled.symbol("AAPL"), "watchlist")
    filled.track(ANON_USER, filled.symbol("MSFT"), "recent_search")
    now = filled.rows("select now()")[0][0]
    assert filled.rows(TRACKED_STATUS) == [
        ("AAPL", "watchlist", 300, now, 0, 428, 0, 1, 1),
        ("MSFT", "recent_search", 100, now, 0, 0, 0, 0, 0),
    ]


def test_an_update_changes_the_window_of_every_h1_definition(fresh: Books) -> None:
    fresh.sql.execute(NARROWER_H1)
    found = fresh.rows(
        "select timeframe, window_days from job_definitions where symbol = 'MSFT' order by 1"
    )
    assert found == [("m15", 30), ("h1", 60), ("h4", 365)]
    assert fresh.rows("select count(*) from job_definitions where window_days = 60") == [(20,)]


@pytest.mark.parametrize(
    ("ticker", "source", "statement", "priority"),
    [
        pytest.param("TSLA", "watchlist", TRACKED_TSLA, 300, id="B31"),
        pytest.param("NVDA", "recent_search", TRACKED_NVDA, 100, id="B32"),
        pytest.param("AMD", "chart_view", TRACKED_AMD, 200, id="B33"),
    ],
)
def test_interest_is_found_by_symbol_and_source(
    fresh: Books, ticker: str, source: str, statement: str, priority: int
) -> None:
    assert fresh.rows(statement) == []
    fresh.track(ANON_USER, fresh.symbol(ticker), source)
    (row,) = named(fresh, statement)
    assert (str(row["user_id"]), row["source"], row["priority"]) == (ANON_USER, source, priority)


def test_a_row_inserted_by_hand_creates_three_definitions(fresh: Books) -> None:
    assert fresh.rows(TRIGGER) == [("trigger_auto_create_jobs",)]
    fresh.sql.execute("delete from job_definitions where symbol = 'NFLX'")
    fresh.sql.execute(TRACK_BY_HAND)
    found = named(fresh, DEFINITIONS_BY_HAND)
    assert {
        (row["timeframe"], row["window_days"], row["priority"], row["enabled"]) for row in found
    } == {("m15", 30, 300, True), ("h1", 90, 300, True), ("h4", 365, 300, True)}


def test_the_tick_has_its_entry_and_recent_runs_come_newest_first(filled: Books) -> None:
    (entry,) = named(filled, CRON_JOB)
    assert (entry["jobname"], entry["schedule"]) == ("orchestrator-tick", "* * * * *")
    filled.sql.execute(
        "update job_runs set created_at = now() - interval '6 minutes' where status = 'success'"
    )
    filled.sql.execute(
        "update job_runs set created_at = now() - interval '1 minute' where status = 'running'"
    )
    recent = [(row["symbol"], row["status"]) for row in named(filled, RECENT_RUNS)]
    assert recent[-1] == ("AAPL", "running")
    assert sorted(recent[:-1]) == [("AAPL", "failed"), ("AAPL", "queued"), ("MSFT", "failed")]
