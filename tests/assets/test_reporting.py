"""Reports in the middle of a run: what Dagster's event classes must keep doing for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from swiftbolt_assets.dagster_private.storage import BatchedEventLogStorage
from swiftbolt_assets.orchestration.instance import (
    EVENT_BATCH_SIZE,
    EVENT_BATCH_VARIABLE,
    open_instance,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.assets.conftest import Installation

#: Dagster 1.13 reads a name that pydantic has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")
PLANNED, MADE = "ASSET_MATERIALIZATION_PLANNED", "ASSET_MATERIALIZATION"


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the kinds of the events of each stored batch, as they come."""
    seen: list[list[str]] = []
    store = BatchedEventLogStorage.store_event_batch

    def watched(self: BatchedEventLogStorage, events: Sequence[dg.EventLogEntry]) -> None:
        seen.append([event.get_dagster_event().event_type_value for event in events])
        store(self, events)

    monkeypatch.setattr(BatchedEventLogStorage, "store_event_batch", watched)
    return seen


def test_planned_and_reported_events_are_stored_in_batches(
    installation: Installation, batches: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert EVENT_BATCH_VARIABLE == "DAGSTER_EVENT_BATCH_SIZE"
    monkeypatch.setenv(EVENT_BATCH_VARIABLE, str(EVENT_BATCH_SIZE))
    run = installation.materialize("2026-10-01|AAPL", "2026-11-19|AAPL")
    assert run.success
    sessions = 36
    planned = [batch for batch in batches if PLANNED in batch]
    assert [batch.count(PLANNED) for batch in planned] == [3 * sessions]
    made = [batch for batch in batches if MADE in batch]
    assert [len(batch) for batch in made] == [sessions] * 3


def test_what_is_reported_is_what_dagster_would_have_recorded(installation: Installation) -> None:
    run = installation.materialize("2026-11-18|AAPL", "2026-11-19|AAPL")
    made = [
        entry.dagster_event
        for entry in run.logs
        if entry.dagster_event is not None and entry.dagster_event.event_type_value == MADE
    ]
    assert len(made) == 6
    assert {event.step_key for event in made} == {"bars"}
    assert {str(event.partition) for event in made} == {"2026-11-18|AAPL", "2026-11-19|AAPL"}
    with open_instance(installation.settings) as instance:
        for asset in ("m15_bars", "h1_bars", "h4_bars"):
            records = instance.fetch_materializations(
                dg.AssetRecordsFilter(
                    dg.AssetKey(asset), asset_partitions=["2026-11-18|AAPL", "2026-11-19|AAPL"]
                ),
                limit=10,
            ).records
            mine = [record for record in records if record.run_id == run.run_id]
            assert {record.partition_key for record in mine} == {
                "2026-11-18|AAPL",
                "2026-11-19|AAPL",
            }
            assert all(type(r.asset_materialization.metadata["rows"].value) is int for r in mine)
