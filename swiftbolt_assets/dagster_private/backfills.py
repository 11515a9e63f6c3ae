"""What Dagster exports nowhere of its backfills: how one is asked for, and found by its status.

A sensor may return a backfill, and an instance tells them, but the classes that both take are not
exported. What belongs here: those classes. What does not: which backfills are wanted
(`orchestration/launching.py`), or lost (`orchestration/lost_claims.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import RunRequest
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dagster import AssetKey, PartitionsSubset

__all__ = ["NOT_FINISHED_STATUSES", "BulkActionStatus", "BulkActionsFilter", "backfill_request"]


def backfill_request(
    assets: Iterable[AssetKey], partitions: PartitionsSubset, tags: Mapping[str, str]
) -> RunRequest:
    """Return what has a sensor begin one backfill of the same partitions of some assets."""
    return RunRequest.for_asset_graph_subset(
        # Its serializer hides the constructor from the type checker.
        AssetGraphSubset(  # type: ignore[call-arg]
            partitions_subsets_by_asset_key=dict.fromkeys(assets, partitions),
        ),
        tags=tags,
    )
