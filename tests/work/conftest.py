"""Planning in a transaction that is undone, a queue that others see, and the sensors over it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import dagster._daemon.controller
import dagster._daemon.sensor
import polars as pl
import psycopg
import pytest
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator

from resources.bars.session_write import SessionsWrite
from resources.bars.store import BarStore
from resources.dagster import PostgresResource
from resources.postgres.database import Database, sibling_database
from resources.queue.slices import WorkQueue
from swiftbolt_assets.definitions import build_definitions
from swiftbolt_assets.market.bars import BAR_SCHEMA
from swiftbolt_assets.market.coverage import SessionCoverage, State
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import REJECT_SCHEMA
from swiftbolt_assets.settings import CLOCK_OFFSET, Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from uuid import UUID

    from dagster._core.definitions.sensor_definition import SensorExecutionData

    from resources.storage import Storage

    Connection = psycopg.Connection[tuple[Any, ...]]

#: A Friday's evening in New York, after the close.
EVENING = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def work_url(postgres_server: str) -> Iterator[str]:
    """Return the one migrated database of these tests: one for each would cost 0.6 s a test."""
    admin = sibling_database(postgres_server, "_dagster")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("create database work template swiftbolt")
    url = postgres_server.replace("/swiftbolt?", "/work?")
    with psycopg.connect(url, autocommit=True) as connection:
        _clear(connection)
    yield url
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("drop database work with (force)")


@pytest.fixture
def _daemons_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back afterwards what our daemon changes of Dagster's in this process."""
    for owner, name in (
        (dagster._daemon.controller, "DEFAULT_DAEMON_INTERVAL_SECONDS"),
        (dagster._daemon.sensor, "MIN_INTERVAL_LOOP_TIME"),
        (QueuedRunCoordinator, "dequeue_interval_seconds"),
    ):
        monkeypatch.setattr(owner, name, vars(owner)[name])


def _clear(sql: Connection) -> None:
    """Remove what the migrations seed and what a test has left."""
    for table in (
        "job_runs",
        "job_definitions",
        "symbols",
        "symbol_plans",
        "coverage_status",
        "heartbeats",
        "rate_waiter",
        "provider_health",
        "symbol_refusals",
        "provider_requests",
    ):
        sql.execute(f"delete from {table}")
    sql.execute("update installation set value = '2024-01-02' where name = 'first_date'")


@dataclass
class Planner:
    """A connection on which definitions, sessions and plans are made; the clock moves with it."""

    sql: Connection

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self.sql.execute(statement, values or None).fetchall()

    def move(self, instant: datetime) -> None:
        """Set the market clock."""
        self.sql.execute(
            "select set_config('swiftbolt.clock_offset',"
            " extract(epoch from %s - clock_timestamp())::text, false)",
            (instant,),
        )

    def want(
        self, symbol: str = "AAPL", timeframe: str = "m15", window: int = 30, priority: int = 100
    ) -> UUID:
        """Make or change a definition, as an operator does; return its id."""
        return self.rows(
            "select seed_intraday_backfill_job(%s, %s, %s, %s)", symbol, timeframe, window, priority
        )[0][0]

    def plan(self, symbol: str | None = None, least_priority: int = 0) -> int:
        return self.rows("select plan_job_runs(%s, %s)", symbol, least_priority)[0][0]

    def settle(self, symbol: str, days: Iterable[date]) -> None:
        """Enter sessions as final in the ledger, without bars."""
        self.sql.execute(_SETTLE, (symbol, list(days)))

    def slices(
        self, symbol: str = "AAPL", *statuses: str, timeframe: str | None = None
    ) -> list[tuple[date, date]]:
        """Return the first and last days of slices, the newest first; open ones by default."""
        return [
            (first, last)
            for first, last in self.rows(
                "select distinct first_day, last_day from job_runs where symbol = %s"
                " and status = any(%s) and (%s::text is null or timeframe::text = %s)"
                " order by last_day desc, first_day desc",
                symbol,
                list(statuses or ("queued", "running")),
                timeframe,
                timeframe,
            )
        ]

    def run(self, symbol: str = "AAPL", **columns: object) -> UUID:
        """Insert one run by hand."""
        given = {"symbol": symbol, "timeframe": "m15", "job_type": "fetch_intraday"} | columns
        return self.rows(
            f"insert into job_runs ({', '.join(given)}) values"
            f" ({', '.join(['%s'] * len(given))}) returning id",
            *given.values(),
        )[0][0]

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Take back what a block does."""
        with self.sql.transaction(force_rollback=True):
            yield


@pytest.fixture
def planner(work_url: str) -> Iterator[Planner]:
    """Give an open transaction on the evening of 2026-11-20, without any symbol."""
    with psycopg.connect(work_url, options="-c timezone=UTC") as sql:
        entered = Planner(sql)
        entered.move(EVENING)
        yield entered
        sql.rollback()


@dataclass
class Office:
    """The queue as the platform's processes see it: every call is committed."""

    database: Database
    queue: WorkQueue
    store: BarStore
    by_hand: Planner

    def fetched(self, symbol: str, days: Sequence[date], *, final: bool = True) -> None:
        """Store the bars of sessions, as an answer of Polygon leaves them."""
        symbol_id = self.by_hand.rows("select id from symbols where ticker = %s", symbol)[0][0]
        sessions = [session for day in sorted(days) if (session := xnys().session(day))]
        starts = [at for session in sessions for at in session.slot_starts()]
        m15 = pl.DataFrame(
            [(at, 100.0, 101.0, 99.0, 100.5, 10.0, None, None) for at in starts],
            schema=BAR_SCHEMA,
            orient="row",
        )
        derived = {one: resample(m15, sessions, one) for one in (Timeframe.H1, Timeframe.H4)}
        state = State.FINAL if final else State.OPEN
        self.store.write(
            SessionsWrite(
                symbol_id=symbol_id,
                provider="polygon",
                opens=sessions[0].opens,
                closes=sessions[-1].closes,
                bars={Timeframe.M15: m15} | derived,
                forming=None,
                coverage=[
                    SessionCoverage(s.day, state, None, s.slots, s.slots, 1) for s in sessions
                ],
                rejects=pl.DataFrame(schema=REJECT_SCHEMA),
                request_id="a-request",
            )
        )

    def runs(self, symbol: str, columns: str) -> list[tuple[Any, ...]]:
        """Return columns of a symbol's runs, the newest slice first, by timeframe."""
        return self.by_hand.rows(
            f"select {columns} from job_runs where symbol = %s"
            " order by last_day desc, job_runs.timeframe, created_at",
            symbol,
        )


