"""What a button asks for: `user-refresh` of a symbol, `reload-watchlist-data` of several.

The newest session is asked for once more, by the platform's runs, never from here: a press is
noted, and its outcome looked at until it is there or the time is over. However often and by however
many it is pressed, that is one request a symbol and minute.

What belongs here: the press, the wait and the replies. What does not: the bound and the states of a
press (`resources/queue/rechecks.py`), asking (`swiftbolt_assets/assets/`).
"""

# ruff: noqa: N815 - the contract's names

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from starlette.concurrency import run_in_threadpool

from resources.postgres.in_turn import in_turn
from resources.providers.registry import TODAY
from resources.queue import rechecks, watchlists
from resources.queue.outlook import ensure_definition, outlook_of
from resources.queue.tracking import record_interest
from swiftbolt_assets.api.auth import AnyCaller
from swiftbolt_assets.api.description import answers
from swiftbolt_assets.api.fields import (
    MOST_SYMBOLS,
    Asked,
    require_few,
    required_symbol,
    ticker,
    well_formed,
)
from swiftbolt_assets.api.prospects import TICK_OLD_S, hindrance
from swiftbolt_assets.api.replies import HttpError, Json, iso
from swiftbolt_assets.api.shapes import Refreshed, Reloaded
from swiftbolt_assets.api.state import state_of
from swiftbolt_assets.market.hours import newest_session, next_bar_at
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.policy.admission import PEOPLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from resources.postgres.callers import Caller, Connection
    from resources.queue.rechecks import Backlog, Outcome
    from swiftbolt_assets.api.state import ApiState

router = APIRouter()
#: The app gives up after 15 s; what comes after the wait takes part of a second.
_LONGEST_S = 9.0
_POLL_S = 0.4
_SHOWN = 20
#: One symbol, which somebody looks at, goes with what is wanted most; a whole list does not.
_PRESSED, _RELOADED = 300, PEOPLE
_COMPLETED, _PENDING, _SKIPPED, _FAILED = "completed", "pending", "skipped", "failed"
#: What the app's reply has room for and this platform does not make.
_NOT_MADE = {
    "queue_ml_job": "no forecasts are made here",
    "queue_options_job": "no options are ranked here",
    "calculate_sr": "the chart works out support and resistance itself",
}


class RefreshRequest(Asked):
    """Whose newest session is asked for once more."""

    symbol: str | None = None


class ReloadRequest(Asked):
    """Symbols, where it is not the caller's watchlist. Timeframes come together, so none is named.

    `forceRefresh` changes nothing: the provider is asked in any case.
    """

    symbols: list[str] | None = None
    forceRefresh: bool | None = None
    timeframes: list[str] | None = None


@dataclass(frozen=True)
class _Press:
    """A press that is noted: when, by the database's clock, and the session it is about."""

    at: datetime
    day: date
    is_past: bool

    def can_ask(self, symbol: str) -> bool:
        """Return whether the provider of the session can be asked about a symbol."""
        return _can_ask(symbol, is_past=self.is_past)


@dataclass(frozen=True)
class _Found:
    """What a press has come to, and what the symbol waits for."""

    outcome: Outcome | None
    bars: int
    backlog: Backlog
    hindrance: str | None


@router.post(
    "/user-refresh",
    summary="Ask for a symbol's newest session once more, and wait for it a little",
    responses=answers(Refreshed),
)
async def user_refresh(
    asked: Annotated[RefreshRequest, Body(default_factory=RefreshRequest)],
    request: Request,
    caller: AnyCaller,
) -> Response:
    """Return what has changed since the press, waiting 9 s at most; the rest comes by itself."""
    if not asked.symbol:
        raise HttpError(400, "Symbol is required")
    state, symbol = state_of(request), required_symbol(asked.symbol)
    began = time.monotonic()
    press = await run_in_threadpool(_press_one, state, caller, symbol)
    await _until_over(state, press, [symbol], began + _LONGEST_S)
    found = await run_in_threadpool(_found, state, press, symbol)
    calendar = await run_in_threadpool(state.calendar.now)
    expected = next_bar_at(calendar, state.settings.clock.now())
    return Json(_refreshed(symbol, found, expected, began))


