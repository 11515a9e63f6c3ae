"""What `get_chart_data_v2` shows: layers by New York date, one bar a timestamp, one price basis."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import psycopg
import pytest

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from uuid import UUID

TODAY = date(2026, 1, 8)
YESTERDAY = date(2026, 1, 7)
TUESDAY = date(2026, 1, 6)
#: Instants of the three days in New York: before the open, in the session, Friday already in UTC.
IN_SESSION = datetime(2026, 1, 8, 18, 0, tzinfo=UTC)
EVENING = datetime(2026, 1, 9, 1, 30, tzinfo=UTC)
NEXT_MORNING = datetime(2026, 1, 9, 13, 0, tzinfo=UTC)
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


class Books(Protocol):
    """The open transaction of `conftest.py`."""

    sql: psycopg.Connection[tuple[Any, ...]]

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]: ...
    def move(self, instant: datetime) -> None: ...
    def symbol(self, ticker: str) -> UUID: ...
    def bars(self, symbol: UUID, first: date, last: date, **chosen: object) -> None: ...
    def acting_as(self, role: str, user: UUID | None = None) -> AbstractContextManager[None]: ...


@pytest.fixture
def aapl(books: Books) -> UUID:
    return books.symbol("AAPL")


def chart(books: Books, symbol: UUID, timeframe: str = "h4") -> list[tuple[Any, ...]]:
    """Return ts, close, provider, is_intraday, is_forecast of the chart's rows."""
    return books.rows(
        "select ts, close, provider, is_intraday, is_forecast"
        " from get_chart_data_v2(%s, %s, %s, %s)",
        symbol,
        timeframe,
        START,
        END,
    )


def forecast(books: Books, symbol: UUID, ts: datetime, timeframe: str = "h4") -> None:
    books.sql.execute(
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, is_forecast, close,"
        " upper_band, lower_band, confidence_score)"
        " values (%s, %s::timeframe, %s, 'ml_forecast', true, 110, 120, 100, 0.75)",
        (symbol, timeframe, ts),
    )


def test_the_chart_is_history_today_and_forecast_in_ascending_order(
    books: Books, aapl: UUID
) -> None:
    forecast(books, aapl, NEXT_MORNING + timedelta(hours=1.5))
    books.bars(aapl, TODAY, TODAY, provider="tradier", close=102.0)
    books.bars(aapl, TUESDAY, YESTERDAY)
    assert chart(books, aapl) == [
        ("2026-01-06T14:30:00Z", 100.0, "polygon", False, False),
        ("2026-01-06T18:30:00Z", 100.0, "polygon", False, False),
        ("2026-01-07T14:30:00Z", 100.0, "polygon", False, False),
        ("2026-01-07T18:30:00Z", 100.0, "polygon", False, False),
        ("2026-01-08T14:30:00Z", 102.0, "tradier", True, False),
        ("2026-01-08T18:30:00Z", 102.0, "tradier", True, False),
        ("2026-01-09T14:30:00Z", 110.0, "ml_forecast", False, True),
    ]


def test_the_columns_are_the_contracts_and_its_numbers_are_doubles(
    books: Books, aapl: UUID
) -> None:
    forecast(books, aapl, NEXT_MORNING + timedelta(hours=1.5))
    books.bars(aapl, YESTERDAY, YESTERDAY, timeframes=["h4"])
    cursor = books.sql.execute(
        "select * from get_chart_data_v2(%s, 'h4', %s, %s)", (aapl, START, END)
    )
    found = [(c.name, psycopg.adapters.types[c.type_code].name) for c in cursor.description or []]
    doubles = dict.fromkeys(("open", "high", "low", "close", "volume"), "float8")
    assert found == list(
        {
            "ts": "text",
            **doubles,
            "provider": "text",
            "is_intraday": "bool",
            "is_forecast": "bool",
            "data_status": "text",
            "confidence_score": "float8",
            "upper_band": "float8",
            "lower_band": "float8",
        }.items()
    )
    first, _, last = cursor.fetchall()
    bar = (100.0, 101.0, 99.0, 100.0, 1000.0)
    nothing = (None, None, None)
    assert first == ("2026-01-07T14:30:00Z", *bar, "polygon", False, False, "verified", *nothing)
    model = ("ml_forecast", False, True, None, 0.75, 120.0, 100.0)
    assert last == ("2026-01-09T14:30:00Z", *nothing, 110.0, None, *model)


def test_no_timestamp_comes_twice_and_polygon_wins_for_past_days(books: Books, aapl: UUID) -> None:
    """Failure mode 4: overnight, Tradier's bars were hidden before Polygon's had come."""
    books.move(IN_SESSION)
    books.bars(aapl, TODAY, TODAY, provider="tradier", close=102.0)
    books.move(NEXT_MORNING)
    overnight = chart(books, aapl, "h1")
    assert len(overnight) == 7
    assert {row[1:] for row in overnight} == {(102.0, "tradier", False, False)}
    books.sql.execute(
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, open, high, low, close,"
        " volume) values (%s, 'h1', '2026-01-08T15:30Z', 'polygon', 100, 101, 99, 100, 1)",
        (aapl,),
    )
    mixed = chart(books, aapl, "h1")
    assert [row[2] for row in mixed] == ["tradier", "polygon", *["tradier"] * 5]
    assert len({row[0] for row in mixed}) == len(mixed) == 7


