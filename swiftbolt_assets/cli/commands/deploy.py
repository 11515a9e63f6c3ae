"""`swiftbolt deploy`: migrate, start the platform, and verify that interest becomes work.

What belongs here: the steps, each told in one line; the first that fails ends it. What does not:
what a step does elsewhere too (`migrate.py`, `up.py`, `track.py`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from swiftbolt_assets.api.keys import require_keys
from swiftbolt_assets.cli.arguments import parse_port_offset
from swiftbolt_assets.cli.installation import opened
from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.settings import read_settings
from swiftbolt_assets.startup import own_environment
from swiftbolt_assets.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from resources.postgres.database import Database
    from swiftbolt_assets.cli.installation import Installation
    from swiftbolt_assets.orchestration.platform.presence import Platform
    from swiftbolt_assets.settings import Settings

_SYMBOL, _SOURCE = "AAPL", "watchlist"
_SENSOR = "backfill"
_START_S = 180.0
_TICK_S = 60.0
_POLL_S = 0.25
_TICKS = """
query Ticks($sensor: SensorSelector!) {
  sensorOrError(sensorSelector: $sensor) {
    __typename
    ... on Sensor {
      sensorState {
        status
        ticks(limit: 5) { timestamp status skipReason runIds error { message } }
      }
    }
  }
}
"""


def run_deploy(*, port_offset: str) -> None:
    """Deploy and verify.

    Raises:
        SwiftBoltError: a step failed; the platform runs on if it was started.

    """
    offset = parse_port_offset(port_offset)
    settings = read_settings()
    require_keys(settings, settings.host)
    with opened(settings) as installation:
        database = installation.database
        _step("schema", lambda: _migrate(installation))
        _step("interest", lambda: _parts(database))
        _step("platform", lambda: _start(settings, offset))
        platform = _running(settings)
        try:
            since = time.time()
            _step("tracking", lambda: _track(settings, database, platform))
            _step("definitions", lambda: _definitions(database))
            _step("scheduler", lambda: _scheduler(database))
            _step("tick", lambda: _ticked(platform, since))
        finally:
            if _is_there(settings):
                click.echo(f"The platform runs on: chart {platform.chart_url}")
                click.echo(f"Dagster UI: {platform.dagster_url}")
                click.echo(f"Stop it with: kill {platform.pid}")
    click.echo("Deployed. swiftbolt status and swiftbolt monitor tell what it does.")


def _step(name: str, work: Callable[[], str]) -> None:
    try:
        told = work()
    except BaseException:
        click.echo(f"failed  {name}")
        raise
    click.echo(f"ok      {name:<12} {told}")


def _migrate(installation: Installation) -> str:
    from resources.schema import claim_data_source, migrate
    from swiftbolt_assets.orchestration.instance import prepare_dagster

    settings, database = installation.settings, installation.database
    done = migrate(database, settings.first_date)
    claim_data_source(database, simulated=settings.simulated)
    prepare_dagster(settings, database)
    if done.before == done.after:
        return f"{done.after}, already the newest"
    return f"{done.after}, upgraded from {done.before or 'an empty database'}"


def _parts(database: Database) -> str:
    from resources.postgres.deployment import missing_parts

    missing = missing_parts(database)
    if missing:
        raise SwiftBoltError(f"the schema lacks: {', '.join(missing)}; run swiftbolt migrate")
    return "table with row-level security, trigger and functions are there"


def _start(settings: Settings, offset: int) -> str:
    platform = _there(settings)
    if platform is not None:
        return f"process {platform.pid} runs already"
    log = settings.home / "log" / "up.log"
    told_before = log.stat().st_size if log.exists() else 0
    process = _detach(log, offset)
    try:
        _await(settings, process, log, told_before)
    except BaseException:
        # Nothing half started stays behind.
        if process.poll() is None:
            process.terminate()
        raise
    return f"process {process.pid} started in the background, its log is {log}"


def _there(settings: Settings) -> Platform | None:
    """Return the platform that runs on this home, once all of it answers; None without one."""
    from swiftbolt_assets.orchestration.platform.presence import answers, find_platform, is_taken

    deadline = time.monotonic() + _START_S
    while is_taken(settings):
        platform = find_platform(settings)
        if platform is not None and answers(platform):
            return platform
        if time.monotonic() > deadline:
            who = "a platform" if platform is None else f"process {platform.pid}"
            stop = "" if platform is None else f", or stop it with kill {platform.pid}"
            raise SwiftBoltError(
                f"{who} runs, but not all its parts answer; see the logs in "
                f"{settings.home / 'log'}{stop}"
            )
        time.sleep(_POLL_S)
    return None


def _detach(log: Path, offset: int) -> subprocess.Popen[bytes]:
    """Start `swiftbolt up` in a session of its own: it outlives this command and its terminal."""
    command = [sys.executable, "-m", "swiftbolt_assets.cli.main", "up"]
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            return subprocess.Popen(
                [*command, "--port-offset", str(offset)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=own_environment(os.environ | {"PYTHONUNBUFFERED": "1"}),
            )
    except OSError as error:
        raise SwiftBoltError(f"{log}: {error.strerror}; mend that and start again") from error


def _await(
    settings: Settings, process: subprocess.Popen[bytes], log: Path, told_before: int
) -> None:
    from swiftbolt_assets.orchestration.platform.presence import answers, find_platform

    def is_up() -> bool:
        platform = find_platform(settings)
        if platform is not None and platform.pid == process.pid and answers(platform):
            return True
        if process.poll() is not None:
            raise SwiftBoltError(_refusal(log, told_before) or f"it ended at once; see {log}")
        return False

    if not until(is_up, within_s=_START_S, every_s=_POLL_S):
        raise SwiftBoltError(f"it does not answer after {_START_S:.0f} s; see {log}")


def _refusal(log: Path, told_before: int) -> str:
    """Return the line with which a command refused, of what its log gained."""
    lines = log.read_bytes()[told_before:].decode("utf-8", "replace").splitlines()
    told = [line.removeprefix("swiftbolt: ") for line in lines if line.startswith("swiftbolt: ")]
    return told[-1] if told else ""


def _is_there(settings: Settings) -> bool:
    from swiftbolt_assets.orchestration.platform.presence import find_platform

    return find_platform(settings) is not None


def _running(settings: Settings) -> Platform:
    from swiftbolt_assets.orchestration.platform.presence import find_platform

    platform = find_platform(settings)
    if platform is None:
        raise SwiftBoltError(f"the platform stopped; see the logs in {settings.home / 'log'}")
    return platform


def _track(settings: Settings, database: Database, platform: Platform) -> str:
    """Record interest through the API, as the app does, and see that it is wanted now."""
    from resources.queue.definitions import definitions_of
    from swiftbolt_assets.api.keys import api_keys
    from swiftbolt_assets.orchestration.platform.loopback import post

    answer = post(
        f"{platform.api_url}/functions/v1/sync-user-symbols",
        {"symbols": [_SYMBOL], "source": _SOURCE},
        name="the API",
        key=api_keys(settings, platform.api_host).anon,
    )
    if answer.get("success") is not True:
        raise SwiftBoltError(f"the API did not record {_SYMBOL}; see api.log in the logs")
    with database.transaction() as connection:
        rows = definitions_of(connection, [_SYMBOL])
    disabled = [row.timeframe for row in rows if not row.enabled]
    if disabled:
        raise SwiftBoltError(
            f"{_SYMBOL}: {', '.join(disabled)} stays disabled, because it is pinned; run "
            f"swiftbolt jobs set {_SYMBOL} --enabled"
        )
    days = ", ".join(f"{row.timeframe} {row.window_days} days" for row in rows)
    return f"{_SYMBOL} by {_SOURCE}: {days}, priority {max(row.priority for row in rows)}"


def _definitions(database: Database) -> str:
    from resources.postgres.deployment import enabled_definitions

    counts = enabled_definitions(database)
    if not all(counts.values()):
        raise SwiftBoltError("definitions: a timeframe has none that is enabled")
    return ", ".join(f"{count} {name}" for name, count in counts.items()) + " enabled"


def _scheduler(database: Database) -> str:
    from resources.postgres.deployment import tick_schedule

    schedule = tick_schedule(database)
    if schedule is None:
        return "the platform's daemon ticks by itself; pg_cron has no entry for it"
    return f"orchestrator-tick is active, {schedule}"


def _ticked(platform: Platform, since: float) -> str:
    """Wait for a tick that began after an instant and went well."""
    told = until(lambda: _tick_since(platform, since), within_s=_TICK_S, every_s=_POLL_S)
    if told is None:
        raise SwiftBoltError(
            f"the sensor {_SENSOR} has not ticked for {_TICK_S:.0f} s; see daemon.log in the "
            "logs, and the sensor in the Dagster UI"
        )
    return f"the sensor {_SENSOR} looked at the queue: {told}"


def _tick_since(platform: Platform, since: float) -> str | None:
    """Return what a tick came to that began after an instant, None before the first has ended."""
    for tick in _ticks(platform):
        if tick["timestamp"] < since:
            continue
        if tick["status"] == "FAILURE":
            lines = str((tick["error"] or {}).get("message") or "no reason").splitlines()
            raise SwiftBoltError(f"the sensor {_SENSOR} failed: {lines[0]}")
        if tick["status"] in {"SUCCESS", "SKIPPED"}:
            runs = len(tick["runIds"])
            return tick["skipReason"] or f"{runs} run{'' if runs == 1 else 's'} launched"
    return None


def _ticks(platform: Platform) -> list[dict[str, Any]]:
    """Return the sensor's last ticks, the newest first.

    Raises:
        SwiftBoltError: there is no such sensor, or somebody has stopped it.

    """
    from swiftbolt_assets.orchestration.instance import LOCATION
    from swiftbolt_assets.orchestration.platform.web_ui import ask

    sensor = {
        "repositoryLocationName": LOCATION,
        "repositoryName": "__repository__",
        "sensorName": _SENSOR,
    }
    found = ask(platform.dagster_port, _TICKS, {"sensor": sensor})["sensorOrError"]
    if found["__typename"] != "Sensor":
        raise SwiftBoltError(f"the platform has no sensor {_SENSOR}; restart it with this version")
    state = found["sensorState"]
    if state["status"] != "RUNNING":
        raise SwiftBoltError(f"the sensor {_SENSOR} is stopped; start it in the Dagster UI")
    ticks: list[dict[str, Any]] = state["ticks"]
    return ticks
