"""What people look at: `sync-user-symbols` and `watchlist-sync`.

What belongs here: recording interest with the caller's own rights. What does not: what follows from
it (triggers of `user_symbol_tracking`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Request, Response
from pydantic import Field

from resources.postgres.in_turn import in_turn
from resources.queue import watchlists
from resources.queue.outlook import backfill_state
from resources.queue.tracking import record_interest, source_priority
from swiftbolt_assets.api.auth import AnyCaller
from swiftbolt_assets.api.description import answers, problems
from swiftbolt_assets.api.fields import (
    Asked,
    require_few,
    required_symbol,
    required_timeframe,
    ticker,
    well_formed,
)
from swiftbolt_assets.api.replies import HttpError, Json, iso
from swiftbolt_assets.api.shapes import Synced, Watchlist
from swiftbolt_assets.api.state import state_of
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.policy.interest import SOURCES

if TYPE_CHECKING:
    from resources.postgres.callers import Caller, Connection
    from resources.queue.definitions import Definition
    from resources.queue.watchlists import Item

router = APIRouter()
_LOG = logging.getLogger(__name__)
_MOST_TIMEFRAMES = 10
_LOGGED = 10
_ACTIONS = ("add", "remove", "list")


class SyncRequest(Asked):
    """What a person looks at now."""

    symbols: list[str] | None = None
    source: str | None = None
    timeframes: list[str] = Field(default=list(Timeframe))


class WatchlistRequest(Asked):
    """A change of a watchlist, or a look at it."""

    action: str | None = None
    symbol: str | None = None
    watchlistId: UUID | None = None  # noqa: N815 - the contract's name


@router.post(
    "/sync-user-symbols",
    summary="Tell what is looked at; it is filled by priority",
    responses=answers(Synced) | problems(403, 404),
)
def sync_user_symbols(
    asked: Annotated[SyncRequest, Body(default_factory=SyncRequest)],
    request: Request,
    caller: AnyCaller,
) -> Response:
    """Record interest; a repeat is cheap and changes nothing but its time."""
    if not asked.symbols:
        raise HttpError(400, "No symbols provided")
    if asked.source not in SOURCES:
        *most, last = SOURCES
        raise HttpError(400, f"Invalid source. Must be: {', '.join(most)}, or {last}")
    require_few(asked.symbols)
    if len(asked.timeframes) > _MOST_TIMEFRAMES:
        raise HttpError(400, f"timeframes: at most {_MOST_TIMEFRAMES}")
    frames = {required_timeframe(text) for text in asked.timeframes}
    tickers = well_formed(asked.symbols)
    # The contract has them dropped.
    for text in asked.symbols:
        if ticker(text) is None:
            _LOG.info("sync-user-symbols: %s is no ticker, dropped", ascii(text[:_LOGGED]))
    if not tickers:
        raise HttpError(404, "No valid symbols found")
    source = asked.source

    def record(connection: Connection) -> tuple[list[Definition], int]:
        rows = record_interest(connection, caller.user_id, tickers, source)
        return rows, source_priority(connection, source)

    rows, priority = in_turn(state_of(request).pool.acting_for(caller), record)
    _LOG.info("sync-user-symbols %s %s (%d)", source, ",".join(tickers[:_LOGGED]), len(tickers))
    return Json(
        {
            "success": True,
            "symbols_tracked": len(tickers),
            "symbols_requested": len(asked.symbols),
            "timeframes": len(frames),
            "jobs_updated": sum(row.timeframe in frames for row in rows),
            "priority": priority,
            "source": source,
        }
    )


@router.post(
    "/watchlist-sync",
    summary="Change a watchlist, or list it",
    responses=answers(Watchlist) | problems(403, 404),
)
def watchlist_sync(
    asked: Annotated[WatchlistRequest, Body(default_factory=WatchlistRequest)],
    request: Request,
    caller: AnyCaller,
) -> Response:
    """Change the caller's watchlist, and return what is on it."""
    if asked.action not in _ACTIONS:
        raise HttpError(400, "action: use add, remove or list")
    if asked.action != "list" and not asked.symbol:
        raise HttpError(400, "Symbol is required")
    symbol = required_symbol(asked.symbol) if asked.symbol else None
    return Json(
        in_turn(
            state_of(request).pool.acting_for(caller),
            lambda connection: _changed(connection, caller, asked, symbol),
        )
    )


def _changed(
    connection: Connection,
    caller: Caller,
    asked: WatchlistRequest,
    symbol: str | None,
) -> dict[str, Any]:
    connection.execute("select admit_caller()")
    if asked.watchlistId is None:
        watchlist = watchlists.own_watchlist(connection, caller.user_id)
    elif watchlists.is_visible(connection, asked.watchlistId):
        watchlist = asked.watchlistId
    else:
        raise HttpError(404, f"watchlistId: no watchlist {asked.watchlistId} of yours")
    message = None
    if symbol and asked.action == "add":
        message = _add(connection, caller, watchlist, symbol)
    elif symbol and asked.action == "remove":
        was_on = watchlists.remove_item(connection, caller.user_id, watchlist, symbol)
        message = f"{symbol} removed" if was_on else f"{symbol} was not on the watchlist"
    listed = watchlists.items(connection, watchlist)
    named = next((item for item in listed if item.symbol == symbol), None)
    state = backfill_state(connection, named.symbol) if named else None
    return {
        "success": True,
        "message": message,
        "symbol": symbol,
        "watchlistId": str(watchlist),
        "items": [
            {
                "symbol": item.symbol,
                "addedAt": iso(item.added_at),
                # Of forecasts and rankings, which nobody makes here: any word would promise some.
                "jobStatus": None,
                "lastPrice": item.last_price,
                **_averages(item),
            }
            for item in listed
        ],
        "jobStatus": [{"jobType": "backfill", "status": state}] if state else [],
        # An app shows a new row with what stands here.
        **_averages(named),
    }


def _averages(item: Item | None) -> dict[str, float | None]:
    return {
        "avgDailyVolumeAll": item.daily_volume if item else None,
        "avgDailyVolume10d": item.daily_volume_10 if item else None,
        "avgLastPriceAll": item.last_price_all if item else None,
        "avgLastPrice10d": item.last_price_10 if item else None,
    }


def _add(connection: Connection, caller: Caller, watchlist: UUID, symbol: str) -> str:
    if watchlists.holds(connection, watchlist, symbol):
        return f"{symbol} is on the watchlist already"
    record_interest(connection, caller.user_id, [symbol], "watchlist")
    watchlists.add_item(connection, watchlist, symbol)
    return f"{symbol} added"
