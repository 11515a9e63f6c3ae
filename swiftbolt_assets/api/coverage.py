"""How complete a symbol is: `ensure-coverage` and `coverage`.

What belongs here: asking for completeness, and telling what is absent and why. What does not:
planning (SQL behind `resources/jobs.py`), pushing progress (`news.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import Field

from resources import jobs
from resources.chart import AGGREGATED
from resources.delisted import delisted
from resources.queue_depth import QueueDepth
from resources.sessions_missing import chart_splits, session_gaps
from resources.symbols import symbol_name
from resources.tracking import is_tracked, record_interest
from resources.trouble import present_troubles
from resources.wanted import in_turn
from swiftbolt_assets.api.auth import AnyCaller
from swiftbolt_assets.api.description import answers
from swiftbolt_assets.api.fields import DAYS, Asked, required_symbol, required_timeframe
from swiftbolt_assets.api.replies import HttpError, Json, iso
from swiftbolt_assets.api.shapes import Covered, Ensured
from swiftbolt_assets.api.state import state_of
from swiftbolt_assets.market.lanes import URGENT
from swiftbolt_assets.market.plan import Pace, seconds_to_done

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from resources.callers import CallerPool, Connection
    from swiftbolt_assets.market.trouble import Trouble

router = APIRouter()
#: A tick comes every few seconds; its sensor may be busy for a while.
TICK_OLD_S = 90.0
COMPLETE, GAPS = "coverage_complete", "gaps_detected"
_MOST_PRIORITY = 1_000_000
#: Two years, in days: what a chart shows.
_WHOLE = 730
#: Longer windows are meant as they are.
_OPENING = 7


class CoverageRequest(Asked):
    """What is to be complete. Nothing is ever lowered: the widest window asked for counts.

    A window of a week or less is what an app asks for that opened a chart and found it empty: that
    is interest like that of `sync-user-symbols`, which not every app calls, and two years follow.
    """

    symbol: str | None = None
    timeframe: str | None = None
    window_days: DAYS = 7
    priority: Annotated[int, Field(ge=0, le=_MOST_PRIORITY)] = URGENT


@router.post(
    "/ensure-coverage",
    summary="Have a symbol complete, and see how far it is",
    responses=answers(Ensured),
)
def ensure_coverage(
    asked: Annotated[CoverageRequest, Body(default_factory=CoverageRequest)],
    request: Request,
    caller: AnyCaller,
) -> Response:
    """Plan what is missing and answer at once, with the whole plan counted."""
    if not asked.symbol or not asked.timeframe:
        raise HttpError(400, "Missing required parameters: symbol, timeframe")
    state = state_of(request)
    symbol, timeframe = required_symbol(asked.symbol), required_timeframe(asked.timeframe)

    is_opened = asked.window_days <= _OPENING

    def ensure(connection: Connection) -> tuple[UUID, dict[str, Any]]:
        if is_opened and not is_tracked(connection, caller.user_id, symbol):
            record_interest(connection, caller.user_id, [symbol], "chart_view")
        window = _WHOLE if is_opened else asked.window_days
        job = jobs.ensure_job(
            connection, symbol, timeframe, window_days=window, priority=asked.priority
        )
        return job, described(connection, job, symbol, timeframe)

    _, body = in_turn(state.pool.acting_for(caller), ensure)
    return Json(body | state.prospects.of(body))


@router.get("/coverage", summary="What a symbol lacks, and why", responses=answers(Covered))
def coverage(
    request: Request,
    caller: AnyCaller,
    symbol: Annotated[str | None, Query()] = None,
    days: Annotated[DAYS, Query()] = _WHOLE,
) -> Response:
    """Return sessions that are not simply full, what is at work on them, and splits."""
    if not symbol:
        raise HttpError(400, "Symbol is required")
    state = state_of(request)
    ticker = required_symbol(symbol)
    today = state.settings.clock.today()
    first = max(today - timedelta(days=days), state.settings.first_date)
    with state.pool.transaction(caller) as connection:
        gaps = session_gaps(connection, ticker, first, today)
        work = jobs.open_slices(connection, ticker)
        splits = chart_splits(connection, ticker)
        name = symbol_name(connection, ticker)
        ended = next(iter(delisted(connection, ticker)), None)
    return Json(
        {
            "symbol": ticker,
            "name": name,
            "data_source": "simulated" if state.settings.simulated else "real",
            "today": today,
            "window": {"first_day": first, "last_day": today},
            "sessions": [
                asdict(gap)
                | {name: iso(getattr(gap, name)) for name in ("opens", "closes", "ask_again_at")}
                for gap in gaps
            ],
            "work": work,
            "splits": splits,
            "delisted": ended,
        }
    )


def described(connection: Connection, job: UUID, symbol: str, timeframe: str) -> dict[str, Any]:
    """Return the contract's answer for a definition."""
    progress = jobs.job_progress(connection, job, timeframe)
    stored = jobs.job_coverage(connection, job)
    body: dict[str, Any] = {
        "job_def_id": str(job),
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
            outlook = jobs.outlook(connection, body["symbol"])
            troubles = present_troubles(connection, body["symbol"])
            waiting = 0
            if outlook.priority is not None:
                waiting = self._depth.ahead(connection, outlook.priority)
        return {
            "eta_seconds": eta(outlook, waiting, self._per_minute),
            "message": hindrance(outlook, troubles),
        }


def hindrance(outlook: jobs.Outlook, troubles: Sequence[Trouble] = ()) -> str | None:
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


def eta(outlook: jobs.Outlook, waiting: int, per_minute: int) -> float | None:
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
