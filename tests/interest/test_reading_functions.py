"""What SQL tells of coverage, gaps, runs and tracked symbols."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import psycopg
import pytest

from swiftbolt_assets.market.timeframes import _ALIASES, Timeframe, parse_timeframe

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from uuid import UUID

#: The evening's Thursday; a half day is 2025-12-24, closed are 12-25 and 2026-01-01.
TODAY = date(2026, 1, 8)
YESTERDAY = TODAY - timedelta(days=1)
TIMEFRAMES = ["h1", "h4", "m15"]


class Books(Protocol):
    """The open transaction of `conftest.py`."""

    sql: psycopg.Connection[tuple[Any, ...]]

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]: ...
    def move(self, instant: datetime) -> None: ...
    def symbol(self, ticker: str) -> UUID: ...
    def user(self) -> UUID: ...
    def track(self, user: UUID, symbol: UUID, source: str) -> None: ...
    def bars(self, symbol: UUID, first: date, last: date, **chosen: object) -> None: ...
    def settle(self, symbol: UUID, first: date, last: date, state: str = "final") -> None: ...
    def run(self, ticker: str, timeframe: str, status: str, **columns: object) -> None: ...
    def acting_as(self, role: str, user: UUID | None = None) -> AbstractContextManager[None]: ...


def utc(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def gaps(books: Books, window_days: int = 30, timeframe: str = "h1") -> list[tuple[Any, ...]]:
    return books.rows("select * from get_coverage_gaps('AAPL', %s, %s)", timeframe, window_days)


def test_gaps_are_stretches_of_unsettled_sessions_and_interior_holes_count(books: Books) -> None:
    """Failure mode 18: one interval from the first to the last bar hid every hole between."""
    aapl = books.symbol("AAPL")
    books.settle(aapl, date(2025, 12, 9), date(2025, 12, 22))
    # Open and provisional sessions are not settled; the 24th is a half day, the 25th is closed.
    books.settle(aapl, date(2025, 12, 23), date(2025, 12, 23), "open")
    books.settle(aapl, date(2025, 12, 24), date(2025, 12, 24), "provisional")
    books.settle(aapl, date(2025, 12, 29), date(2025, 12, 31))
    books.settle(aapl, date(2026, 1, 5), date(2026, 1, 6))
    assert gaps(books) == [
        (utc(date(2025, 12, 23), 14, 30), utc(date(2025, 12, 26), 21), 6.5 + 3.5 + 6.5),
        (utc(date(2026, 1, 2), 14, 30), utc(date(2026, 1, 2), 21), 6.5),
        (utc(YESTERDAY, 14, 30), utc(YESTERDAY, 21), 6.5),
    ]


def test_a_symbol_without_any_answer_is_one_gap_as_long_as_the_window(books: Books) -> None:
    books.symbol("AAPL")
    assert gaps(books, 730) == [(utc(date(2024, 1, 9), 14, 30), utc(YESTERDAY, 21), 501 * 6.5 - 18)]
    default = books.rows("select * from get_coverage_gaps('AAPL', 'm15')")
    assert default == gaps(books, 7) == [(utc(date(2026, 1, 2), 14, 30), utc(YESTERDAY, 21), 26.0)]


def test_settled_history_has_no_gap_though_today_is_unsettled_and_sessions_are_empty(
    books: Books,
) -> None:
    """Failure mode 19: a tail that was always longer than zero never became complete."""
    aapl = books.symbol("AAPL")
    books.settle(aapl, date(2025, 12, 1), YESTERDAY)
    for timeframe in ("m15", "h1", "h4"):
        assert gaps(books, 30, timeframe) == []
    books.sql.execute("update session_coverage set bars = 0, reason = 'no_trade'")
    assert gaps(books) == []


def test_yesterdays_session_is_a_gap_after_new_yorks_midnight_not_utcs(books: Books) -> None:
    aapl = books.symbol("AAPL")
    books.settle(aapl, date(2025, 12, 1), YESTERDAY)
    books.move(datetime(2026, 1, 9, 4, 59, tzinfo=UTC))
    assert gaps(books) == []
    books.move(datetime(2026, 1, 9, 5, 1, tzinfo=UTC))
    assert gaps(books) == [(utc(TODAY, 14, 30), utc(TODAY, 21), 6.5)]


def test_nothing_before_the_installations_first_date_is_a_gap(books: Books) -> None:
    books.symbol("AAPL")
    books.sql.execute(
        "insert into installation (name, value) values ('first_date', '2026-01-06')"
        " on conflict (name) do update set value = excluded.value"
    )
    assert gaps(books, 730) == [(utc(date(2026, 1, 6), 14, 30), utc(YESTERDAY, 21), 13.0)]


@pytest.mark.parametrize("window", [0, -5, 2_147_483_647, None])
def test_any_window_is_answered(books: Books, window: int | None) -> None:
    aapl = books.symbol("AAPL")
    books.settle(aapl, date(2000, 1, 3), YESTERDAY)
    books.rows("select * from get_coverage_gaps('AAPL', 'h1', %s)", window)


def test_everybody_may_ask_for_gaps_yet_nobody_reads_the_ledger(books: Books) -> None:
    aapl = books.symbol("AAPL")
    books.settle(aapl, date(2025, 12, 1), date(2026, 1, 6))
    for role in ("anon", "authenticated", "service_role"):
        with books.acting_as(role):
            assert gaps(books) == [(utc(YESTERDAY, 14, 30), utc(YESTERDAY, 21), 6.5)]
    with (
        books.acting_as("authenticated"),
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        books.sql.transaction(),
    ):
        books.rows("select * from session_coverage")


def test_a_callers_temporary_table_does_not_pass_for_the_ledger(books: Books) -> None:
    aapl = books.symbol("AAPL")
    books.settle(aapl, date(2025, 12, 1), date(2026, 1, 6))
    with books.acting_as("authenticated"):
        books.sql.execute("create temp table market_sessions (day date, opens int, closes int)")
        assert gaps(books) == [(utc(YESTERDAY, 14, 30), utc(YESTERDAY, 21), 6.5)]


def test_coverage_is_the_first_and_the_last_bar(books: Books) -> None:
    aapl = books.symbol("AAPL")
    assert books.rows("select * from get_coverage('AAPL', 'h1')") == [(None, None)]
    books.bars(aapl, date(2025, 12, 22), YESTERDAY)
    assert books.rows("select * from get_coverage('aapl', '1H')") == [
        (utc(date(2025, 12, 22), 14, 30), utc(YESTERDAY, 20, 30))
    ]
    assert books.rows("select to_ts from get_coverage('AAPL', 'm15')") == [
        (utc(YESTERDAY, 20, 45),)
    ]


@pytest.mark.parametrize(
    "call",
    [
        "get_coverage('AAPL', 'm1')",
        "get_coverage('NONE', 'm1')",
        "get_coverage_gaps('AAPL', 'm1')",
        "get_coverage_gaps('NONE', 'm1')",
        "job_slice_exists('AAPL', 'm1', now(), now())",
        "get_chart_data_v2(gen_random_uuid(), 'm1', now(), now())",
    ],
)
def test_an_unknown_timeframe_is_one_line_that_names_the_known_ones(
    books: Books, call: str
) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue) as caught:
        books.rows(f"select * from {call}")
    assert caught.value.diag.message_primary == (
        "timeframe: 'm1' is unknown; use one of m15, h1, h4, d1, w1"
    )


@pytest.mark.parametrize("written", [*_ALIASES, *Timeframe, "M15", " 4H "])
def test_sql_understands_a_timeframe_as_the_command_line_does(books: Books, written: str) -> None:
    understood = books.rows("select parse_timeframe(%s)::text", written)
    assert understood == [(str(parse_timeframe(written)),)]


def test_an_unknown_symbol_has_nothing_stored_and_nothing_at_work(books: Books) -> None:
    assert books.rows("select * from get_coverage('NONE', 'h1')") == [(None, None)]
    assert books.rows("select * from get_coverage_gaps('NONE', 'h1')") == []
    assert books.rows("select job_slice_exists('NONE', 'h1', now(), now())") == [(False,)]
    assert books.rows("select * from get_user_tracked_symbols_status(%s)", uuid4()) == []


@pytest.mark.parametrize(
    ("status", "exists"),
    [
        ("queued", True),
        ("running", True),
        ("success", True),
        ("failed", False),
        ("cancelled", False),
    ],
)
def test_a_slice_exists_unless_it_failed_or_was_cancelled(
    books: Books, status: str, *, exists: bool
) -> None:
    first, last = utc(YESTERDAY, 14, 30), utc(YESTERDAY, 21)
    books.run("AAPL", "h1", status, slice_from=first, slice_to=last)
    asked = "select job_slice_exists('aapl', 'h1', %s, %s)"
    assert books.rows(asked, first, last) == [(exists,)]
    assert books.rows(asked, first, last + timedelta(minutes=1)) == [(False,)]


def test_no_other_status_is_accepted(books: Books) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        books.run("AAPL", "h1", "done")


def test_symbol_coverage_always_has_three_rows(books: Books) -> None:
    nothing = [(name, 0, None, None, 0.0, None, False, 0) for name in TIMEFRAMES]
    asked = "select * from get_symbol_timeframe_coverage(%s)"
    assert books.rows(asked, "NONE") == nothing
    books.symbol("AAPL")
    assert books.rows(asked, "AAPL") == nothing


def test_symbol_coverage_tells_bars_ends_fetch_and_definition(books: Books) -> None:
    """Mistake M31: the original asked for a column that does not exist."""
    aapl = books.symbol("AAPL")
    books.track(books.user(), aapl, "watchlist")
    books.bars(aapl, date(2025, 12, 22), YESTERDAY)
    # Of two providers' bars of one quarter hour one counts.
    books.move(utc(YESTERDAY, 22))
    books.bars(aapl, YESTERDAY, YESTERDAY, provider="tradier", timeframes=["m15"])
    fetched = utc(YESTERDAY, 23)
    books.sql.execute(
        "insert into coverage_status (symbol, timeframe, last_success_at)"
        " values ('AAPL', 'm15', %s)",
        (fetched,),
    )
    first = utc(date(2025, 12, 22), 14, 30)
    day = 86400
    assert books.rows("select * from get_symbol_timeframe_coverage('aapl')") == [
        ("h1", 74, first, utc(YESTERDAY, 20, 30), 16.25, None, True, 300),
        ("h4", 21, first, utc(YESTERDAY, 18, 30), 16 + 4 * 3600 / day, None, True, 300),
        ("m15", 274, first, utc(YESTERDAY, 20, 45), 16 + 22500 / day, fetched, True, 300),
    ]
    books.sql.execute("update job_definitions set enabled = false where timeframe = 'h4'")
    enabled = books.rows("select job_enabled from get_symbol_timeframe_coverage('AAPL')")
    assert enabled == [(True,), (False,), (True,)]


def test_job_stats_count_each_timeframes_runs_of_the_last_hours(books: Books) -> None:
    assert books.rows("select * from get_timeframe_job_stats(1)") == []
    now = books.rows("select now()")[0][0]
    for minutes, rows in ((1, 100), (3, 200)):
        books.run(
            "AAPL",
            "m15",
            "success",
            rows_written=rows,
            started_at=now - timedelta(minutes=minutes),
            finished_at=now,
        )
    books.run("MSFT", "m15", "failed", rows_written=7, started_at=now, finished_at=now)
    books.run("MSFT", "m15", "cancelled")
    books.run("AAPL", "h1", "queued")
    books.run("MSFT", "h1", "running", rows_written=5, started_at=now)
    books.run("AAPL", "h4", "success", created_at=now - timedelta(minutes=61))
    within_the_hour = [
        ("h1", 2, 1, 1, 0, 0, 0, None),
        ("m15", 4, 0, 0, 2, 1, 300, 120.0),
    ]
    assert books.rows("select * from get_timeframe_job_stats(1)") == within_the_hour
    assert books.rows("select * from get_timeframe_job_stats()") == within_the_hour
    two_hours = books.rows("select timeframe, success from get_timeframe_job_stats(2)")
    assert two_hours == [("h1", 0), ("h4", 1), ("m15", 2)]
    assert len(books.rows("select * from get_timeframe_job_stats(2147483647)")) == 3


def test_tracked_symbols_have_true_counts_in_the_order_of_priority(books: Books) -> None:
    """Failure mode 40: a join of bars with runs multiplied both."""
    user, aapl, tsla = books.user(), books.symbol("AAPL"), books.symbol("TSLA")
    for symbol, source in ((aapl, "chart_view"), (tsla, "recent_search"), (aapl, "watchlist")):
        books.track(user, symbol, source)
    books.track(books.user(), tsla, "watchlist")
    books.bars(aapl, date(2026, 1, 5), YESTERDAY)
    books.bars(aapl, date(2025, 11, 3), date(2025, 11, 3), timeframes=["m15"])
    # Definitions of other kinds multiply nothing; the widest window counts, a forecast's does not.
    books.sql.execute(
        "insert into job_definitions (job_type, symbol, timeframe, window_days) values"
        " ('fetch_historical', 'AAPL', 'm15', 2), ('run_forecast', 'AAPL', 'm15', 730)"
    )
    for timeframe in ("m15", "h1", "h4"):
        books.run("AAPL", timeframe, "queued", slice_from=utc(YESTERDAY, 1))
        books.run("AAPL", timeframe, "success")
    books.run("AAPL", "m15", "running")
    status = books.rows("select * from get_user_tracked_symbols_status(%s)", user)
    assert [row[:3] + row[4:] for row in status] == [
        ("AAPL", "watchlist", 300, 78, 21, 6, 3, 1),
        ("AAPL", "chart_view", 200, 78, 21, 6, 3, 1),
        ("TSLA", "recent_search", 100, 0, 0, 0, 0, 0),
    ]
    assert all(row[3] == books.rows("select now()")[0][0] for row in status)


@pytest.mark.parametrize(
    ("timeframe", "days", "expected", "all_stored"),
    [
        pytest.param("m15", 30, 534, 12_980, id="B14"),
        pytest.param("h1", 90, 428, 3_496, id="B15"),
        pytest.param("h4", 365, 499, 998, id="B16"),
    ],
)
def test_bars_count_within_the_window_and_older_ones_are_kept(
    books: Books, timeframe: str, days: int, expected: int, all_stored: int
) -> None:
    """Mistakes M22 to M24: a session has 26, 7 and 2 bars, a half day 14, 4 and 1."""
    user, aapl = books.user(), books.symbol("AAPL")
    books.track(user, aapl, "watchlist")
    books.bars(aapl, date(2024, 1, 9), YESTERDAY, timeframes=[timeframe])
    books.bars(aapl, TODAY, TODAY, provider="tradier", timeframes=[timeframe])
    window = books.rows("select window_days from job_definitions where timeframe = %s", timeframe)
    assert window == [(days,)]
    counted = books.rows(f"select {timeframe}_bars from get_user_tracked_symbols_status(%s)", user)
    assert counted == [(expected,)]
    stored = books.rows(
        "select bars_count from get_symbol_timeframe_coverage('AAPL') where timeframe = %s",
        timeframe,
    )
    assert stored == [(all_stored,)]
    books.sql.execute("update job_definitions set window_days = 730")
    widened = books.rows(f"select {timeframe}_bars from get_user_tracked_symbols_status(%s)", user)
    assert widened == [(all_stored,)]


def test_the_coverage_of_ten_symbols_is_told_apart(books: Books) -> None:
    tickers = [f"SYM{number}" for number in range(10)]
    for number, ticker in enumerate(tickers):
        symbol = books.symbol(ticker)
        day = date(2025, 12, 8) + timedelta(days=number % 5)
        books.bars(symbol, day, YESTERDAY, timeframes=["h4"])
        books.settle(symbol, day, YESTERDAY)
    for number, ticker in enumerate(tickers):
        missing = books.rows("select gap_hours from get_coverage_gaps(%s, 'h4', 31)", ticker)
        assert missing == ([(6.5 * (number % 5),)] if number % 5 else [])
        told = books.rows("select bars_count from get_symbol_timeframe_coverage(%s)", ticker)
        assert told == [(0,), (41 - 2 * (number % 5),), (0,)]


def test_functions_have_the_contracts_columns_in_its_order(books: Books) -> None:
    columns = {
        "get_coverage('A', 'h1')": "from_ts timestamptz, to_ts timestamptz",
        "get_coverage_gaps('A', 'h1')": (
            "gap_from timestamptz, gap_to timestamptz, gap_hours float8"
        ),
        "get_symbol_timeframe_coverage('A')": (
            "timeframe text, bars_count int8, earliest_bar timestamptz, latest_bar timestamptz,"
            " coverage_days float8, last_fetch timestamptz, job_enabled bool, job_priority int4"
        ),
        "get_timeframe_job_stats()": (
            "timeframe text, total_jobs int8, queued int8, running int8, success int8,"
            " failed int8, total_bars_written int8, avg_duration_seconds float8"
        ),
        "get_user_tracked_symbols_status(gen_random_uuid())": (
            "symbol text, source text, priority int4, tracked_at timestamptz, m15_bars int8,"
            " h1_bars int8, h4_bars int8, jobs_pending int8, jobs_running int8"
        ),
    }
    for call, expected in columns.items():
        described = books.sql.execute(f"select * from {call}").description or []
        found = [(c.name, psycopg.adapters.types[c.type_code].name) for c in described]
        assert ", ".join(f"{name} {kind}" for name, kind in found) == expected
