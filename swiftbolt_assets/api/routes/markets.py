"""The exchange's hours and splits to come: `market-status`. No provider is asked.

What belongs here: the reply. What does not: the calendar (`swiftbolt_assets/market/hours.py`),
prices (`quotes.py`).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from resources.bars.absences import pending_splits
from swiftbolt_assets.api.auth import AnyCaller
from swiftbolt_assets.api.description import answers
from swiftbolt_assets.api.fields import required_symbol
from swiftbolt_assets.api.replies import Json, iso
from swiftbolt_assets.api.shapes import MarketStatus
from swiftbolt_assets.api.state import state_of
from swiftbolt_assets.market.hours import market_hours

router = APIRouter()
_MOST_SPLITS = 200


@router.get(
    "/market-status",
    summary="Whether the exchange is open, and splits to come",
    responses=answers(MarketStatus),
)
def market_status(
    request: Request, caller: AnyCaller, symbol: Annotated[str | None, Query()] = None
) -> Response:
    """Return regular hours, and splits listed for today or later, of a symbol or of all."""
    state = state_of(request)
    ticker = required_symbol(symbol) if symbol else None
    now = state.settings.clock.now()
    hours = market_hours(state.calendar.now(), now)
    with state.pool.transaction(caller) as connection:
        splits = pending_splits(connection, ticker, _MOST_SPLITS)
    return Json(
        {
            "market": {
                "isOpen": hours.is_open,
                "nextOpen": iso(hours.next_open),
                "nextClose": iso(hours.next_close),
                "timestamp": iso(now),
            },
            "pendingActions": [
                {
                    "symbol": split.symbol,
                    "type": split.kind,
                    "exDate": split.day,
                    "ratio": split.split_to / split.split_from,
                    "cashAmount": None,
                }
                for split in splits
            ],
        }
    )
