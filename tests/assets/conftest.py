"""An installation a test: fresh bars, a simulator, and Dagster's storage for the folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pytest

from resources.bars.ledger import Ledger
from resources.bars.symbols import ensure_symbols
from resources.postgres.database import Database, sibling_database
from swiftbolt_assets.definitions import FILL_BARS, build_definitions
from swiftbolt_assets.orchestration.instance import (
    DAGSTER_URL,
    add_symbols,
    dagster_environment,
    open_instance,
    prepare_dagster,
)
from swiftbolt_assets.settings import CLOCK_OFFSET, Settings, read_settings
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
TODAY = date(2026, 11, 20)
_VARIABLES = ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE", "POLYGON_API_KEY", "TRADIER_TOKEN")


@dataclass
class Installation:
    """What a command would work with, and a simulator that plays the providers."""

    settings: Settings
    database: Database
    url: str

    def _call(self, path: str, method: str = "GET", body: object = None) -> Any:  # noqa: ANN401
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def faults(self, **plan: object) -> None:
        self._call("/simulator/faults", "PUT", plan)

    def requests(self) -> list[dict[str, Any]]:
        return self._call("/simulator/requests")

    def forget_requests(self) -> None:
        self._call("/simulator/requests", "DELETE")

    def symbol_id(self, symbol: str = "AAPL") -> UUID:
        return ensure_symbols(self.database, [symbol])[symbol]

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def count(self, timeframe: str, symbol: str = "AAPL") -> int:
        rows = self.sql(
            "select count(*) from ohlc_bars_v2 where timeframe = %s::timeframe and symbol_id = %s",
            timeframe,
            self.symbol_id(symbol),
        )
        return int(rows[0][0])

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.database)

    def materialize(
        self,
        first: str,
        last: str | None = None,
        *,
        assets: tuple[str, ...] = ("m15_bars", "h1_bars", "h4_bars"),
        **tags: str,
    ) -> Run:
        """Run the job in this process over the range of two keys."""
        add_symbols(self.settings, sorted({first.split("|")[1], (last or first).split("|")[1]}))
        job = build_definitions(read_settings()).resolve_job_def(FILL_BARS)
        span = {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last or first,
        }
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        with open_instance(self.settings) as instance:
            result = job.execute_in_process(
                instance=instance,
                tags=span | {key.replace("__", "/"): value for key, value in tags.items()},
                raise_on_error=False,
                run_config=quiet,
                asset_selection=[dg.AssetKey(name) for name in assets],
            )
            logs = instance.all_logs(result.run_id)
        return Run(success=result.success, run_id=result.run_id, logs=list(logs))

    def command(
        self, *arguments: str, program: str = "dagster", stderr: IO[str] | int = subprocess.PIPE
    ) -> subprocess.CompletedProcess[str]:
        """Run Dagster's own command as a person would, with what `swiftbolt env` exports."""
        return subprocess.run(
            [self.program(program), *arguments],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **dagster_environment(self.settings)}

    @staticmethod
    def program(name: str) -> str:
        return str(Path(sys.executable).parent / name)


@dataclass
class Run:
    """One finished run, read back from Dagster's storage."""

    success: bool
    run_id: str
    logs: list[dg.EventLogEntry]

    @property
    def materializations(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return metadata by asset and partition key."""
        found = {}
        for event in self._events():
            if event.is_step_materialization:
                made = event.step_materialization_data.materialization
                key = (made.asset_key.to_user_string(), str(made.partition))
                assert key not in found, "reported twice"
                found[key] = {name: value.value for name, value in made.metadata.items()}
        return found

    @property
    def checks(self) -> dict[str, dg.AssetCheckEvaluation]:
        evaluations = [
            event.asset_check_evaluation_data
            for event in self._events()
            if event.event_type_value == "ASSET_CHECK_EVALUATION"
        ]
        return {f"{e.asset_key.to_user_string()}.{e.check_name}": e for e in evaluations}

    @property
    def failure(self) -> str:
        """Return what the UI shows of the failed step."""
        (event,) = [event for event in self._events() if event.is_step_failure]
        data = event.step_failure_data
        assert data.user_failure_data is not None, str(data.error)
        return str(data.user_failure_data.description)

    def _events(self) -> list[dg.DagsterEvent]:
        return [entry.dagster_event for entry in self.logs if entry.dagster_event is not None]


@pytest.fixture(scope="session")
def dagster_storage(
    postgres_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """Return the URL of a Dagster database for the folder, and a home."""
    admin = sibling_database(postgres_server, "_dagster")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("create database assets_dagster")
    yield (
        postgres_server.replace("/swiftbolt?", "/assets_dagster?"),
        tmp_path_factory.mktemp("home"),
    )
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("drop database assets_dagster with (force)")


@pytest.fixture
def install(
    database_url: str, dagster_storage: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Installation]]:
    """Make an installation: `environ` in addition to the usual, the rest for the simulator."""
    running: list[SimulatorThread] = []

    def make(
        *, now: datetime = NOW, environ: dict[str, str] | None = None, **simulator: object
    ) -> Installation:
        config = SimulatorConfig(**{"now": lambda: now, "tradier_allowed": 0, **simulator})
        running.append(SimulatorThread(config).start())
        url = running[-1].polygon_url
        for name in _VARIABLES:
            # Set first, so that what the code under test puts there is taken back.
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)
        chosen = {
            "SWIFTBOLT_HOME": str(dagster_storage[1]),
            "SWIFTBOLT_DATABASE_URL": database_url,
            DAGSTER_URL: dagster_storage[0],
            CLOCK_OFFSET: f"{min((now - datetime.now(UTC)).total_seconds(), 0.0):.3f}",
            "POLYGON_BASE_URL": url,
            "TRADIER_BASE_URL": url,
            "POLYGON_REQUESTS_PER_MINUTE": "0",
            "TRADIER_REQUESTS_PER_MINUTE": "0",
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            **(environ or {}),
        }
        for name, value in chosen.items():
            monkeypatch.setenv(name, value)
        settings = read_settings()
        database = Database(database_url, settings.clock.offset)
        prepare_dagster(settings, database)
        for name, value in dagster_environment(settings).items():
            monkeypatch.setenv(name, value)
        return Installation(settings, database, url)

    yield make
    for thread in running:
        thread.stop()


@pytest.fixture
def installation(install: Callable[..., Installation]) -> Installation:
    return install()
