"""`fresh`: today's prices are as new as promised.

It knows the session, early closes and holidays, tells within minutes, and is evaluated by each
round of today, too. What does not belong here: what counts as stale (`policy/freshness.py`), the
policy of the catalogue (`assets/freshness.py`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from resources.bars.live import LiveBook
from swiftbolt_assets.assets.checked_run import SHOWN
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.policy.admission import lowest
from swiftbolt_assets.policy.freshness import age, is_stale
from swiftbolt_assets.policy.shards import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from resources.storage import Storage
    from swiftbolt_assets.assets.checked_run import CheckedRun
    from swiftbolt_assets.market.sessions import Session
    from swiftbolt_assets.policy.freshness import Watched
    from swiftbolt_assets.policy.shards import Shard


def specs(shard: Shard) -> tuple[dg.AssetCheckSpec, ...]:
    """Return the check of today's prices."""
    return (
        dg.AssetCheckSpec(
            "fresh",
            asset=shard.asset(Timeframe.M15),
            description="In session hours no tracked symbol's newest price is older than five "
            "minutes, and each quarter hour's bar is there within a minute after it closed.",
        ),
    )


def results(_specs: Sequence[dg.AssetCheckSpec], run: CheckedRun) -> Iterator[dg.AssetCheckResult]:
    """Look at all symbols of the shard, not only at those of the run."""
    for found in fresh_now(run.storage, [run.shard]):
        yield dg.AssetCheckResult(
            asset_key=found.asset_key,
            check_name=found.check_name,
            passed=found.passed,
            severity=found.severity,
            metadata=found.metadata,
        )


def fresh_now(
    storage: Storage, shards: Iterable[Shard] = (WHOLE,)
) -> list[dg.AssetCheckEvaluation]:
    """Return each shard's outcome, of one look at all symbols.

    The age is that of the symbol that was asked longest ago. Late is not wrong, so it warns: a
    budget may be too small, or today be off.
    """
    now, session = storage.clock.now(), storage.calendar.session(storage.clock.today())
    everybody = LiveBook(storage.database).watched(least_priority=lowest(background=False))
    return [
        _evaluation(shard, [one for one in everybody if shard.holds(one.symbol)], session, now)
        for shard in shards
    ]


def _evaluation(
    shard: Shard, watched: Sequence[Watched], session: Session | None, now: datetime
) -> dg.AssetCheckEvaluation:
    (spec,) = specs(shard)
    oldest = max((age(one, session, now) for one in watched), default=timedelta(0))
    stale = [one.symbol for one in watched if is_stale(one, session, now)]
    return dg.AssetCheckEvaluation(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=not stale,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "symbols": len(watched),
            "age_seconds": oldest.total_seconds(),
            "stale_symbols": len(stale),
            "stale": ", ".join(stale[:SHOWN]) or "none",
        },
    )
