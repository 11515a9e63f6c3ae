"""Dagster's home: its configuration, its storage's schema, its environment.

`DAGSTER_HOME` is `<SWIFTBOLT_HOME>/dagster`; `dagster.yaml` in it is written anew from here, so it
is never edited by hand. Dagster keeps its tables in a database of its own, whose URL names the
driver: SQLAlchemy would take psycopg 3 otherwise, on which Dagster's storage fails.

What belongs here: what Dagster needs before it starts. What does not: its processes
(`orchestration/platform/processes.py`) and what it runs (`launching.py`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psycopg
import psycopg.sql

from resources.bars.symbols import partition_tickers
from resources.platform.dagster_state import DagsterState
from resources.postgres.connection import connect, first_line
from resources.postgres.database import Database, sibling_database
from resources.postgres.embedded.server import DAGSTER_DATABASE, locate
from swiftbolt_assets.database_url import DatabaseUrl
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.orchestration.configuration import dagster_yaml
from swiftbolt_assets.policy.shards import Shards
from swiftbolt_assets.settings import CLOCK_OFFSET

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dagster import DagsterInstance

    from swiftbolt_assets.settings import Settings

DAGSTER_URL = "SWIFTBOLT_DAGSTER_URL"
#: The code location that holds all assets, as Dagster names it.
LOCATION = "swiftbolt"
#: Dagster stores a batch of events when it is this long, if told so by this variable.
EVENT_BATCH_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
EVENT_BATCH_SIZE = 500


def dagster_home(settings: Settings) -> Path:
    """Return Dagster's home of an installation."""
    return settings.home / "dagster"


def dagster_environment(settings: Settings) -> dict[str, str]:
    """Return the variables with which Dagster's processes and commands act on this installation.

    They carry credentials. The market clock goes as an offset, so that all share one.
    """
    bars_url = settings.database_url or locate(settings.home).url("swiftbolt")
    environment = {
        "SWIFTBOLT_HOME": str(settings.home),
        "DAGSTER_HOME": str(dagster_home(settings)),
        DAGSTER_URL: dagster_url(settings),
        EVENT_BATCH_VARIABLE: str(EVENT_BATCH_SIZE),
    }
    if settings.database_url is not None:
        environment["SWIFTBOLT_DATABASE_URL"] = bars_url
    if settings.clock.offset:
        environment[CLOCK_OFFSET] = f"{settings.clock.offset.total_seconds():.6f}"
    return environment


def dagster_url(settings: Settings) -> str:
    """Return the URL of Dagster's database, driver included."""
    return DatabaseUrl.parse(plain_dagster_url(settings)).for_dagster


def plain_dagster_url(settings: Settings) -> str:
    """Return the URL of Dagster's database as libpq takes it."""
    if settings.dagster_url:
        return settings.dagster_url
    if settings.database_url:
        return sibling_database(settings.database_url, "_dagster")
    return locate(settings.home).url(DAGSTER_DATABASE)


def dagster_database(settings: Settings) -> Database:
    """Return Dagster's database, which an error names by the setting that it comes from."""
    variable = DAGSTER_URL if settings.dagster_url else "SWIFTBOLT_DATABASE_URL"
    return Database(plain_dagster_url(settings), settings.clock.offset, variable=variable)


def prepare_dagster(settings: Settings, database: Database) -> bool:
    """Write Dagster's home and bring its database up to date; repeatable, safe twice at once.

    Returns whether the schema was upgraded, as `dagster instance migrate` does it.

    Raises:
        StorageError: the server refuses.

    """
    write_configuration(dagster_home(settings), settings)
    tickers = partition_tickers(database)
    if _is_prepared(settings, tickers):
        return False
    with database.connect() as lock:
        lock.execute("select pg_advisory_lock(hashtextextended('swiftbolt dagster schema', 0))")
        url = plain_dagster_url(settings)
        _ensure_database(url, database)
        # Dagster would go on from whatever revision it finds there.
        DagsterState(Database(url, settings.clock.offset)).revision()
        with open_instance(settings) as instance:
            instance.get_runs_count()
            is_older = _is_older(instance)
            if is_older:
                instance.upgrade()
            add_partitions(instance, tickers, Shards(settings.shards))
    return is_older


def _is_prepared(settings: Settings, tickers: Iterable[str]) -> bool:
    """Return whether Dagster's database has all that it needs; Dagster is not imported for that."""
    state = DagsterState(dagster_database(settings))
    divided = Shards(settings.shards).divided(tickers)
    try:
        return state.is_newest() and state.has_partitions(
            {shard.partition_set: symbols for shard, symbols in divided.items()}
        )
    except StorageError:
        # It is missing or empty; whoever prepares it tells what stands in the way.
        return False


def write_configuration(home: Path, settings: Settings) -> None:
    """Write `dagster.yaml` into a Dagster home."""
    home.mkdir(parents=True, exist_ok=True)
    text = dagster_yaml(settings)
    target = home / "dagster.yaml"
    if not target.exists() or target.read_text("utf-8") != text:
        partial = home / f"dagster.yaml.{os.getpid()}"
        partial.write_text(text, "utf-8")
        partial.replace(target)


def open_instance(settings: Settings) -> DagsterInstance:
    """Open this installation's Dagster instance; use it as a context manager."""
    from dagster import DagsterInstance

    os.environ.update(dagster_environment(settings))
    return DagsterInstance.from_config(str(dagster_home(settings)))


def add_symbols(settings: Settings, tickers: Iterable[str]) -> None:
    """Make sure that symbols are partitions."""
    with open_instance(settings) as instance:
        add_partitions(instance, tickers, Shards(settings.shards))


def add_partitions(instance: DagsterInstance, tickers: Iterable[str], shards: Shards) -> None:
    """Make sure that symbols are partitions, on an open instance: opening one takes 0.3 s."""
    for shard, wanted in shards.divided(tickers).items():
        missing = set(wanted) - set(instance.get_dynamic_partitions(shard.partition_set))
        if missing:
            instance.add_dynamic_partitions(shard.partition_set, sorted(missing))


def _is_older(instance: DagsterInstance) -> bool:
    """Return whether the storage was made by an earlier Dagster."""
    found = instance.run_storage.alembic_version()
    return found is not None and found[0] != found[1]


def _ensure_database(url: str, bars: Database) -> None:
    """Create Dagster's database where it is missing, through the server of the bars.

    Whether it is missing is asked and not read from the refusal, whose language is the server's.
    """
    try:
        connect(url, variable=DAGSTER_URL).close()
    except psycopg.Error as error:
        name = DatabaseUrl.parse(url).database
        with bars.connect() as connection:
            there = connection.execute("select from pg_database where datname = %s", (name,))
            if there.fetchone() is not None:
                raise StorageError(f"{DAGSTER_URL}: {first_line(error)}") from error
            try:
                connection.execute(
                    psycopg.sql.SQL("create database {}").format(psycopg.sql.Identifier(name))
                )
            except psycopg.Error as refused:
                raise StorageError(
                    f"{DAGSTER_URL}: database {name} is missing and cannot be created "
                    f"({first_line(refused)}); create it or name another"
                ) from refused