def test_the_date_decides_the_layer_not_the_stored_flag(books: Books, aapl: UUID) -> None:
    """Mistake M13: the original's history was flagged as intraday."""
    books.bars(aapl, YESTERDAY, YESTERDAY)
    books.sql.execute("update ohlc_bars_v2 set is_intraday = true")
    assert {row[2:] for row in chart(books, aapl)} == {("polygon", False, False)}


def test_today_is_new_yorks_though_utc_is_a_day_ahead(books: Books, aapl: UUID) -> None:
    """Failure mode 3: three clocks disagreed between seven in the evening and midnight."""
    books.bars(aapl, TODAY, TODAY, provider="tradier")
    forecast(books, aapl, NEXT_MORNING)
    assert {row[2:] for row in chart(books, aapl)} == {
        ("tradier", True, False),
        ("ml_forecast", False, True),
    }
    books.move(NEXT_MORNING)
    # What was a forecast is a day that has begun now: nothing is shown of it before it is traded.
    assert {row[2:] for row in chart(books, aapl)} == {("tradier", False, False)}


def test_the_chart_has_as_many_bars_as_are_stored(books: Books, aapl: UUID) -> None:
    books.bars(aapl, date(2025, 12, 22), YESTERDAY)
    for timeframe, bars in (("m15", 274), ("h1", 74), ("h4", 21)):
        rows = books.rows("select ts from get_chart_data_v2(%s, %s, null, null)", aapl, timeframe)
        assert len(rows) == bars
        assert rows == sorted(rows)


def test_both_ends_of_the_asked_range_are_included(books: Books, aapl: UUID) -> None:
    books.bars(aapl, TUESDAY, YESTERDAY)
    asked = "select ts from get_chart_data_v2(%s, 'h4', %s, %s)"
    first, last = datetime(2026, 1, 6, 18, 30, tzinfo=UTC), datetime(2026, 1, 7, 14, 30, tzinfo=UTC)
    assert books.rows(asked, aapl, first, last) == [
        ("2026-01-06T18:30:00Z",),
        ("2026-01-07T14:30:00Z",),
    ]
    assert books.rows(asked, aapl, last, first) == []
    assert books.rows(asked, uuid4(), START, END) == []


def test_prices_before_a_split_are_folded_to_todays_shares(books: Books, aapl: UUID) -> None:
    """Failure mode 6: raw and adjusted prices stood side by side."""
    books.bars(aapl, date(2026, 1, 2), YESTERDAY, timeframes=["h4"], close=400.0)
    books.bars(aapl, TODAY, TODAY, provider="tradier", timeframes=["h4"], close=50.0)
    books.sql.execute(
        "insert into splits (symbol_id, execution_date, split_from, split_to) values"
        " (%(s)s, '2026-01-06', 1, 4), (%(s)s, '2026-01-08', 1, 2), (%(s)s, '2026-01-09', 1, 10)",
        {"s": aapl},
    )
    folded = books.rows(
        "select distinct left(ts, 10), open, high, low, close, volume"
        " from get_chart_data_v2(%s, 'h4', %s, %s) order by 1",
        aapl,
        START,
        END,
    )
    assert folded == [
        ("2026-01-02", 50.0, 50.125, 49.875, 50.0, 8000.0),
        ("2026-01-05", 50.0, 50.125, 49.875, 50.0, 8000.0),
        ("2026-01-06", 200.0, 200.5, 199.5, 200.0, 2000.0),
        ("2026-01-07", 200.0, 200.5, 199.5, 200.0, 2000.0),
        ("2026-01-08", 50.0, 51.0, 49.0, 50.0, 1000.0),
    ]
    assert books.rows("select max(close) from ohlc_bars_v2") == [(400.0,)]


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_everybody_may_see_a_chart(books: Books, aapl: UUID, role: str) -> None:
    books.bars(aapl, YESTERDAY, YESTERDAY)
    with books.acting_as(role):
        assert len(chart(books, aapl)) == 2


def test_a_chart_reads_the_months_that_it_shows_and_those_by_their_key(
    books: Books, aapl: UUID
) -> None:
    others = [books.symbol(f"SYM{number}") for number in range(8)]
    for symbol in (aapl, *others):
        books.bars(symbol, date(2025, 10, 1), YESTERDAY, timeframes=["m15"])
    # Small tables are read whole; with their sizes known the planner takes the key.
    books.sql.execute("analyze ohlc_bars_v2")
    read = (
        "select relname, coalesce(seq_scan, 0) - coalesce(idx_scan, 0) from"
        " pg_stat_xact_user_tables where relname like 'ohlc_bars_v2_2%'"
        " and seq_scan + coalesce(idx_scan, 0) > 0"
    )
    before = dict(books.rows(read))
    rows = books.rows(
        "select ts from get_chart_data_v2(%s, 'm15', '2025-11-10', '2025-12-20')", aapl
    )
    assert len(rows) == 29 * 26 - 12
    after = dict(books.rows(read))
    touched = {name: after[name] - before.get(name, 0) for name in after}
    assert {name: scans for name, scans in touched.items() if scans} == {
        "ohlc_bars_v2_2025_11": -1,
        "ohlc_bars_v2_2025_12": -1,
    }
