"""Servers that die, writers that meet, and servers of other versions."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import threading
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psutil
import psycopg
import pytest

from resources.bars.ledger import Ledger
from resources.bars.session_write import Written
from resources.bars.store import BarStore
from resources.bars.symbols import ensure_symbols
from resources.postgres.database import Database, sibling_database
from resources.postgres.embedded import server as embedded
from resources.schema import migrate, newest_revision
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    import polars as pl

    from resources.bars.session_write import SessionsWrite
    from swiftbolt_assets.market.sessions import Session

pytestmark = pytest.mark.slow
FIRST, LAST = date(2025, 10, 30), date(2025, 11, 4)
_WAL_SEGMENT = 16 << 20
_NO_ROOM = r"^database: could not [^\n]+; make room on the database's disk, [^\n]+$"
_LESS_THAN_A_SEGMENT = 15 << 20
_ALL_BUT_4_KB = f"""
select pg_logical_emit_message(false, 'ballast', repeat('x', {_LESS_THAN_A_SEGMENT - 4096}
  - mod(pg_current_wal_insert_lsn() - '0/0', {_WAL_SEGMENT})::int))
"""
_NO_START = r"^the database server did not start: [^\n]+; make room on the database's disk, [^\n]+$"
# The ledger as a file beyond the limit whose pages take no more rows.
_BALLAST = (
    "alter table session_coverage set (fillfactor = 10)",
    "insert into symbols (ticker) values ('BALLAST')",
    """
    insert into session_coverage
      (symbol_id, day, state, expected, bars, answers, provider, settled_at)
    select id, date '1900-01-01' + n, 'final', 26, 26, 1, 'polygon', now()
      from symbols cross join generate_series(1, 25000) n where ticker = 'BALLAST'
    """,
)


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


def postmaster_of(server: embedded.EmbeddedServer) -> int:
    """Return the process id of a running server."""
    return int((server.data / "postmaster.pid").read_text().split()[0])


def installed(server: embedded.EmbeddedServer) -> tuple[Database, UUID]:
    """Return a server's migrated database, and the id of its AAPL."""
    database = Database(server.url("swiftbolt"), timedelta(0))
    migrate(database, date(2025, 6, 2))
    return database, ensure_symbols(database, ["AAPL"])["AAPL"]


def test_a_killed_server_costs_one_line_and_nothing_that_was_committed(
    mortal: embedded.EmbeddedServer, recipe: Recipe
) -> None:
    database, aapl = installed(mortal)
    sessions = recipe.sessions(FIRST, LAST)
    store = BarStore(database)
    store.write(recipe.write(aapl, sessions[:2]))
    os.kill(postmaster_of(mortal), signal.SIGKILL)
    # The backend may serve a moment longer than its postmaster.
    with pytest.raises(StorageError, match=r"^database: [^\n]+$"):
        _write_without_end(store, recipe.write(aapl, sessions[:2]))
    with pytest.raises(StorageError, match=r"^database: [^\n]+$"):
        store.write(recipe.write(aapl, sessions))
    embedded.start(mortal.home)
    assert store.write(recipe.write(aapl, sessions)) == Written(70, 0, 70)
    assert Ledger(database).underivable_bars(aapl, [s.day for s in sessions]) == []
    store.close()


@contextmanager
def frozen(server: embedded.EmbeddedServer) -> Iterator[None]:
    """Have a server answer nobody: its processes stand still, its sockets stay open."""
    postmaster = psutil.Process(postmaster_of(server))
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(processes):
            process.resume()


@contextmanager
def without_room(database: Database, most: int) -> Iterator[None]:
    """Let no file of a server grow beyond so many bytes, as a full disk does.

    A limit of the kernel's on the server's processes needs no mount, so it serves any account. One
    that is smaller than a segment of the write-ahead log stops that, and the server with it.
    """
    (folder,) = rows(database, "show data_directory")[0]
    postmaster = psutil.Process(int((Path(folder) / "postmaster.pid").read_text().split()[0]))
    pids = [one.pid for one in (postmaster, *postmaster.children())]
    user, group = postmaster.uids().real, postmaster.gids().real
    _limit_as(user, group, pids, most)
    try:
        yield
    finally:
        _limit_as(user, group, pids, resource.RLIM_INFINITY)


def _limit_as(user: int, group: int, pids: Sequence[int], most: int) -> None:
    """Limit the files of a user's processes, as that user: root in a container may not."""

    def limit() -> None:
        if os.getuid() != user:
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # a helper of the server that ended
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    forked = multiprocessing.get_context("fork").Process(target=limit)
    forked.start()
    forked.join(30)
    assert forked.exitcode == 0


