"""Who may do what: interest is its user's own, job tables are read-only, bars have rules."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import pytest

from swiftbolt_assets.policy.interest import SOURCES

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from uuid import UUID

YESTERDAY, TODAY, TOMORROW = date(2026, 1, 7), date(2026, 1, 8), date(2026, 1, 9)


class Books(Protocol):
    """The open transaction of `conftest.py`."""

    sql: psycopg.Connection[tuple[Any, ...]]

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]: ...
    def symbol(self, ticker: str) -> UUID: ...
    def user(self) -> UUID: ...
    def track(self, user: UUID, symbol: UUID, source: str) -> None: ...
    def bars(self, symbol: UUID, first: date, last: date, **chosen: object) -> None: ...
    def run(self, ticker: str, timeframe: str, status: str, **columns: object) -> None: ...
    def acting_as(self, role: str, user: UUID | None = None) -> AbstractContextManager[None]: ...


@pytest.fixture
def mine(books: Books) -> UUID:
    """Return a user who has AAPL on a watchlist; another one has TSLA."""
    mine, others = books.user(), books.user()
    books.track(mine, books.symbol("AAPL"), "watchlist")
    books.track(others, books.symbol("TSLA"), "watchlist")
    return mine


def other_user(books: Books, mine: UUID) -> UUID:
    found = books.rows("select user_id from user_symbol_tracking where user_id <> %s", mine)
    return found[0][0]


def test_a_user_reads_the_own_rows_only(books: Books, mine: UUID) -> None:
    other = other_user(books, mine)
    with books.acting_as("authenticated", mine):
        assert books.rows("select user_id from user_symbol_tracking") == [(mine,)]
        status = "select symbol from get_user_tracked_symbols_status(%s)"
        assert books.rows(status, mine) == [("AAPL",)]
        assert books.rows(status, other) == []
    with books.acting_as("authenticated"):
        assert books.rows("select user_id from user_symbol_tracking") == []


def test_a_user_adds_changes_and_removes_the_own_rows_only(books: Books, mine: UUID) -> None:
    other, tsla = other_user(books, mine), books.symbol("TSLA")
    with books.acting_as("authenticated", mine):
        books.track(mine, tsla, "chart_view")
        books.sql.execute("update user_symbol_tracking set source = 'recent_search'")
        removed = books.sql.execute(
            "delete from user_symbol_tracking where symbol_id = %s", (tsla,)
        )
        assert removed.rowcount == 1
        with pytest.raises(psycopg.errors.InsufficientPrivilege), books.sql.transaction():
            books.track(other, tsla, "chart_view")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), books.sql.transaction():
            books.sql.execute("update user_symbol_tracking set user_id = %s", (other,))
        books.sql.execute("delete from user_symbol_tracking")
        books.sql.execute("reset role")
        assert books.rows("select user_id, source from user_symbol_tracking") == [
            (other, "watchlist")
        ]


def test_a_stranger_has_no_access_and_the_service_sees_all(books: Books, mine: UUID) -> None:
    statements = (
        "select * from user_symbol_tracking",
        "delete from user_symbol_tracking",
        "select * from get_user_tracked_symbols_status(gen_random_uuid())",
    )
    for statement in statements:
        with (
            books.acting_as("anon"),
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            books.sql.transaction(),
        ):
            books.sql.execute(statement)
    with books.acting_as("service_role"):
        assert books.rows("select count(*) from user_symbol_tracking") == [(2,)]
        status = books.rows("select symbol from get_user_tracked_symbols_status(%s)", mine)
        assert status == [("AAPL",)]


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_people_read_the_job_tables_and_change_nothing(books: Books, mine: UUID, role: str) -> None:
    """Failure mode 42: whoever had the public key could write jobs."""
    books.run("AAPL", "m15", "queued")
    for table in ("job_definitions", "job_runs", "coverage_status"):
        with books.acting_as(role, mine):
            assert books.rows(f"select count(*) > 0 from {table}") == [
                (table != "coverage_status",)
            ]
            for change in (f"delete from {table}", f"update {table} set symbol = 'TSLA'"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), books.sql.transaction():
                    books.sql.execute(change)


def columns(books: Books, table: str) -> dict[str, tuple[str, bool]]:
    """Return a table's columns: their type, and whether they may be null."""
    return {
        name: (kind, nullable == "YES")
        for name, kind, nullable in books.rows(
            "select column_name, udt_name, is_nullable from information_schema.columns"
            " where table_schema = 'public' and table_name = %s order by ordinal_position",
            table,
        )
    }


