"""A transaction on a migrated database, at a chosen instant of the market, and what fills it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from resources.postgres.database import sibling_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    Connection = psycopg.Connection[tuple[Any, ...]]

#: A Thursday's evening in New York, after the close; Friday already in UTC.
EVENING = datetime(2026, 1, 9, 1, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def interest_url(postgres_server: str) -> Iterator[str]:
    """Return the one migrated database of these tests; each works in a transaction of its own."""
    admin = sibling_database(postgres_server, "_dagster")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("create database interest template swiftbolt")
    yield postgres_server.replace("/swiftbolt?", "/interest?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("drop database interest with (force)")


@dataclass
class Books:
    """An open transaction, and what may be entered in it; nothing of it outlasts the test."""

    sql: Connection

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return a statement's rows; without values it runs as it is printed."""
        return self.sql.execute(statement, values or None).fetchall()

    def move(self, instant: datetime) -> None:
        """Set the market clock."""
        self.sql.execute(
            "select set_config('swiftbolt.clock_offset',"
            " extract(epoch from %s - clock_timestamp())::text, true)",
            (instant,),
        )

    def clear(self) -> None:
        """Remove what the migrations seed."""
        self.sql.execute("delete from job_runs")
        self.sql.execute("delete from job_definitions")
        self.sql.execute("delete from symbols")

    def symbol(self, ticker: str) -> UUID:
        self.sql.execute(
            "insert into symbols (ticker) values (%s) on conflict do nothing", (ticker,)
        )
        return self.rows("select id from symbols where ticker = %s", ticker)[0][0]

    def user(self) -> UUID:
        return self.rows("insert into auth.users (id) values (gen_random_uuid()) returning id")[0][
            0
        ]

    def track(self, user: UUID, symbol: UUID, source: str) -> None:
        self.sql.execute(
            "insert into user_symbol_tracking (user_id, symbol_id, source) values (%s, %s, %s)",
            (user, symbol, source),
        )

    def bars(
        self,
        symbol: UUID,
        first: date,
        last: date,
        *,
        provider: str = "polygon",
        timeframes: Sequence[str] = ("m15", "h1", "h4"),
        close: float = 100.0,
    ) -> None:
        """Store every bar of the sessions from `first` to `last`."""
        self.sql.execute(_BARS, (symbol, provider, provider, close, first, last, list(timeframes)))

    def settle(self, symbol: UUID, first: date, last: date, state: str = "final") -> None:
        """Enter the sessions from `first` to `last` in the ledger."""
        self.sql.execute(_SETTLE, (symbol, state, state, first, last))

    def run(self, ticker: str, timeframe: str, status: str, **columns: object) -> None:
        """Enter one run, of the definition that there may be."""
        given = {"symbol": ticker, "timeframe": timeframe, "status": status} | columns
        self.sql.execute(
            f"insert into job_runs (job_type, job_def_id, {', '.join(given)}) values"
            " ('fetch_intraday', (select id from job_definitions where symbol = %s"
            "   and timeframe = %s and job_type = 'fetch_intraday'),"
            f" {', '.join(['%s'] * len(given))})",
            (ticker, timeframe, *given.values()),
        )

    @contextmanager
    def acting_as(self, role: str, user: UUID | None = None) -> Iterator[None]:
        """Run a block as a role, as the API does for a caller; what it did is undone."""
        claims = json.dumps({"sub": str(user), "role": role}) if user else ""
        try:
            with self.sql.transaction(force_rollback=True):
                self.sql.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
                self.sql.execute(f"set local role {role}")
                yield
        finally:
            assert self.rows("select current_user <> %s", role) == [(True,)]


@pytest.fixture
def fresh(interest_url: str) -> Iterator[Books]:
    """Give a transaction on what an installation holds after its migrations, nothing else."""
    with psycopg.connect(interest_url, options="-c timezone=UTC") as sql:
        yield Books(sql)
        sql.rollback()


@pytest.fixture
def books(interest_url: str) -> Iterator[Books]:
    """Give a transaction on the evening of Thursday 2026-01-08, without any seeded row."""
    with psycopg.connect(interest_url, options="-c timezone=UTC") as sql:
        entered = Books(sql)
        entered.move(EVENING)
        entered.clear()
        yield entered
        sql.rollback()


_BARS = """
insert into ohlc_bars_v2
  (symbol_id, timeframe, ts, provider, is_intraday, open, high, low, close, volume, data_status)
select %s, w.timeframe::timeframe, ts, %s::data_provider, %s = 'tradier',
  price, price + 1, price - 1, price, 1000, 'verified'
from market_sessions m
cross join (values ('m15', interval '15 minutes'), ('h1', interval '1 hour'),
  ('h4', interval '4 hours')) w (timeframe, width)
cross join lateral generate_series(m.opens, m.closes - interval '1 second', w.width) ts
cross join (select %s::float8 as price) p
where m.day between %s and %s and w.timeframe = any(%s)
"""

_SETTLE = """
insert into session_coverage
  (symbol_id, day, state, expected, bars, answers, provider, settled_at)
select %s, day, %s, slots, slots, 1, 'polygon', case when %s = 'final' then clock_timestamp() end
from (select day, (extract(epoch from closes - opens) / 900)::int as slots
  from market_sessions where day between %s and %s) m
"""
