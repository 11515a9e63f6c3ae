"""The write rules that the database holds every writer to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

from resources.postgres.database import Database
from resources.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    Connection = psycopg.Connection[tuple[Any, ...]]

#: Half past eight in the evening of a Thursday in New York: Friday already in UTC.
EVENING = datetime(2025, 11, 21, 1, 30, tzinfo=UTC)
TODAY = datetime(2025, 11, 20, 15, 0, tzinfo=UTC)
YESTERDAY = TODAY - timedelta(days=1)
TOMORROW = TODAY + timedelta(days=1)

GOOD: dict[str, object] = {
    "timeframe": "m15",
    "ts": YESTERDAY,
    "provider": "polygon",
    "open": 10.0,
    "high": 12.0,
    "low": 9.0,
    "close": 11.0,
    "volume": 100.5,
}
FORECAST: dict[str, object] = {
    "timeframe": "d1",
    "ts": TOMORROW,
    "provider": "ml_forecast",
    "is_forecast": True,
    "close": 11.0,
    "upper_band": 12.0,
    "lower_band": 10.0,
    "confidence_score": 0.7,
}


@pytest.fixture
def sql(at: Callable[[datetime], Database]) -> Iterator[Connection]:
    with at(EVENING).connect() as connection:
        yield connection


def insert(sql: Connection, symbol_id: UUID, row: dict[str, object]) -> None:
    columns = {"symbol_id": symbol_id, **row}
    values = ", ".join(["%s"] * len(columns))
    sql.execute(
        f"insert into ohlc_bars_v2 ({', '.join(columns)}) values ({values})", list(columns.values())
    )


def stored(sql: Connection) -> int:
    row = sql.execute("select count(*) from ohlc_bars_v2").fetchone()
    assert row is not None
    return int(row[0])


def test_today_is_new_yorks_also_when_utc_is_a_day_ahead(sql: Connection) -> None:
    row = sql.execute("select market_today(), (market_now() at time zone 'UTC')::date").fetchone()
    assert row == (date(2025, 11, 20), date(2025, 11, 21))


def test_the_clock_is_a_matter_of_the_session_and_real_without_one(database_url: str) -> None:
    with psycopg.connect(database_url) as plain:
        row = plain.execute("select market_now() = clock_timestamp(), now()").fetchone()
        offset = plain.execute("select market_now() - clock_timestamp()").fetchone()
    assert row is not None
    assert offset is not None
    assert abs(offset[0]) < timedelta(seconds=1)


@pytest.mark.parametrize("ts", [YESTERDAY, datetime(2025, 11, 20, 4, 45, tzinfo=UTC)])
def test_polygon_writes_days_before_today(sql: Connection, aapl: UUID, ts: datetime) -> None:
    insert(sql, aapl, GOOD | {"ts": ts})
    insert(sql, aapl, GOOD | {"ts": ts, "timeframe": "h1", "is_intraday": True})
    assert stored(sql) == 2


@pytest.mark.parametrize(
    "ts", [datetime(2025, 11, 20, 5, 0, tzinfo=UTC), TODAY, EVENING.replace(minute=0), TOMORROW]
)
def test_polygon_never_writes_today_or_later(sql: Connection, aapl: UUID, ts: datetime) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        insert(sql, aapl, GOOD | {"ts": ts})
    assert "refused for provider polygon" in str(caught.value)
    assert "today is 2025-11-20" in str(caught.value)
    assert stored(sql) == 0


def test_tradier_writes_today_only_and_as_intraday(sql: Connection, aapl: UUID) -> None:
    row = GOOD | {"provider": "tradier", "is_intraday": True, "ts": TODAY}
    insert(sql, aapl, row)
    for ts in (YESTERDAY, TOMORROW):
        with pytest.raises(psycopg.errors.CheckViolation, match="refused for provider tradier"):
            insert(sql, aapl, row | {"ts": ts})
    with pytest.raises(psycopg.errors.CheckViolation, match="tradier_is_intraday"):
        insert(sql, aapl, row | {"is_intraday": False, "ts": TODAY + timedelta(minutes=15)})
    assert stored(sql) == 1


def test_tradiers_bar_of_a_past_day_is_never_updated_but_may_be_deleted(
    sql: Connection, aapl: UUID, at: Callable[[datetime], Database]
) -> None:
    insert(sql, aapl, GOOD | {"provider": "tradier", "is_intraday": True, "ts": TODAY})
    with at(EVENING + timedelta(days=1)).connect() as next_day:
        with pytest.raises(psycopg.errors.CheckViolation, match="refused for provider tradier"):
            next_day.execute("update ohlc_bars_v2 set close = 10")
        next_day.execute("delete from ohlc_bars_v2")
    assert stored(sql) == 0


def test_forecasts_lie_after_today_and_have_bands(sql: Connection, aapl: UUID) -> None:
    insert(sql, aapl, FORECAST)
    for ts in (TODAY, YESTERDAY):
        with pytest.raises(psycopg.errors.CheckViolation, match="refused for provider ml_forecast"):
            insert(sql, aapl, FORECAST | {"ts": ts})
    later = FORECAST | {"ts": TOMORROW + timedelta(days=1)}
    for change in (
        {"upper_band": None},
        {"lower_band": None},
        {"lower_band": 13.0},
        {"upper_band": float("nan")},
        {"upper_band": float("inf")},
        {"lower_band": float("-inf")},
        {"lower_band": -1e7},
        {"upper_band": 1e7},
        {"close": 1e8},
        {"is_intraday": True},
        {"confidence_score": 1.5},
        {"confidence_score": float("nan")},
        {"is_forecast": False},
        {"provider": "polygon"},
        {"close": None},
    ):
        with pytest.raises(psycopg.errors.IntegrityError):
            insert(sql, aapl, later | change)
    assert stored(sql) == 1


@pytest.mark.parametrize(
    "change",
    [
        {name: value}
        for name in ("open", "high", "low", "close", "volume")
        for value in (None, float("nan"), float("inf"), float("-inf"), -1.0)
    ]
    + [{name: 0.0} for name in ("open", "high", "low", "close")]
    + [{"vwap": value} for value in (float("nan"), float("inf"), -0.1)]
    + [{"high": value} for value in (1e7, 1e12)]
    + [{"vwap": 1e7}, {"volume": 1e11}, {"volume": 1e20}, {"trade_count": 10**9}]
    + [{"volume": 0.0, "trade_count": 0}]
    + [{"timeframe": "h1", "volume": 4e11}, {"timeframe": "h4", "trade_count": 16 * 10**9}]
    + [
        {"trade_count": -1},
        {"high": 8.0},
        {"high": 10.5},
        {"low": 10.5},
        {"data_status": "confirmed"},
        {"ts": YESTERDAY + timedelta(minutes=1)},
        {"ts": YESTERDAY + timedelta(seconds=1)},
        {"ts": YESTERDAY + timedelta(milliseconds=400)},
        {"ts": YESTERDAY + timedelta(minutes=1), "timeframe": "h1"},
        {"timeframe": None},
        {"provider": None},
    ],
    ids=str,
)
def test_an_unsound_bar_is_refused_whoever_writes_it(
    sql: Connection, aapl: UUID, change: dict[str, object]
) -> None:
    with pytest.raises(psycopg.errors.IntegrityError):
        insert(sql, aapl, GOOD | change)
    assert stored(sql) == 0


def test_large_prices_and_fractions_of_shares_are_stored_to_the_digit(
    sql: Connection, aapl: UUID
) -> None:
    row = {"open": 744_321.1, "high": 1e6, "low": 0.0001, "close": 700_000.15, "volume": 1.5e-5}
    insert(sql, aapl, GOOD | row)
    found = sql.execute("select open, high, low, close, volume from ohlc_bars_v2").fetchone()
    assert found == tuple(row.values())


def test_the_greatest_quarter_hours_fit_with_the_hours_that_they_add_up_to(
    sql: Connection, aapl: UUID
) -> None:
    for timeframe, bars in (("m15", 1), ("h1", 4), ("h4", 16)):
        most = {"high": 9_999_999.0, "volume": bars * 9.99e10, "trade_count": bars * 999_999_999}
        insert(sql, aapl, GOOD | most | {"timeframe": timeframe})
    assert stored(sql) == 3


@pytest.mark.parametrize(("timeframe", "provider"), [("m1", "polygon"), ("m15", "reuters")])
def test_unknown_timeframes_and_providers_are_refused(
    sql: Connection, aapl: UUID, timeframe: str, provider: str
) -> None:
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        insert(sql, aapl, GOOD | {"timeframe": timeframe, "provider": provider})


def test_a_bar_of_an_unknown_symbol_is_refused(sql: Connection, aapl: UUID) -> None:
    assert aapl
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="not in table symbols"):
        insert(sql, uuid4(), GOOD)
    assert stored(sql) == 0


def test_one_bad_row_refuses_the_statement_whole(sql: Connection, aapl: UUID) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        sql.execute(
            "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, open, high, low, close,"
            " volume) select %s, 'm15', %s::timestamptz + i * interval '1 day', 'polygon',"
            " 1, 1, 1, 1, 1 from generate_series(0, 1) i",
            (aapl, YESTERDAY),
        )
    assert stored(sql) == 0


def test_deleting_a_symbol_deletes_its_bars_its_ledger_and_its_rejects(
    sql: Connection, aapl: UUID
) -> None:
    other = sql.execute("insert into symbols (ticker) values ('MSFT') returning id").fetchone()
    assert other is not None
    for symbol_id in (aapl, other[0]):
        insert(sql, symbol_id, GOOD)
        sql.execute(
            "insert into session_coverage (symbol_id, day, state, expected, bars, answers,"
            " provider, settled_at)"
            " values (%s, '2025-11-19', 'final', 26, 26, 1, 'polygon', now())",
            (symbol_id,),
        )
        sql.execute(
            "insert into rejected_bars (symbol_id, provider, rule, bar)"
            " values (%s, 'polygon', 'a rule', '{}')",
            (symbol_id,),
        )
    sql.execute("delete from symbols where id = %s", (aapl,))
    for table in ("ohlc_bars_v2", "session_coverage", "rejected_bars"):
        rows = sql.execute(f"select symbol_id from {table}").fetchall()
        assert rows == [other], table


@pytest.mark.parametrize(
    "ticker", ["", "aapl", "AAPL ", "AAPL\n", "BRK/B", "BRK.", "A" * 11, "1A", "\u0410APL", "A'B"]
)
def test_a_ticker_has_one_spelling_in_the_table_too(sql: Connection, ticker: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        sql.execute("insert into symbols (ticker) values (%s)", (ticker,))


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_readers_read_bars_and_write_nothing(sql: Connection, aapl: UUID, role: str) -> None:
    insert(sql, aapl, GOOD)
    sql.execute(f"set role {role}")
    assert stored(sql) == 1
    for statement in (
        "update ohlc_bars_v2 set close = 10",
        "delete from ohlc_bars_v2",
        "truncate ohlc_bars_v2",
        "delete from symbols",
        "select ensure_bar_partitions('2031-01-01', '2031-01-01')",
        "select hold_symbols('{}')",
        "update market_sessions set closes = closes",
        "select * from provider_requests",
        "select * from rate_slot",
        "delete from job_definitions",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            sql.execute(statement)
    for row in (GOOD | {"timeframe": "h1"}, FORECAST):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            insert(sql, aapl, row)


def test_the_service_writes_and_corrects_forecasts_and_nothing_else(
    sql: Connection, aapl: UUID
) -> None:
    insert(sql, aapl, GOOD)
    sql.execute("set role service_role")
    insert(sql, aapl, FORECAST)
    sql.execute("update ohlc_bars_v2 set close = 11.5 where is_forecast")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        insert(sql, aapl, GOOD | {"timeframe": "h1"})
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        sql.execute("delete from ohlc_bars_v2")
    # Row-level security: other rows are not there for its updates.
    sql.execute("update ohlc_bars_v2 set close = 10")
    sql.execute("reset role")
    closes = sql.execute("select close from ohlc_bars_v2 order by is_forecast").fetchall()
    assert closes == [(11.0,), (10.0,)]


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_nobody_writes_a_month_past_its_parent(sql: Connection, aapl: UUID, role: str) -> None:
    sql.execute(f"set role {role}")
    for statement in (
        f"insert into ohlc_bars_v2_2025_11 (symbol_id, close) values ('{aapl}', 1)",
        "select * from ohlc_bars_v2_2025_11",
        "truncate ohlc_bars_v2_2025_11",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            sql.execute(statement)


def test_a_temporary_table_cannot_pass_for_the_symbols(sql: Connection, aapl: UUID) -> None:
    assert aapl
    stranger = uuid4()
    sql.execute("set role service_role")
    sql.execute("create temp table symbols (id uuid)")
    sql.execute("insert into pg_temp.symbols values (%s)", (stranger,))
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        insert(sql, stranger, FORECAST)


def test_default_privileges_like_supabases_give_nobody_more(empty_url: str) -> None:
    roles = "anon, authenticated, service_role"
    with psycopg.connect(empty_url, autocommit=True) as sql:
        sql.execute(f"alter default privileges in schema public grant all on tables to {roles}")
        migrate(Database(empty_url, timedelta(0)), date(2025, 1, 2))
        rows = sql.execute(
            "select c.relname, r.rolname, p.privilege from pg_class c"
            " cross join unnest(array['anon', 'authenticated', 'service_role']) r (rolname)"
            " cross join unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p (privilege)"
            " where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')"
            " and c.relname <> 'alembic_version'"
            " and has_table_privilege(r.rolname, c.oid, p.privilege)"
        ).fetchall()
    users = {"user_symbol_tracking", "watchlists", "watchlist_items"}
    expected = {
        ("ohlc_bars_v2", "service_role", "INSERT"),
        ("ohlc_bars_v2", "service_role", "UPDATE"),
    }
    assert {row for row in rows if row[0] not in users} == expected
    assert {role for name, role, _ in rows if name in users} == {"authenticated", "service_role"}
    assert not [row for row in rows if row[2] == "TRUNCATE"]
