"""An installation whose market clock the test moves, and a simulator that follows it."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import dagster as dg
import psycopg
import pytest

from resources.bars.live import LiveBook
from resources.dagster import PostgresResource
from resources.postgres.database import Database, sibling_database
from resources.queue.tracking import track
from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.definitions import FILL_BARS, build_definitions
from swiftbolt_assets.orchestration.instance import (
    DAGSTER_URL,
    add_symbols,
    dagster_environment,
    open_instance,
    prepare_dagster,
)
from swiftbolt_assets.settings import CLOCK_OFFSET, read_settings
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from resources.storage import Storage
    from swiftbolt_assets.settings import Settings

TODAY = date(2026, 11, 20)
USER = "00000000-0000-4000-8000-0000000000aa"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_TAKEN_BACK = ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE", "POLYGON_API_KEY", "TRADIER_TOKEN")


@dataclass
class Run:
    """One finished run, read back from Dagster's storage."""

    success: bool
    run_id: str
    logs: list[dg.EventLogEntry]

    def reported(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return metadata by asset and partition key."""
        return {
            (made.asset_key.to_user_string(), str(made.partition)): {
                name: value.value for name, value in made.metadata.items()
            }
            for event in self._events()
            if event.is_step_materialization
            for made in [event.step_materialization_data.materialization]
        }

    def checks(self) -> list[dg.AssetCheckEvaluation]:
        return [
            event.asset_check_evaluation_data
            for event in self._events()
            if event.event_type_value == "ASSET_CHECK_EVALUATION"
        ]

    def failure(self) -> str:
        (event,) = [event for event in self._events() if event.is_step_failure]
        data = event.step_failure_data
        assert data.user_failure_data is not None, str(data.error)
        return str(data.user_failure_data.description)

    def _events(self) -> list[dg.DagsterEvent]:
        return [entry.dagster_event for entry in self.logs if entry.dagster_event is not None]


@dataclass
class Exchange:
    """A day at the exchange: the clock, the providers, the database, Dagster."""

    url: str
    set_variable: Callable[[str, str], None]
    simulator: SimulatorThread | None = None
    now: datetime = field(default_factory=lambda: datetime(2026, 11, 20, 20, 7, tzinfo=UTC))

    @property
    def settings(self) -> Settings:
        return read_settings()

    @property
    def database(self) -> Database:
        return Database(self.url, self.settings.clock.offset)

    @property
    def book(self) -> LiveBook:
        return LiveBook(self.database)

    def storage(self) -> Storage:
        return PostgresResource().open()

    def at(self, hour: int, minute: int, day: date = TODAY, second: int = 0) -> None:
        """Move the market clock to a New York time."""
        local = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=NEW_YORK)
        self.now = local.astimezone(UTC)
        offset = (self.now - datetime.now(UTC)).total_seconds()
        self.set_variable(CLOCK_OFFSET, f"{offset:.6f}")

    def track(self, *symbols: str, source: str = "watchlist") -> None:
        track(self.database, UUID(USER), symbols, source)

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def call(self, path: str, method: str = "GET", body: object = None) -> Any:  # noqa: ANN401
        assert self.simulator is not None
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.simulator.polygon_url}{path}", data=data, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def faults(self, **plan: object) -> None:
        self.call("/simulator/faults", "PUT", {"provider": "tradier", **plan})

    def healthy(self) -> None:
        self.call("/simulator/faults", "DELETE")

    def asked(self, provider: str) -> list[str]:
        """Return the paths that a provider was asked for, and forget them."""
        log = self.call("/simulator/requests")
        return [one["path"] for one in log if one["provider"] == provider]

    def forget_requests(self) -> None:
        self.call("/simulator/requests", "DELETE")

    def dagster_sql(self, statement: str, *values: object) -> None:
        with psycopg.connect(str(self.settings.dagster_url)) as connection:
            connection.execute(statement, values)

    def tick(self) -> dg.RunRequest | str:
        """Evaluate the schedule once; return its run, or its sentence."""
        repository = build_definitions(self.settings).get_repository_def()
        schedule = repository.get_schedule_def("live")
        with open_instance(self.settings) as instance:
            found = schedule.evaluate_tick(
                dg.build_schedule_context(
                    instance=instance, scheduled_execution_time=datetime.now(UTC)
                )
            )
        if found.run_requests:
            return found.run_requests[0]
        assert found.skip_message
        return found.skip_message

    def refresh(self) -> Run:
        """Run what the schedule launches."""
        return self._run("refresh_today", {})

    def fill(self, symbol: str, first: date, last: date = TODAY) -> Run:
        """Run the assets over a range of days."""
        add_symbols(self.settings, [symbol])
        span = {
            "dagster/asset_partition_range_start": f"{first}|{symbol}",
            "dagster/asset_partition_range_end": f"{last}|{symbol}",
        }
        return self._run(FILL_BARS, span)

    def _run(self, name: str, tags: dict[str, str]) -> Run:
        job = build_definitions(self.settings).resolve_job_def(name)
        with open_instance(self.settings) as instance:
            result = job.execute_in_process(
                instance=instance, tags=tags, raise_on_error=False, run_config=QUIET
            )
            logs = list(instance.all_logs(result.run_id))
        return Run(result.success, result.run_id, logs)


@pytest.fixture(scope="session")
def dagster_database(postgres_server: str) -> Iterator[str]:
    """Return the URL of Dagster's database for the folder."""
    admin = sibling_database(postgres_server, "_dagster")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("create database live_dagster")
    yield postgres_server.replace("/swiftbolt?", "/live_dagster?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("drop database live_dagster with (force)")


@pytest.fixture(scope="session")
def dagster_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def open_exchange(
    database_url: str,
    dagster_database: str,
    dagster_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Exchange]]:
    """Open an exchange at 15:07 New York time; the settings are the simulator's."""
    opened: list[Exchange] = []

    def start(**settings: object) -> Exchange:
        exchange = Exchange(database_url, monkeypatch.setenv)
        opened.append(exchange)
        config = SimulatorConfig(
            **{"now": lambda: exchange.now, "tradier_allowed": 0, **settings}  # type: ignore[arg-type]
        )
        exchange.simulator = SimulatorThread(config).start()
        for name in _TAKEN_BACK:
            # Set first, so that what the code under test puts there is taken back.
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)
        chosen = {
            "SWIFTBOLT_HOME": str(dagster_folder),
            "SWIFTBOLT_DATABASE_URL": database_url,
            DAGSTER_URL: dagster_database,
            "POLYGON_BASE_URL": exchange.simulator.polygon_url,
            "TRADIER_BASE_URL": exchange.simulator.polygon_url,
            "POLYGON_REQUESTS_PER_MINUTE": "0",
            "TRADIER_REQUESTS_PER_MINUTE": "0",
            "SWIFTBOLT_BACKGROUND": "false",
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }
        for name, value in chosen.items():
            monkeypatch.setenv(name, value)
        exchange.at(15, 7)
        prepare_dagster(exchange.settings, exchange.database)
        for name, value in dagster_environment(exchange.settings).items():
            monkeypatch.setenv(name, value)
        # What the database brings with it is wanted, too; here only what a test tracks is.
        exchange.sql("delete from job_definitions")
        exchange.sql("insert into auth.users (id) values (%s) on conflict do nothing", USER)
        return exchange

    yield start
    for exchange in opened:
        if exchange.simulator is not None:
            exchange.simulator.stop()


@pytest.fixture
def exchange(open_exchange: Callable[..., Exchange]) -> Exchange:
    return open_exchange()
