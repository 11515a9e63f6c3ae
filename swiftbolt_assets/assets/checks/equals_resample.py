"""`equals_resample`: derived bars are what SQL makes of the stored 15-minute bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swiftbolt_assets.assets.checked_run import CheckedRun
    from swiftbolt_assets.policy.shards import Shard


def specs(shard: Shard) -> tuple[dg.AssetCheckSpec, ...]:
    """Return the check of each asset that is derived."""
    return tuple(
        dg.AssetCheckSpec(
            "equals_resample",
            asset=shard.asset(timeframe),
            description="Each bar equals SQL's date_bin resample of the stored 15-minute bars.",
        )
        for timeframe in (Timeframe.H1, Timeframe.H4)
    )


def results(specs: Sequence[dg.AssetCheckSpec], run: CheckedRun) -> Iterator[dg.AssetCheckResult]:
    """Look for bars that SQL would not derive; a timeframe that is switched off has none."""
    differing = [
        bar
        for symbol_id, days in run.asked.items()
        if days
        for bar in run.storage.ledger.underivable_bars(symbol_id, list(days))
        if bar[0] in run.derived
    ]
    yield from run.phrased(specs, differing, counted="bars_that_differ")
