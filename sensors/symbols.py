"""Adds the symbols that people want or that have bars to Dagster's partitions.

A symbol may be added by any command, or by SQL; here it becomes a partition, so that the UI can
launch it, and stays one. What belongs here: one sensor and its pure decision. What does not: which
symbols are to be partitions (`resources/bars/symbols.py`), what is fetched for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from resources.bars.symbols import partition_tickers
from swiftbolt_assets.assets.partitions import symbol_set
from swiftbolt_assets.policy.shards import UNDIVIDED, Shards

if TYPE_CHECKING:
    from collections.abc import Collection

    from resources.dagster import PostgresResource

INTERVAL_S = 30


def symbols_to_add(known: Collection[str], partitions: Collection[str]) -> list[str]:
    """Return the known symbols that are not partitions yet, ascending."""
    return sorted(set(known) - set(partitions))


def build_symbols_sensor(
    postgres: PostgresResource, shards: Shards = UNDIVIDED
) -> dg.SensorDefinition:
    """Return the sensor that adds missing symbols as partitions, one batch a shard."""

    @dg.sensor(
        name="symbol_partitions",
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes partitions of the symbols that people want or that have bars.",
    )
    def symbol_partitions(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        partitions = {
            symbol
            for shard in shards.all
            for symbol in context.instance.get_dynamic_partitions(shard.partition_set)
        }
        missing = symbols_to_add(partition_tickers(postgres.open().database), partitions)
        if not missing:
            return dg.SensorResult(
                skip_reason=f"all {len(partitions)} symbols are partitions already"
            )
        return dg.SensorResult(
            skip_reason=f"added {len(missing)} symbols as partitions: {', '.join(missing[:10])}",
            dynamic_partitions_requests=[
                symbol_set(shard).build_add_request(symbols)
                for shard, symbols in shards.divided(missing).items()
            ],
        )

    return symbol_partitions
