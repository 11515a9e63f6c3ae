"""How fresh today's bars are: the asset check `fresh`, and the policy of the catalogue.

The check knows the session, early closes and holidays; the policy is a cron, so on a closed weekday
it shows the bars as late although there are none. What belongs here: phrasing both. What does not:
what counts as stale (`market/live.py`).
"""

# No `from __future__ import annotations`: Dagster reads the check's annotations at run time.
from collections.abc import Sequence
from datetime import datetime, timedelta

import dagster as dg

from resources.dagster import PostgresResource, TradierResource
from resources.live import LiveBook
from swiftbolt_assets.market.live import Watched, age, is_stale
from swiftbolt_assets.market.sessions import Session, xnys

ASSET = dg.AssetKey("m15_bars")
NAME = "fresh"
POLICY = dg.FreshnessPolicy.cron(
    deadline_cron="*/15 10-15 * * 1-5",
    lower_bound_delta=timedelta(minutes=15),
    timezone="America/New_York",
)
_SHOWN = 20


def build_fresh_check(least_priority: int) -> dg.AssetChecksDefinition:
    """Return the check; the scheduled refresh evaluates it, and a person may at any time."""

    @dg.asset_check(
        asset=ASSET,
        name=NAME,
        description="In session hours no symbol's newest price is older than five minutes, and "
        "each quarter hour's bar is there within a minute after it closed.",
    )
    def fresh(postgres: PostgresResource, tradier: TradierResource) -> dg.AssetCheckResult:
        if tradier.is_off():
            return dg.AssetCheckResult(
                passed=True,
                description="TRADIER_TOKEN is unset: today is off",
                metadata={"symbols": 0, "age_seconds": 0.0, "stale": "none"},
            )
        storage = postgres.open()
        now, session = storage.clock.now(), xnys().session(storage.clock.today())
        watched = LiveBook(storage.database).watched(least_priority=least_priority)
        found = evaluation(watched, session, now)
        return dg.AssetCheckResult(
            passed=found.passed, severity=found.severity, metadata=found.metadata
        )

    return fresh


def evaluation(
    watched: Sequence[Watched], session: Session | None, now: datetime
) -> dg.AssetCheckEvaluation:
    """Return the check's outcome; the age is that of the symbol that was asked longest ago."""
    oldest = max((age(one, session, now) for one in watched), default=timedelta(0))
    stale = [one.symbol for one in watched if is_stale(one, session, now)]
    return dg.AssetCheckEvaluation(
        asset_key=ASSET,
        check_name=NAME,
        passed=not stale,
        # Late is not wrong: nobody is to be woken for a budget that is too small.
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "symbols": len(watched),
            "age_seconds": oldest.total_seconds(),
            "stale_symbols": len(stale),
            "stale": ", ".join(stale[:_SHOWN]) or "none",
        },
    )
