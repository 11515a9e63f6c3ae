"""Dagster's Postgres storage with three costs taken out, on pools that survive a restart.

A run over two years of one symbol plans 1,500 materializations; the stock storage writes each on
two connections of its own: 27 s on two cores. Here connections are pooled and planned events
written a batch at a time, as Dagster itself does with finished ones
(https://github.com/dagster-io/dagster/issues/33831 asks for it). The code server opens the
storage anew for each look of a sensor; here a process keeps its pools, and asks once whether the
tables are there.

What belongs here: storage only. It reaches into Dagster's classes, so it lives alone;
`tests/assets/test_planned_events.py` fails when Dagster changes them.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any, Self

import psycopg2.extensions  # type: ignore[import-untyped]
import sqlalchemy
import sqlalchemy.event
from dagster import DagsterEventType
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import DagsterPostgresException, pg_url_from_config
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError

from resources.postgres.connection import begin_psycopg2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dagster import EventLogEntry
    from dagster._serdes import ConfigurableClassData

#: What it raises when its database is away.
STORAGE_ERRORS = (SQLAlchemyError, DagsterPostgresException)
_STATEMENT_TIMEOUT_MS = 60_000
_POOL_RECYCLE_S = 3_600
_POOL_OVERFLOW = 10
#: This process's engines, by part, URL and how they are pooled, which the web UI wishes otherwise.
#: A fork has none: its parent opens no storage.
_engines: dict[tuple[type, str, str], sqlalchemy.Engine] = {}


class _Lasting:
    """A part whose connection pool is the process's own and outlives a restart of the server."""

    _engine: sqlalchemy.Engine
    postgres_url: str

    @classmethod
    def on(cls, postgres_url: str, *, autocreate: bool) -> Self:
        """Return the part, whose tables are looked for once in a process."""
        is_known = any(key[:2] == (cls, postgres_url) for key in _engines)
        return cls(postgres_url, autocreate and not is_known)  # type: ignore[call-arg]

    def optimize_for_webserver(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """Pool connections; the web UI calls it, too."""
        key = (type(self), self.postgres_url, f"{arguments} {options}")
        if key not in _engines:
            super().optimize_for_webserver(*arguments, **options)  # type: ignore[misc]
            sqlalchemy.event.listen(self._engine, "checkout", _prove_alive)
            _engines[key] = self._engine
        self._engine = _engines[key]


class LastingRunStorage(_Lasting, PostgresRunStorage):
    """Runs."""


class LastingScheduleStorage(_Lasting, PostgresScheduleStorage):
    """Schedules and sensors."""


class BatchedEventLogStorage(_Lasting, PostgresEventLogStorage):
    """An event log that also writes planned materializations in batches."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one batch; planned materializations with one statement."""
        planned = [event for event in events if _is_planned(event)]
        if planned:
            with self._connect() as connection:
                result = connection.execute(
                    self.prepare_insert_event_batch(planned).returning(SqlEventLogStorageTable.c.id)
                )
                ids = [int(row[0]) for row in result.fetchall()]
            newest = {
                event.get_dagster_event().asset_key: (event, event_id)
                for event, event_id in zip(planned, ids, strict=True)
            }
            with self.index_transaction() as connection:
                for event, event_id in newest.values():
                    self._store_asset_event(connection, event, event_id)
        others = [event for event in events if not _is_planned(event)]
        if others:
            super().store_event_batch(others)


class PooledPostgresStorage(DagsterPostgresStorage):
    """Dagster's storage on one connection pool per process and part."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,  # noqa: FBT001, FBT002 - Dagster's own signature
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        if not sqlalchemy.event.contains(sqlalchemy.Engine, "connect", _begin):
            sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _begin)
        # Its direct parent's beginning opens the three stock parts, to be thrown away.
        super(DagsterPostgresStorage, self).__init__()  # type: ignore[no-untyped-call]
        self.postgres_url = postgres_url
        self.should_autocreate_tables = should_autocreate_tables
        self._inst_data = inst_data
        create = should_autocreate_tables
        self._event_log_storage = BatchedEventLogStorage.on(postgres_url, autocreate=create)
        self._run_storage = LastingRunStorage.on(postgres_url, autocreate=create)
        self._schedule_storage = LastingScheduleStorage.on(postgres_url, autocreate=create)
        for part in (self._event_log_storage, self._run_storage, self._schedule_storage):
            part.optimize_for_webserver(
                statement_timeout=_STATEMENT_TIMEOUT_MS,
                pool_recycle=_POOL_RECYCLE_S,
                max_overflow=_POOL_OVERFLOW,
            )

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PooledPostgresStorage:
        """Return the storage that `dagster.yaml` names."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
        )


def _begin(connection: Any, record: object) -> None:  # noqa: ANN401 - psycopg2 is untyped
    """Give Dagster's connections what their statements rely on; ours have it already."""
    if isinstance(connection, psycopg2.extensions.connection):
        begin_psycopg2(connection, record)


def _prove_alive(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401
    """Let the pool replace a connection whose server has gone: then it has said so."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if not poll.poll(0):
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    except psycopg2.Error as error:
        raise DisconnectionError from error


def _is_planned(event: EventLogEntry) -> bool:
    kind = event.get_dagster_event().event_type
    return kind is DagsterEventType.ASSET_MATERIALIZATION_PLANNED