@pytest.fixture
def office(work_url: str) -> Iterator[Office]:
    """Give an empty queue on the evening of 2026-11-20."""
    database = Database(work_url, EVENING - datetime.now(UTC))
    store = BarStore(database)
    with database.connect() as sql:
        _clear(sql)
        yield Office(database, WorkQueue(database), store, Planner(sql))
        store.close()
        _clear(sql)


_SETTLE = """
insert into session_coverage
  (symbol_id, day, state, expected, bars, answers, provider, settled_at)
select s.id, m.day, 'final', n.slots, n.slots, 1, 'polygon', clock_timestamp()
  from symbols s, market_sessions m
 cross join lateral (select (extract(epoch from m.closes - m.opens) / 900)::int as slots) n
 where s.ticker = %s and m.day = any(%s)
on conflict (symbol_id, day) do update set state = 'final', settled_at = clock_timestamp()
"""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Give a Dagster instance that lives as long as the test."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@dataclass
class Tower:
    """The sensors over an office: what the daemon's tick would see and do."""

    office: Office
    instance: dg.DagsterInstance
    settings: Settings

    def definitions(self) -> dg.Definitions:
        return build_definitions(self.settings)

    def storage(self) -> Storage:
        return PostgresResource().open()

    def tick(self, *, cursor: str | None = None, **changes: Any) -> SensorExecutionData:  # noqa: ANN401
        """Tick the backfill sensor once, under settings that differ by `changes`."""
        definitions = build_definitions(replace(self.settings, **changes))
        sensor = definitions.get_repository_def().get_sensor_def("backfill")
        context = dg.build_sensor_context(
            instance=self.instance, definitions=definitions, cursor=cursor
        )
        return sensor.evaluate_tick(context)


@pytest.fixture
def tower(
    office: Office,
    instance: dg.DagsterInstance,
    work_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Tower:
    """Give the code location of an office; a tick that finds nothing ends at once."""
    for name in ("POLYGON_API_KEY", "TRADIER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    offset = office.database.clock_offset.total_seconds()
    monkeypatch.setenv("SWIFTBOLT_HOME", str(tmp_path))
    monkeypatch.setenv("SWIFTBOLT_DATABASE_URL", work_url)
    monkeypatch.setenv(CLOCK_OFFSET, f"{offset:.3f}")
    monkeypatch.setattr("sensors.backfill._WAIT_S", 0.0)
    return Tower(office, instance, read_settings())
