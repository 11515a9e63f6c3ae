"""The asset checks of a run: complete, within sessions, derived rightly, explained by splits.

One evaluation per check and run; sessions that fail stand in its metadata. `splits_explain_prices`
rests on the list of splits, too, and is evaluated again without a run when that changes. What
belongs here: phrasing the evaluations. What does not: the oracle, which is SQL
(`resources/ledger.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from swiftbolt_assets.market.coverage import State
from swiftbolt_assets.market.shards import WHOLE
from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from resources.ledger import Ledger
    from resources.splits import Review, SplitBook
    from swiftbolt_assets.market.shards import Shard, Shards

_SHOWN = 20


@dataclass(frozen=True)
class Checks:
    """The checks of a shard's assets.

    Attributes:
        shard: which.
        complete: of the 15-minute bars.
        within: of each asset.
        derived: of the assets that are derived.
        splits: of the 15-minute bars.

    """

    shard: Shard
    complete: dg.AssetCheckSpec
    within: tuple[dg.AssetCheckSpec, ...]
    derived: tuple[dg.AssetCheckSpec, ...]
    splits: dg.AssetCheckSpec

    @property
    def specs(self) -> tuple[dg.AssetCheckSpec, ...]:
        """Return all of them."""
        return self.complete, *self.within, *self.derived, self.splits


def checks_of(shard: Shard = WHOLE) -> Checks:
    """Return the checks of a shard."""
    m15, h1, h4 = (shard.asset(t) for t in (Timeframe.M15, Timeframe.H1, Timeframe.H4))
    return Checks(
        shard,
        complete=dg.AssetCheckSpec(
            "complete",
            asset=m15,
            description="Every past session that was asked for has its bars or a final reason, and "
            "no bar that the ledger counts is gone.",
        ),
        within=tuple(
            dg.AssetCheckSpec(
                "within_session",
                asset=asset,
                description="Each bar starts in regular hours of a session, at a bucket counted "
                "from its open.",
            )
            for asset in (m15, h1, h4)
        ),
        derived=tuple(
            dg.AssetCheckSpec(
                "equals_resample",
                asset=asset,
                description="Each bar equals SQL's date_bin resample of the stored 15-minute bars.",
            )
            for asset in (h1, h4)
        ),
        splits=dg.AssetCheckSpec(
            "splits_explain_prices",
            asset=m15,
            description="No night's price jumps as this symbol's never do without a known split; "
            "every listed one shows.",
        ),
    )


def check_results(
    selected: set[dg.AssetCheckKey],
    ledger: Ledger,
    asked: Mapping[UUID, Sequence[date]],
    derived: set[str],
    *,
    splits: SplitBook,
    checks: Checks,
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the selected checks over the past sessions of a run.

    Args:
        selected: the run's selected checks.
        ledger: what is stored.
        asked: past session dates by symbol id.
        derived: the timeframes that are derived, `h1` and `h4` unless switched off.
        splits: the known splits.
        checks: those of the run's shard.

    """
    if checks.complete.key in selected:
        yield _complete(checks.complete, ledger, asked)
    if checks.splits.key in selected:
        yield _splits(checks.splits, splits, asked)
    yield from _named(
        selected,
        checks.within,
        "bars_outside",
        lambda symbol_id, days: ledger.stray_bars(symbol_id, min(days), max(days)),
        asked,
        checks.shard,
    )
    yield from _named(
        selected,
        checks.derived,
        "bars_that_differ",
        lambda symbol_id, days: [
            found for found in ledger.underivable_bars(symbol_id, list(days)) if found[0] in derived
        ],
        asked,
        checks.shard,
    )


def _named(
    selected: set[dg.AssetCheckKey],
    specs: Sequence[dg.AssetCheckSpec],
    counted: str,
    find: Callable[[UUID, Sequence[date]], list[tuple[str, datetime]]],
    asked: Mapping[UUID, Sequence[date]],
    shard: Shard,
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate one check of several assets: it finds (timeframe, ts) of wrong bars of a symbol."""
    wanted = [spec for spec in specs if spec.key in selected]
    if not wanted:
        return
    found = [bar for symbol_id, days in asked.items() if days for bar in find(symbol_id, days)]
    for spec in wanted:
        asset = spec.asset_key.to_user_string()
        wrong = [
            at.isoformat() for timeframe, at in found if asset == shard.asset(Timeframe(timeframe))
        ]
        yield dg.AssetCheckResult(
            asset_key=spec.asset_key,
            check_name=spec.name,
            passed=not wrong,
            metadata={counted: len(wrong), "first": ", ".join(wrong[:_SHOWN]) or "none"},
        )


def _complete(
    spec: dg.AssetCheckSpec, ledger: Ledger, asked: Mapping[UUID, Sequence[date]]
) -> dg.AssetCheckResult:
    open_days: list[str] = []
    lost_days: list[str] = []
    bars = absent = doubted = 0
    for symbol_id, days in asked.items():
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
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=not (open_days or lost_days),
        metadata={
            "sessions": sum(len(days) for days in asked.values()),
            "bars": bars,
            "quarter_hours_without_bar": absent,
            "quarter_hours_unconfirmed": doubted,
            "open_sessions": ", ".join(open_days[:_SHOWN]) or "none",
            "sessions_with_lost_bars": ", ".join(lost_days[:_SHOWN]) or "none",
        },
    )


def splits_again(
    book: SplitBook, symbols: Collection[str], shards: Shards
) -> Iterator[dg.AssetCheckEvaluation]:
    """Evaluate `splits_explain_prices` over all prices of symbols whose splits have changed.

    An evaluation is the whole asset's: symbols of its shard that were in doubt before are looked
    at, too, or they would seem to be well.

    Raises:
        StorageError: the database does not answer.

    """
    touched = shards.divided(sorted(symbols))
    doubted = shards.divided(book.doubted()) if touched else {}
    for shard, of_shard in touched.items():
        wanted = sorted({*of_shard, *doubted.get(shard, ())})
        result = _phrased(checks_of(shard).splits, [book.review_all(one) for one in wanted])
        yield dg.AssetCheckEvaluation(
            asset_key=checks_of(shard).splits.asset_key,
            check_name=checks_of(shard).splits.name,
            passed=result.passed,
            severity=result.severity,
            metadata={**result.metadata, "symbols": ", ".join(wanted[:_SHOWN])},
        )


def _splits(
    spec: dg.AssetCheckSpec, book: SplitBook, asked: Mapping[UUID, Sequence[date]]
) -> dg.AssetCheckResult:
    return _phrased(
        spec,
        [book.review(symbol_id, min(days), max(days)) for symbol_id, days in asked.items() if days],
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
            "first": "; ".join(doubts[:_SHOWN]) or "none",
        },
    )
