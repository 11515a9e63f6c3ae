"""`complete`: every past session that was asked for is settled, and its bars are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from swiftbolt_assets.assets.checked_run import SHOWN
from swiftbolt_assets.market.coverage import State
from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swiftbolt_assets.assets.checked_run import CheckedRun
    from swiftbolt_assets.policy.shards import Shard


def specs(shard: Shard) -> tuple[dg.AssetCheckSpec, ...]:
    """Return the check of the 15-minute bars."""
    return (
        dg.AssetCheckSpec(
            "complete",
            asset=shard.asset(Timeframe.M15),
            description="Every past session that was asked for has its bars or a final reason, and "
            "no bar that the ledger counts is gone.",
        ),
    )


def results(specs: Sequence[dg.AssetCheckSpec], run: CheckedRun) -> Iterator[dg.AssetCheckResult]:
    """Hold the asked sessions against the ledger, and the ledger against the table."""
    ledger = run.storage.ledger
    open_days: list[str] = []
    lost_days: list[str] = []
    bars = absent = doubted = 0
    for symbol_id, days in run.asked.items():
        if not days:
            continue
        known = ledger.coverage(symbol_id, min(days), max(days))
        stored = ledger.session_rows(symbol_id, list(days))
        for day in days:
            row = known.get(day)
            if row is None or row.state is not State.FINAL:
                open_days.append(str(day))
            if row is not None:
                bars += row.bars
                absent += row.expected - row.bars - row.unconfirmed
                doubted += row.unconfirmed
                if stored.get((Timeframe.M15, day), 0) < row.bars:
                    lost_days.append(str(day))
    for spec in specs:
        yield dg.AssetCheckResult(
            asset_key=spec.asset_key,
            check_name=spec.name,
            passed=not (open_days or lost_days),
            metadata={
                "sessions": sum(len(days) for days in run.asked.values()),
                "bars": bars,
                "quarter_hours_without_bar": absent,
                "quarter_hours_unconfirmed": doubted,
                "open_sessions": ", ".join(open_days[:SHOWN]) or "none",
                "sessions_with_lost_bars": ", ".join(lost_days[:SHOWN]) or "none",
            },
        )
