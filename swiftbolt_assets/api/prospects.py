"""When a symbol will be complete, and what stands in the way.

What belongs here: what every answer about completeness says. What does not: the routes (`routes/`),
what the queue knows (`resources/queue/outlook.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from resources.bars.chart import AGGREGATED
from resources.providers.trouble import present_troubles
from resources.queue.depth import QueueDepth
from resources.queue.outlook import (
    Outlook,
    definition_coverage,
    definition_progress,
    outlook_of,
)
from swiftbolt_assets.api.replies import iso
from swiftbolt_assets.policy.request_windows import Pace, seconds_to_done

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from resources.postgres.callers import CallerPool, Connection
    from swiftbolt_assets.policy.trouble import Trouble

#: A tick comes every few seconds; its sensor may be busy for a while.
TICK_OLD_S = 90.0
COMPLETE, GAPS = "coverage_complete", "gaps_detected"


def described(
    connection: Connection, definition: UUID, symbol: str, timeframe: str
) -> dict[str, Any]:
    """Return the contract's answer for a definition."""
    progress = definition_progress(connection, definition, timeframe)
    stored = definition_coverage(connection, definition)
    body: dict[str, Any] = {
        "job_def_id": str(definition),
        "symbol": symbol,
        "timeframe": timeframe,
        "status": COMPLETE if progress and progress.complete else GAPS,
        "coverage_status": {
            "from_ts": iso(stored.from_ts),
            "to_ts": iso(stored.to_ts),
            "last_success_at": iso(stored.last_success_at),
            "gaps_found": stored.gaps_found,
        },
        "aggregated_from": "m15" if timeframe in AGGREGATED else None,
    }
    if progress:
        body["backfill_progress"] = {
            name: value for name, value in asdict(progress).items() if name != "complete"
        }
    return body


class Prospects:
    """Tells when a symbol will be complete, and what stands in the way.

    Args:
        pool: asks the database, as the owner.
        per_minute: the provider's budget; 0 without a limit.

    """

    def __init__(self, pool: CallerPool, per_minute: int) -> None:
        self._pool = pool
        self._per_minute = per_minute
        self._depth = QueueDepth()

    def of(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the fields that go with an answer about a symbol's coverage; seconds."""
        if body["status"] == COMPLETE:
            return {"eta_seconds": 0.0, "message": None}
        with self._pool.transaction() as connection:
            outlook = outlook_of(connection, body["symbol"])
            troubles = present_troubles(connection, body["symbol"])
            waiting = 0
            if outlook.priority is not None:
                waiting = self._depth.ahead(connection, outlook.priority)
        return {
            "eta_seconds": eta(outlook, waiting, self._per_minute),
            "message": hindrance(outlook, troubles),
        }


def hindrance(outlook: Outlook, troubles: Sequence[Trouble] = ()) -> str | None:
    """Return one sentence on why it does not come on, None when it does."""
    if outlook.is_read_only:
        return "the database is read-only, swiftbolt doctor says why; work goes on by itself"
    if not outlook.is_enabled:
        return "an operator has switched it off; swiftbolt jobs set SYMBOL --enabled"
    for trouble in troubles:
        if trouble.symbol is not None:
            return trouble.text
    if outlook.trouble is None and (outlook.tick_age_s is None or outlook.tick_age_s > TICK_OLD_S):
        return "the platform does not tick yet; unless it is starting, run swiftbolt up"
    return outlook.trouble or next((trouble.text for trouble in troubles), None)


def eta(outlook: Outlook, waiting: int, per_minute: int) -> float | None:
    """Return the seconds until a symbol is complete, None when nothing is under way.

    Args:
        outlook: what the symbol waits for.
        waiting: requests until its last one is asked, an older count maybe.
        per_minute: the provider's budget; 0 without a limit.

    """
    return seconds_to_done(
        0 if outlook.priority is None else max(waiting, 1),
        Pace(per_minute, outlook.free or 0, outlook.next_free_s),
        is_running=outlook.is_running,
        cooling_s=outlook.cooling_s,
        last_attempt_s=outlook.last_attempt_s,
    )