def test_a_tracking_row_has_the_contracts_columns_and_always_a_user_and_a_symbol(
    books: Books, mine: UUID
) -> None:
    """Failure mode 44: both could be null."""
    assert columns(books, "user_symbol_tracking") == {
        "id": ("uuid", False),
        "user_id": ("uuid", False),
        "symbol_id": ("uuid", False),
        "source": ("text", False),
        "priority": ("int4", False),
        "created_at": ("timestamptz", False),
        "updated_at": ("timestamptz", False),
    }
    with pytest.raises(psycopg.errors.UniqueViolation), books.sql.transaction():
        books.track(mine, books.symbol("AAPL"), "watchlist")
    with pytest.raises(psycopg.errors.CheckViolation), books.sql.transaction():
        books.track(mine, books.symbol("AAPL"), "gossip")
    with pytest.raises(psycopg.errors.ForeignKeyViolation), books.sql.transaction():
        books.track(books.symbol("AAPL"), books.symbol("AAPL"), "watchlist")


def test_a_definition_has_the_contracts_columns_and_defaults(books: Books) -> None:
    found = columns(books, "job_definitions")
    wanted = {
        "symbol": ("text", False),
        "timeframe": ("timeframe", False),
        "job_type": ("text", False),
        "enabled": ("bool", False),
        "priority": ("int4", False),
        "window_days": ("int4", False),
    }
    assert {name: found[name] for name in wanted} == wanted
    books.sql.execute(
        "insert into job_definitions (symbol, timeframe, job_type)"
        " values ('AAPL', 'm15', 'fetch_intraday')"
    )
    defaults = books.rows("select enabled, priority, window_days from job_definitions")
    assert defaults == [(True, 100, 7)]
    with pytest.raises(psycopg.errors.UniqueViolation):
        books.sql.execute(
            "insert into job_definitions (symbol, timeframe, job_type)"
            " values ('AAPL', 'm15', 'fetch_intraday')"
        )


def test_a_run_has_the_contracts_columns(books: Books) -> None:
    found = columns(books, "job_runs")
    wanted = {
        "symbol": "text",
        "timeframe": "timeframe",
        "status": "text",
        "rows_written": "int4",
        "slice_from": "timestamptz",
        "slice_to": "timestamptz",
        "started_at": "timestamptz",
        "finished_at": "timestamptz",
        "error_message": "text",
        "error_code": "text",
    }
    assert {name: found[name][0] for name in wanted} == wanted


def test_who_may_write_which_day_is_a_rule_of_the_database(books: Books) -> None:
    aapl = books.symbol("AAPL")
    books.bars(aapl, YESTERDAY, YESTERDAY)
    books.bars(aapl, TODAY, TODAY, provider="tradier")
    for provider, day in (
        ("polygon", TODAY),
        ("polygon", TOMORROW),
        ("tradier", YESTERDAY),
        ("tradier", TOMORROW),
    ):
        with (
            pytest.raises(psycopg.errors.CheckViolation, match=rf"{day} .*is 2026-01-08"),
            books.sql.transaction(),
        ):
            books.bars(aapl, day, day, provider=provider)
    # Polygon's history may carry the flag; its layer is decided by date.
    books.sql.execute("update ohlc_bars_v2 set is_intraday = true where provider = 'polygon'")
    model = (
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, is_forecast, close,"
        " upper_band, lower_band) values (%s, 'h1', %s, 'ml_forecast', true, 110, %s, 100)"
    )
    noon = datetime(2026, 1, 9, 17, 0, tzinfo=UTC)
    books.sql.execute(model, (aapl, noon, 120))
    for ts, upper in ((noon.replace(day=8), 120), (noon.replace(hour=18), None)):
        with pytest.raises(psycopg.errors.CheckViolation), books.sql.transaction():
            books.sql.execute(model, (aapl, ts, upper))


def test_every_source_of_interest_has_its_priority(books: Books) -> None:
    found = books.rows("select source from interest_priorities order by 1")
    assert [source for (source,) in found] == sorted(SOURCES)
