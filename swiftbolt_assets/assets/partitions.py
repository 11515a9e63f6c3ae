"""The partitions of all bar assets: trading day x symbol, a key reads `2026-11-20|AAPL`.

The start is fixed (`SWIFTBOLT_FIRST_DATE`): a rolling one would invalidate Dagster's caches. Days
are weekdays in New York time less the closures of the calendar on board, today included: one that
is announced later leaves its day a partition without a session, since other days would be another
definition. Session bounds come from the calendar, never from a partition's time window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING

import dagster as dg

from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.policy.shards import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swiftbolt_assets.policy.shards import Shard

#: Between which two keys a run works, both included; Dagster's tags, of which it exports none.
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


@dataclass(frozen=True, slots=True, order=True)
class BarKey:
    """One partition: a New York date and a canonical symbol."""

    day: date
    symbol: str

    def __str__(self) -> str:
        return f"{self.day}|{self.symbol}"


def symbol_set(shard: Shard) -> dg.DynamicPartitionsDefinition:
    """Return a shard's set of symbols; the only shard's is called `symbols`."""
    return dg.DynamicPartitionsDefinition(name=shard.partition_set)


def bar_partitions(first_date: date, shard: Shard = WHOLE) -> dg.MultiPartitionsDefinition:
    """Return a shard's partitions from a first date on."""
    days = dg.TimeWindowPartitionsDefinition(
        start=first_date.isoformat(),
        fmt="%Y-%m-%d",
        timezone="America/New_York",
        cron_schedule="0 0 * * 1-5",
        exclusions=[datetime.combine(day, time()) for day in xnys().closures if day >= first_date],
        end_offset=1,
    )
    return dg.MultiPartitionsDefinition({"date": days, "symbol": symbol_set(shard)})


def parse_keys(keys: Iterable[str]) -> list[BarKey]:
    """Return partition keys as values, in the given order."""
    parsed = []
    for key in keys:
        day, _, symbol = str(key).partition("|")
        parsed.append(BarKey(date.fromisoformat(day), symbol))
    return parsed
