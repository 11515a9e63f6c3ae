"""`within_session`: no bar outside regular hours, nor between two buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swiftbolt_assets.assets.checked_run import CheckedRun
    from swiftbolt_assets.policy.shards import Shard


def specs(shard: Shard) -> tuple[dg.AssetCheckSpec, ...]:
    """Return the check of each asset."""
    return tuple(
        dg.AssetCheckSpec(
            "within_session",
            asset=shard.asset(timeframe),
            description="Each bar starts in regular hours of a session, at a bucket counted from "
            "its open.",
        )
        for timeframe in (Timeframe.M15, Timeframe.H1, Timeframe.H4)
    )


def results(specs: Sequence[dg.AssetCheckSpec], run: CheckedRun) -> Iterator[dg.AssetCheckResult]:
    """Look for bars that belong to no session."""
    ledger = run.storage.ledger
    stray = [
        bar
        for symbol_id, days in run.asked.items()
        if days
        for bar in ledger.stray_bars(symbol_id, min(days), max(days))
    ]
    yield from run.phrased(specs, stray, counted="bars_outside")