@router.post(
    "/reload-watchlist-data",
    summary="The same for a watchlist, or for named symbols",
    responses=answers(Reloaded),
)
async def reload_watchlist_data(
    asked: Annotated[ReloadRequest, Body(default_factory=ReloadRequest)],
    request: Request,
    caller: AnyCaller,
) -> Response:
    """Return what has changed since the press, by symbol, waiting 9 s at most."""
    require_few(asked.symbols or [])
    named = None if asked.symbols is None else well_formed(asked.symbols)
    state = state_of(request)
    began = time.monotonic()
    symbols, press = await run_in_threadpool(_press_many, state, caller, named)
    await _until_over(state, press, symbols, began + _LONGEST_S)
    ends = await run_in_threadpool(_ends, state, press, symbols)
    results = [
        _result(symbol, *ends.get(symbol, (None, {})), can_ask=press.can_ask(symbol))
        for symbol in symbols
    ]
    results += [
        {
            "symbol": ascii(text[:_SHOWN])[1:-1],
            "status": "error",
            "message": "it is no ticker",
            "barsLoaded": None,
        }
        for text in (asked.symbols or [])
        if ticker(text) is None
    ]
    return Json(_reloaded(results))


def _press_one(state: ApiState, caller: Caller, symbol: str) -> _Press:
    """Note interest, plan what is missing, and have the newest session asked for again."""

    def note(connection: Connection) -> _Press:
        record_interest(connection, caller.user_id, [symbol], "chart_view")
        # Raises nothing that the interest has not raised: it plans, in this transaction.
        ensure_definition(connection, symbol, "m15", window_days=1, priority=0)
        return _pressed(state, connection, [symbol], _PRESSED)

    return in_turn(state.pool.acting_for(caller), note)


def _press_many(
    state: ApiState, caller: Caller, named: Sequence[str] | None
) -> tuple[list[str], _Press]:
    def note(connection: Connection) -> tuple[list[str], _Press]:
        listed = watchlists.listed(connection, caller.user_id) if named is None else named
        symbols = list(listed)[:MOST_SYMBOLS]
        return symbols, _pressed(state, connection, symbols, _RELOADED)

    return in_turn(state.pool.acting_for(caller), note)


def _pressed(
    state: ApiState, connection: Connection, symbols: Sequence[str], priority: int
) -> _Press:
    clock = state.settings.clock
    session = newest_session(state.calendar.now(), clock.now(), has_live=state.settings.has_live)
    is_past = session.day < clock.today()
    asked = [symbol for symbol in symbols if _can_ask(symbol, is_past=is_past)]
    return _Press(rechecks.press(connection, asked, priority), session.day, is_past)


async def _until_over(state: ApiState, press: _Press, symbols: Sequence[str], until: float) -> None:
    """Look until all is over, or waiting is of no use; nothing is held between two looks."""
    symbols = [symbol for symbol in symbols if press.can_ask(symbol)]
    while True:
        left = until - time.monotonic()
        found, is_hopeless = await run_in_threadpool(_look, state, press, symbols, left)
        waiting = any(one.is_open and not one.is_answered for one in found)
        if not waiting or is_hopeless or left <= 0:
            return
        await asyncio.sleep(min(_POLL_S, left))


def _look(
    state: ApiState, press: _Press, symbols: Sequence[str], left: float
) -> tuple[list[Outcome], bool]:
    """Return the outcomes, and whether no request can be answered in time."""
    with state.pool.transaction() as connection:
        found = rechecks.outcomes(connection, symbols, press.day, press.at)
        outlook = outlook_of(connection, symbols[0]) if symbols else None
    is_hopeless = outlook is not None and (
        outlook.tick_age_s is None
        or outlook.tick_age_s > TICK_OLD_S
        or (press.is_past and outlook.cooling_s > left)
        or (press.is_past and outlook.free == 0 and outlook.next_free_s > left)
    )
    return found, is_hopeless


def _ends(
    state: ApiState, press: _Press, symbols: Sequence[str]
) -> dict[str, tuple[Outcome, Mapping[str, int]]]:
    with state.pool.transaction() as connection:
        found = rechecks.final_outcomes(connection, symbols, press.day, press.at)
    return {outcome.symbol: (outcome, bars) for outcome, bars in found}


def _found(state: ApiState, press: _Press, symbol: str) -> _Found:
    with state.pool.transaction() as connection:
        found = rechecks.final_outcomes(connection, [symbol], press.day, press.at)
        outcome, bars = found[0] if found and press.can_ask(symbol) else (None, {})
        backlog = rechecks.backlog(connection, symbol)
        outlook = outlook_of(connection, symbol)
    return _Found(outcome, sum(bars.values()), backlog, hindrance(outlook))


