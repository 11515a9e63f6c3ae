"""When the New York date changes, a session that is shown whole already is nothing missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from resources.bars.live import LiveBook
from resources.bars.symbols import ensure_symbols
from resources.postgres.database import Database
from resources.queue.slices import WorkQueue

if TYPE_CHECKING:
    from uuid import UUID

DAY = date(2026, 11, 20)
CLOSE = datetime(2026, 11, 20, 21, tzinfo=UTC)
EVENING, MIDNIGHT = CLOSE + timedelta(minutes=1), datetime(2026, 11, 21, 5, 0, 5, tzinfo=UTC)
ALL_BUT_TODAY = """
insert into session_coverage
  (symbol_id, day, state, expected, bars, answers, provider, settled_at)
select %s, day, case when day < %s then 'final' else 'provisional' end, 26, %s, 1,
  case when day < %s then 'polygon'::data_provider else 'tradier' end,
  case when day < %s then clock_timestamp() end
  from market_sessions where day between '2026-10-01' and %s
"""
PROGRESS = """
select p.progress_percent, p.complete, p.sessions - p.sessions_settled
  from job_definitions d cross join get_job_progress(d.id) p where d.symbol = 'COST'
"""


def at(database: Database, instant: datetime) -> Database:
    return Database(database.url, instant - datetime.now(UTC))


def rows(database: Database, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        cursor = connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def symbol(database: Database) -> UUID:
    """Return a symbol that is complete, but for the session that has just closed."""
    evening = at(database, EVENING)
    rows(evening, "select seed_intraday_backfill_job('COST', 'm15', 20)")
    symbol = ensure_symbols(evening, ["COST"])["COST"]
    # A thin symbol: not every quarter hour has a bar.
    rows(evening, ALL_BUT_TODAY, symbol, DAY, 20, DAY, DAY, DAY)
    assert rows(evening, PROGRESS) == [(100, True, 0)]
    return symbol


def test_percent_stays_and_the_final_bars_are_fetched(database: Database, symbol: UUID) -> None:
    LiveBook(at(database, EVENING)).refreshed(symbol, EVENING, CLOSE)
    night = at(database, MIDNIGHT)
    assert rows(night, PROGRESS) == [(100, True, 0)]
    # It is no proof: the gap is told, and what is planned is this session.
    told = "select gap_to from get_coverage_gaps('COST', 'm15', 20)"
    assert rows(night, told) == [(CLOSE,)]
    WorkQueue(night).plan()
    planned = "select first_day, last_day from job_runs where symbol = 'COST' and status = 'queued'"
    assert rows(night, planned) == [(DAY, DAY)]
    # Neither the next day's refreshes nor an answer that settles nothing take it back.
    noon = datetime(2026, 11, 23, 17, tzinfo=UTC)
    LiveBook(at(database, noon)).refreshed(symbol, noon, noon)
    rows(night, "update session_coverage set state = 'open' where state = 'provisional'")
    assert rows(at(database, noon), PROGRESS) == [(100, True, 0)]


def test_a_session_that_was_asked_for_before_its_close_only_is_missing(
    database: Database, symbol: UUID
) -> None:
    early = CLOSE - timedelta(minutes=15)
    LiveBook(at(database, early)).refreshed(symbol, early, early)
    ((percent, complete, missing),) = rows(at(database, MIDNIGHT), PROGRESS)
    assert (percent < 100, complete, missing) == (True, False, 1)


def test_a_session_without_any_live_bar_is_missing(database: Database, symbol: UUID) -> None:
    rows(
        database,
        "update session_coverage set bars = 0, reason = 'not_fetched' where state = 'provisional'",
    )
    LiveBook(at(database, EVENING)).refreshed(symbol, EVENING, CLOSE)
    assert rows(at(database, MIDNIGHT), PROGRESS)[0][1:] == (False, 1)
