"""Planned events in batches: the storage keeps what Dagster's own would keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._core.events import AssetMaterializationPlannedData
from dagster._core.events.log import EventLogEntry
from dagster_postgres.event_log import PostgresEventLogStorage

from swiftbolt_assets.dagster_private.storage import BatchedEventLogStorage
from swiftbolt_assets.orchestration.instance import open_instance

if TYPE_CHECKING:
    from tests.assets.conftest import Installation

#: Dagster 1.13 reads a name that pydantic has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")
_COLUMNS = "dagster_event_type, asset_key, partition, step_key"


def planned(run_id: str, partitions: list[str]) -> list[EventLogEntry]:
    return [
        EventLogEntry(
            error_info=None,
            level=10,
            user_message="",
            run_id=run_id,
            timestamp=1.0 + number,
            job_name="fill_bars",
            dagster_event=dg.DagsterEvent.build_asset_materialization_planned_event(
                "fill_bars",
                "bars",
                AssetMaterializationPlannedData(dg.AssetKey("m15_bars"), partition=partition),
            ),
        )
        for number, partition in enumerate(partitions)
    ]


def stored(instance: dg.DagsterInstance, run_id: str) -> list[tuple[str, str, str, str]]:
    storage = instance.event_log_storage
    assert isinstance(storage, PostgresEventLogStorage)
    with storage._connect() as connection:
        return [
            tuple(row)
            for row in connection.exec_driver_sql(
                f"select {_COLUMNS} from event_logs where run_id = '{run_id}' order by id"
            )
        ]


def test_a_batch_leaves_the_rows_that_single_events_would(installation: Installation) -> None:
    keys = [f"2026-11-{day}|AAPL" for day in (16, 17, 18)]
    with open_instance(installation.settings) as instance:
        assert isinstance(instance.event_log_storage, BatchedEventLogStorage)
        instance.event_log_storage.store_event_batch(planned("batch-run", keys))
        for entry in planned("single-run", keys):
            instance.event_log_storage.store_event(entry)
        assert stored(instance, "batch-run") == stored(instance, "single-run")
        assert [row[2] for row in stored(instance, "batch-run")] == keys


def test_the_newest_planned_event_of_a_batch_is_the_assets_newest(
    installation: Installation,
) -> None:
    keys = ["2026-11-16|AAPL", "2026-11-17|AAPL"]
    with open_instance(installation.settings) as instance:
        instance.event_log_storage.store_event_batch(planned("newest-run", keys))
        (record,) = instance.event_log_storage.get_asset_records([dg.AssetKey("m15_bars")])
        assert record.asset_entry.last_run_id == "newest-run"