def _refreshed(symbol: str, found: _Found, expected: datetime, began: float) -> dict[str, Any]:
    status, message = _told(found.outcome, found.bars)
    if status == _PENDING and found.hindrance:
        message = f"{message}: {found.hindrance}"
    backlog = found.backlog
    steps = [
        _step("lookup_symbol", _COMPLETED, f"{symbol} is tracked"),
        _backlog_step(backlog, found.hindrance),
        _step("fetch_bars", status, message),
        *(_step(name, _SKIPPED, why) for name, why in _NOT_MADE.items()),
    ]
    is_waiting = status == _PENDING or backlog.missing > 0
    return {
        "symbol": symbol,
        "success": status != _FAILED,
        "steps": steps,
        "summary": {
            "backfillNeeded": backlog.missing > 0,
            "backfillQueued": backlog.missing > 0 and backlog.requests > 0,
            "barsUpdated": found.bars,
            "mlJobQueued": False,
            "optionsJobQueued": False,
            "srCalculated": False,
        },
        "queuedJobs": ["backfill"] if backlog.missing and backlog.requests else [],
        "warnings": [found.hindrance] if is_waiting and found.hindrance else [],
        "nextExpectedUpdate": iso(expected),
        "message": message,
        "durationMs": round((time.monotonic() - began) * 1000),
    }


def _told(outcome: Outcome | None, bars: int) -> tuple[str, str]:
    """Return a press's state in a word that the app knows, and one sentence."""
    if outcome is None:
        return _SKIPPED, f"{TODAY.unspelled}; today's bars come tomorrow"
    if outcome.is_answered:
        changed = f"{bars} bar{'s' if bars > 1 else ''} updated"
        return _COMPLETED, changed if bars else "asked again; nothing has changed"
    if outcome.is_refused:
        return _FAILED, outcome.error or "the provider refuses it"
    if outcome.is_open:
        return _PENDING, outcome.error or "the provider is asked as soon as its turn has come"
    ago = outcome.request_s or 0.0
    return _SKIPPED, f"asked {ago:.0f} s ago; it is asked once a minute at most"


def _backlog_step(backlog: Backlog, why: str | None) -> dict[str, str]:
    if not backlog.missing:
        return _step("check_backfill", _SKIPPED, "nothing is missing")
    if backlog.requests:
        told = f"{backlog.missing} sessions are missing; {backlog.requests} requests are planned"
        return _step("queue_backfill", _COMPLETED, told)
    told = f"{backlog.missing} sessions are missing; {why or 'they are planned in a moment'}"
    return _step("queue_backfill", _PENDING, told)


def _step(name: str, status: str, message: str) -> dict[str, str]:
    return {"step": name, "status": status, "message": message}


def _result(
    symbol: str, outcome: Outcome | None, bars: Mapping[str, int], *, can_ask: bool
) -> dict[str, Any]:
    if outcome is None and can_ask:
        status, message = "error", f"{symbol} is not known here; open it, and it is fetched"
    else:
        told, message = _told(outcome, sum(bars.values()))
        words = {_COMPLETED: "success", _SKIPPED: "success", _FAILED: "error"}
        status = words.get(told, told)
    counts = {name.value: bars.get(name, 0) for name in Timeframe}
    # Days and weeks are made of quarter hours as they are read.
    loaded = counts | {"d1": None, "w1": None}
    return {"symbol": symbol, "status": status, "message": message, "barsLoaded": loaded}


def _reloaded(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    total = len(results)
    done = sum(one["status"] == "success" for one in results)
    errors = sum(one["status"] == "error" for one in results)
    waiting = total - done - errors
    parts = [f"{done} of {total} symbols are up to date"]
    parts += [f"{waiting} wait for the provider"] if waiting else []
    parts += [f"{errors} could not be asked for"] if errors else []
    return {
        "success": errors < total or not total,
        "message": "; ".join(parts) if total else "the watchlist is empty",
        "summary": {"total": total, "success": done, "errors": errors},
        "results": results,
    }


def _can_ask(symbol: str, *, is_past: bool) -> bool:
    return is_past or TODAY.spelled(symbol) is not None
