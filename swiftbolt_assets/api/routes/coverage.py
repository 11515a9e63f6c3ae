"""How complete a symbol is: `ensure-coverage` and `coverage`.

What belongs here: asking for completeness, and telling what is absent and why. What does not:
planning (SQL behind `resources/queue/outlook.py`), when it will be complete (`api/prospects.py`),
pushing progress (`events.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import Field

from resources.bars.absences import chart_splits, session_gaps
from resources.bars.delisted import delisted
from resources.bars.symbols import symbol_name
from resources.postgres.in_turn import in_turn
from resources.queue.outlook import ensure_definition, open_slices
from resources.queue.tracking import is_tracked, record_interest
from swiftbolt_assets.api.auth import AnyCaller
from swiftbolt_assets.api.description import answers
from swiftbolt_assets.api.fields import DAYS, Asked, required_symbol, required_timeframe
from swiftbolt_assets.api.prospects import described
from swiftbolt_assets.api.replies import HttpError, Json, iso
from swiftbolt_assets.api.shapes import Covered, Ensured
from swiftbolt_assets.api.state import state_of
from swiftbolt_assets.policy.admission import URGENT

if TYPE_CHECKING:
    from uuid import UUID

    from resources.postgres.callers import Connection

router = APIRouter()
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
        definition = ensure_definition(
            connection, symbol, timeframe, window_days=window, priority=asked.priority
        )
        return definition, described(connection, definition, symbol, timeframe)

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
        work = open_slices(connection, ticker)
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
