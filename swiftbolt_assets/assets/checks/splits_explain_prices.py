"""`splits_explain_prices`: nights whose prices jump have a split, and listed splits show.

It rests on the list of splits, too, and is evaluated again without a run when that changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from resources.bars.splits import SplitBook
from swiftbolt_assets.assets.checked_run import SHOWN
from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from resources.bars.splits import Review
    from swiftbolt_assets.assets.checked_run import CheckedRun
    from swiftbolt_assets.policy.shards import Shard, Shards


def specs(shard: Shard) -> tuple[dg.AssetCheckSpec, ...]:
    """Return the check of the 15-minute bars."""
    return (
        dg.AssetCheckSpec(
            "splits_explain_prices",
            asset=shard.asset(Timeframe.M15),
            description="No night's price jumps as this symbol's never do without a known split; "
            "every listed one shows.",
        ),
    )


def results(specs: Sequence[dg.AssetCheckSpec], run: CheckedRun) -> Iterator[dg.AssetCheckResult]:
    """Review the nights between the asked sessions."""
    book = SplitBook(run.storage.database)
    reviews = [
        book.review(symbol_id, min(days), max(days))
        for symbol_id, days in run.asked.items()
        if days
    ]
    for spec in specs:
        yield _phrased(spec, reviews)


def splits_again(
    book: SplitBook, symbols: Collection[str], shards: Shards
) -> Iterator[dg.AssetCheckEvaluation]:
    """Evaluate the check over all prices of symbols whose splits have changed.

    An evaluation is the whole asset's: symbols of its shard that were in doubt before are looked
    at, too, or they would seem to be well.

    Raises:
        StorageError: the database does not answer.

    """
    touched = shards.divided(sorted(symbols))
    doubted = shards.divided(book.doubted()) if touched else {}
    for shard, of_shard in touched.items():
        wanted = sorted({*of_shard, *doubted.get(shard, ())})
        (spec,) = specs(shard)
        result = _phrased(spec, [book.review_all(one) for one in wanted])
        yield dg.AssetCheckEvaluation(
            asset_key=spec.asset_key,
            check_name=spec.name,
            passed=result.passed,
            severity=result.severity,
            metadata={**result.metadata, "symbols": ", ".join(wanted[:SHOWN])},
        )


def _phrased(spec: dg.AssetCheckSpec, reviews: Sequence[Review]) -> dg.AssetCheckResult:
    """Warn at most: what jumps may be news, and a split may be known only tomorrow."""
    doubts = [
        f"{found.day}: {found.doubt} ({found.ratio:.3g}, expected {found.expected:.3g})"
        for review in reviews
        for found in review.findings
    ]
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=not doubts,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "nights": sum(review.nights for review in reviews),
            "doubts": len(doubts),
            "first": "; ".join(doubts[:SHOWN]) or "none",
        },
    )
