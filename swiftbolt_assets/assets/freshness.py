"""How fresh today's bars are: the asset check `fresh`, and the policy of the catalogue.

The check knows the session, early closes and holidays, and tells within minutes. A policy of
Dagster knows a cron or a span of time: a cron alarms on every holiday, so ours is the longest span
in which the exchange is closed, such as from the early close before Independence Day to the Monday
after. It fails only where nobody has reported a bar for longer than that.

What belongs here: phrasing both. What does not: what counts as stale (`market/live.py`).
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import dagster as dg

from resources.live import LiveBook
from swiftbolt_assets.market.lanes import lowest
from swiftbolt_assets.market.live import age, is_stale
from swiftbolt_assets.market.shards import WHOLE
from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from resources.dagster import Storage
    from swiftbolt_assets.market.live import Watched
    from swiftbolt_assets.market.sessions import Calendar, Session
    from swiftbolt_assets.market.shards import Shard

#: From an open to the first report: a tick, the run, and room for a slow minute.
_FIRST_REPORT = timedelta(minutes=15)
_SHOWN = 20


def policy(calendar: Calendar) -> dg.FreshnessPolicy:
    """Return the policy: no closed time of the calendar breaks it.

    Args:
        calendar: at least two sessions.

    """
    closed = max(after.opens - before.closes for before, after in pairwise(calendar.sessions))
    return dg.FreshnessPolicy.time_window(fail_window=closed + _FIRST_REPORT)


def fresh_spec(shard: Shard = WHOLE) -> dg.AssetCheckSpec:
    """Return a shard's check of today's prices."""
    return dg.AssetCheckSpec(
        "fresh",
        asset=shard.asset(Timeframe.M15),
        description="In session hours no tracked symbol's newest price is older than five minutes, "
        "and each quarter hour's bar is there within a minute after it closed.",
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
    spec = fresh_spec(shard)
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
            "stale": ", ".join(stale[:_SHOWN]) or "none",
        },
    )


def fresh_result(storage: Storage, shard: Shard = WHOLE) -> dg.AssetCheckResult:
    """Return the same for a run of the assets."""
    (found,) = fresh_now(storage, [shard])
    return dg.AssetCheckResult(
        asset_key=found.asset_key,
        check_name=found.check_name,
        passed=found.passed,
        severity=found.severity,
        metadata=found.metadata,
    )
