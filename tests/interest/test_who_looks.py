"""How much a symbol is wanted follows from who looks at it, not from its definitions alone."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

WANTED = "select priority from wanted_symbols where symbol = %s"
QUEUED = "select distinct priority from job_runs where symbol = %s and status = 'queued'"
ANNOUNCED = "select holder from rate_waiter where holder like 'announced %'"
SEEDED, SPENT = 90, 199


def wanted(books: Any, symbol: str) -> int | None:
    rows = books.rows(WANTED, symbol)
    return rows[0][0] if rows else None


def test_the_seeded_definition_keeps_its_row_and_comes_after_all_that_people_want(
    fresh: Any,
) -> None:
    stored = fresh.rows(
        "select priority, window_days, origin from job_definitions"
        " where symbol = 'AAPL' and timeframe = 'm15'"
    )
    assert stored == [(200, 730, "seed")]
    assert wanted(fresh, "AAPL") == SEEDED
    fresh.rows("select plan_job_runs('AAPL', 0)")
    assert fresh.rows(QUEUED, "AAPL") == [(SEEDED,)]
    assert fresh.rows(ANNOUNCED) == []


@pytest.mark.parametrize(
    ("act", "priority"),
    [
        (lambda books: books.track(books.user(), books.symbol("AAPL"), "chart_view"), 200),
        (lambda books: books.track(books.user(), books.symbol("AAPL"), "watchlist"), 300),
        (lambda books: books.track(books.user(), books.symbol("AAPL"), "recent_search"), 200),
        (lambda books: books.rows("select ensure_job('AAPL', 'm15', 30, 150)"), 200),
        (lambda books: books.rows("select ensure_job('AAPL', 'd1', 5, 0)"), 200),
        (lambda books: books.rows("select seed_intraday_backfill_job('AAPL', 'm15')"), 100),
        (
            lambda books: books.sql.execute(
                "update job_definitions set priority = 250 where symbol = 'AAPL'"
            ),
            250,
        ),
    ],
)
def test_whoever_asks_for_the_seeded_symbol_makes_it_wanted_and_its_queue_rises(
    fresh: Any, act: Callable[[Any], object], priority: int
) -> None:
    fresh.rows("select plan_job_runs('AAPL', 0)")
    act(fresh)
    assert wanted(fresh, "AAPL") == priority
    assert fresh.rows(QUEUED, "AAPL") == [(priority,)]
    # A place in the request queue is kept for what is looked at, once.
    assert fresh.rows(ANNOUNCED) == ([("announced AAPL",)] if priority >= 200 else [])


def test_what_people_have_ceased_to_look_at_delays_nobody(fresh: Any) -> None:
    user, symbol = fresh.user(), fresh.symbol("TSLA")
    fresh.track(user, symbol, "watchlist")
    fresh.rows("select plan_job_runs('TSLA', 0)")
    assert fresh.rows(QUEUED, "TSLA") == [(300,)]
    fresh.sql.execute("delete from user_symbol_tracking where symbol_id = %s", (symbol,))
    assert wanted(fresh, "TSLA") == SPENT
    assert fresh.rows(QUEUED, "TSLA") == [(SPENT,)]
    fresh.track(user, symbol, "chart_view")
    assert wanted(fresh, "TSLA") == 300
    assert fresh.rows(QUEUED, "TSLA") == [(300,)]


def test_an_operators_priority_is_meant(fresh: Any) -> None:
    fresh.rows("select seed_intraday_backfill_job('TSLA', 'm15', 730, 250)")
    assert wanted(fresh, "TSLA") == 250
    user = fresh.user()
    fresh.track(user, fresh.symbol("TSLA"), "recent_search")
    fresh.sql.execute("delete from user_symbol_tracking")
    assert wanted(fresh, "TSLA") == 250
