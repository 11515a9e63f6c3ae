"""Servers that die, writers that meet, and servers of other versions."""

from __future__ import annotations

import os
import signal
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import pytest

from resources import embedded
from resources.bars import BarStore
from resources.ledger import Ledger
from resources.postgres import Database, sibling_database
from resources.schema import downgrade, migrate, newest_revision
from resources.sessions_write import Written
from resources.symbols import ensure_symbols
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from uuid import UUID

    import polars as pl

    from resources.sessions_write import SessionsWrite
    from swiftbolt_assets.market.sessions import Session

pytestmark = pytest.mark.slow
FIRST, LAST = date(2025, 10, 30), date(2025, 11, 4)


class Recipe(Protocol):
    """What `conftest.py` makes answers of."""

    def sessions(self, first: date, last: date) -> list[Session]: ...
    def m15(self, sessions: Sequence[Session], price: float = 100.0) -> pl.DataFrame: ...
    def write(
        self,
        symbol_id: UUID,
        sessions: Sequence[Session],
        m15: pl.DataFrame | None = None,
        **changes: object,
    ) -> SessionsWrite: ...


class Actors(Protocol):
    """Other processes, of `conftest.py`."""

    def begin(self, command: str, *arguments: str) -> subprocess.Popen[str]: ...
    def release(self, actor: subprocess.Popen[str]) -> None: ...
    def last_words(self, actor: subprocess.Popen[str]) -> str: ...


def rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with database.connect() as sql:
        return sql.execute(statement).fetchall()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[embedded.EmbeddedServer]:
    """Run a server that a test may kill."""
    home = tmp_path / "home"
    yield embedded.start(home)
    embedded.erase(home)


def test_a_killed_server_costs_one_line_and_nothing_that_was_committed(
    mortal: embedded.EmbeddedServer, recipe: Recipe
) -> None:
    database = Database(mortal.url("swiftbolt"), timedelta(0))
    migrate(database, date(2025, 6, 2))
    aapl = ensure_symbols(database, ["AAPL"])["AAPL"]
    sessions = recipe.sessions(FIRST, LAST)
    store = BarStore(database)
    store.write(recipe.write(aapl, sessions[:2]))
    os.kill(int((mortal.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    # The backend may serve a moment longer than its postmaster.
    with pytest.raises(StorageError, match=r"^database: [^\n]+$"):
        _write_without_end(store, recipe.write(aapl, sessions[:2]))
    with pytest.raises(StorageError, match=r"^database: [^\n]+$"):
        store.write(recipe.write(aapl, sessions))
    embedded.start(mortal.home)
    assert store.write(recipe.write(aapl, sessions)) == Written(70, 0, 70)
    assert Ledger(database).underivable_bars(aapl, [s.day for s in sessions]) == []
    store.close()


def test_two_processes_that_write_the_same_sessions_end_with_the_table_of_one(
    database: Database, aapl: UUID, storage_actors: Actors
) -> None:
    prices = ("100", "200")
    started = [storage_actors.begin("write", database.url, str(aapl), p, "8") for p in prices]
    for actor in started:
        storage_actors.release(actor)
    for actor in started:
        storage_actors.last_words(actor)
    bars = rows(database, "select distinct open, close from ohlc_bars_v2")
    ledger = rows(database, "select distinct answers, request_id from session_coverage")
    assert len(bars) == len(ledger) == 1
    assert ledger == [(int(bars[0][0]), f"price {bars[0][0]}")]
    assert rows(database, "select count(*) from ohlc_bars_v2") == [(350,)]


def test_a_writer_that_is_killed_leaves_whole_transactions_only(
    database: Database, aapl: UUID, storage_actors: Actors, recipe: Recipe
) -> None:
    writer = storage_actors.begin("write", database.url, str(aapl), "100", "1000000")
    storage_actors.release(writer)
    with database.connect() as sql:
        while sql.execute("select count(*) from ohlc_bars_v2").fetchone() == (0,):
            pass
        writer.kill()
        writer.wait()
        counts = sql.execute(
            "select (select count(*) from ohlc_bars_v2), (select count(*) from session_coverage)"
        ).fetchone()
    assert counts == (350, 10)
    store = BarStore(database)
    assert store.write(recipe.write(aapl, recipe.sessions(FIRST, FIRST))).inserted == 35
    store.close()


def test_the_platform_stores_on_every_server_version(other_server: str, recipe: Recipe) -> None:
    database = _made(other_server, "round_trip")
    assert migrate(database, date(2025, 6, 2)).after == newest_revision()
    roles = (
        "select count(*) from pg_roles where rolname in ('anon', 'authenticated', 'service_role')"
    )
    assert rows(database, roles) == [(3,)]
    aapl = ensure_symbols(database, ["AAPL"])["AAPL"]
    sessions = recipe.sessions(FIRST, LAST)
    store = BarStore(database)
    assert store.write(recipe.write(aapl, sessions)) == Written(140, 0, 0)
    revised = recipe.m15(sessions, 101.0)
    assert store.write(recipe.write(aapl, sessions, revised)) == Written(0, 140, 0)
    assert store.write(recipe.write(aapl, sessions, revised)) == Written(0, 0, 140)
    found = store.read(aapl, Timeframe.M15, sessions[0].opens, sessions[-1].closes)
    assert found.equals(revised)
    assert Ledger(database).underivable_bars(aapl, [s.day for s in sessions]) == []
    with pytest.raises(StorageError, match="refused for provider tradier"):
        store.write(recipe.write(aapl, sessions, provider="tradier"))
    store.close()
    with database.connect() as sql:
        sql.execute("set role service_role")
        sql.execute(
            "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, is_forecast, close,"
            " upper_band, lower_band) values (%s, 'd1', %s, 'ml_forecast', true, 1, 2, 0.5)",
            (aapl, datetime.now(UTC) + timedelta(days=3)),
        )
    downgrade(database, "base")
    assert migrate(database, date(2025, 6, 2)).before is None


def test_first_migrations_of_two_databases_may_race_for_the_servers_roles(
    other_server: str, storage_actors: Actors
) -> None:
    databases = [_made(other_server, name) for name in ("one", "two")]
    with psycopg.connect(other_server, autocommit=True) as sql:
        # Only the round trip's database may hold on to them.
        sql.execute("drop database if exists round_trip with (force)")
        sql.execute("drop role if exists anon, authenticated, service_role")
    started = [storage_actors.begin("migrate", database.url) for database in databases]
    for actor in started:
        storage_actors.release(actor)
    assert [storage_actors.last_words(actor) for actor in started] == [newest_revision()] * 2


def _write_without_end(store: BarStore, write: SessionsWrite) -> None:
    while True:
        store.write(write)


def _made(server: str, name: str) -> Database:
    with psycopg.connect(server, autocommit=True) as sql:
        sql.execute(f"create database {name}")
    return Database(sibling_database(server, "").replace("/postgres?", f"/{name}?"), timedelta(0))
