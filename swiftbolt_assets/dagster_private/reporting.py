"""Tells Dagster, in the middle of a run, which sessions are stored.

`report_sessions` writes one materialization per session and asset as one batch: 1,512 events take
1 s instead of 4 s. Dagster has no public way to do so
(https://github.com/dagster-io/dagster/issues/19829); `tests/assets/test_reporting.py` fails when it
changes its event classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
from dagster import DagsterEvent
from dagster._core.definitions.metadata import RawMetadataValue
from dagster._core.events import DagsterEventBatchMetadata, generate_event_batch_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["RawMetadataValue", "report_check", "report_sessions"]


def report_sessions(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    asset: str,
    sessions: Sequence[tuple[str, Mapping[str, RawMetadataValue]]],
) -> None:
    """Record a materialization for each (partition key, metadata) of one asset."""
    step = context.get_step_execution_context()
    batch = str(generate_event_batch_id())  # type: ignore[no-untyped-call]
    last = len(sessions) - 1
    for index, (key, metadata) in enumerate(sessions):
        DagsterEvent.asset_materialization(
            step,
            dg.AssetMaterialization(asset, partition=key, metadata=metadata),
            DagsterEventBatchMetadata(batch, index == last),
        )


def report_check(context: dg.OpExecutionContext, evaluation: dg.AssetCheckEvaluation) -> None:
    """Record the outcome of an asset check from an op, which may not return one."""
    DagsterEvent.asset_check_evaluation(context.get_step_execution_context(), evaluation)