def test_a_full_disk_stores_no_half_says_what_to_do_and_is_over_once_there_is_room(
    mortal: embedded.EmbeddedServer, recipe: Recipe
) -> None:
    database, aapl = installed(mortal)
    # More rows of the ledger than its last page takes.
    sessions = recipe.sessions(FIRST, date(2025, 11, 26))
    store = BarStore(database)
    store.write(recipe.write(aapl, sessions[:2]))
    held = "select * from ohlc_bars_v2 order by symbol_id, timeframe, ts"
    covered = "select * from session_coverage order by day"
    with database.connect() as sql:
        for statement in _BALLAST:
            sql.execute(statement)
    assert rows(database, "select pg_relation_size('session_coverage')")[0][0] > _WAL_SEGMENT
    before = rows(database, held), rows(database, covered)
    with without_room(database, _WAL_SEGMENT):
        for _ in range(2):
            with pytest.raises(StorageError, match=_NO_ROOM):
                store.write(recipe.write(aapl, sessions))
        assert (rows(database, held), rows(database, covered)) == before
    assert store.write(recipe.write(aapl, sessions)) == Written(35 * (len(sessions) - 2), 0, 70)
    days = [session.day for session in sessions]
    assert set(Ledger(database).coverage(aapl, days[0], days[-1])) == set(days)
    assert Ledger(database).underivable_bars(aapl, days) == []
    store.close()


@contextmanager
def without_room_here(most: int) -> Iterator[None]:
    """Let no file of what this process starts grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_ahead_log_without_room_stops_the_server_until_there_is_room(
    mortal: embedded.EmbeddedServer, recipe: Recipe
) -> None:
    """Postgres panics, recovers, and then cannot write the end of its recovery either."""
    database, aapl = installed(mortal)
    sessions = recipe.sessions(FIRST, LAST)
    store = BarStore(database)
    store.write(recipe.write(aapl, sessions[:2]))
    held = "select * from ohlc_bars_v2 order by symbol_id, timeframe, ts"
    covered = "select * from session_coverage order by day"
    before = rows(database, held), rows(database, covered)
    postmaster = psutil.Process(postmaster_of(mortal))
    with without_room(database, _LESS_THAN_A_SEGMENT):
        rows(database, _ALL_BUT_4_KB)
        # Whichever of the server's processes meets the end of it first.
        with pytest.raises(StorageError, match=r"^database: [^\n]+$"):
            store.write(recipe.write(aapl, sessions))
        postmaster.wait(60)
    assert "PANIC:  could not write to log file" in mortal.log.read_text()
    with without_room_here(_LESS_THAN_A_SEGMENT):
        told = set()
        for _ in range(2):
            with pytest.raises(StorageError, match=_NO_START) as refused:
                embedded.start(mortal.home)
            told.add(str(refused.value))
    assert len(told) == 1
    assert embedded.revive(mortal.home)
    assert (rows(database, held), rows(database, covered)) == before
    assert store.write(recipe.write(aapl, sessions)) == Written(70, 0, 70)
    assert Ledger(database).underivable_bars(aapl, [s.day for s in sessions]) == []
    store.close()


def test_a_server_that_answers_nobody_costs_one_line_and_what_was_begun_is_ended(
    mortal: embedded.EmbeddedServer, recipe: Recipe
) -> None:
    database, aapl = installed(mortal)
    sessions = recipe.sessions(FIRST, LAST)
    store = BarStore(database)
    store.write(recipe.write(aapl, sessions[:2]))
    written: list[Written] = []
    begun = threading.Thread(
        target=lambda: written.append(store.write(recipe.write(aapl, sessions)))
    )
    with frozen(mortal):
        begun.start()
        # Longer than a connection is waited for; a minute is the same again.
        with pytest.raises(StorageError, match=r"^database: [^\n]+$"):
            ensure_symbols(database, ["MSFT"])
        # A command that needs the server says so, and leaves it alone.
        with pytest.raises(StorageError, match=r"^the database server [^\n]+ answers nobody; "):
            embedded.start(mortal.home)
        assert not written
    begun.join(60)
    assert written == [Written(70, 0, 70)]
    assert Ledger(database).underivable_bars(aapl, [s.day for s in sessions]) == []
    assert list(ensure_symbols(database, ["MSFT"])) == ["MSFT"]
    assert rows(database, "select ticker from symbols where ticker = 'MSFT'") == [("MSFT",)]
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
