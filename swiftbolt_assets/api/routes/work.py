"""The operator's way to the queue: `orchestrator` and `fetch-bars`. The service key opens both.

Nothing here fetches: the platform's runs do. A tick plans, wakes the sensor and counts what it
takes on; `fetch-bars` puts a slice before all others and waits for it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from resources.postgres.in_turn import in_turn
from resources.queue import operator
from resources.queue.slices import WorkQueue
from swiftbolt_assets.api.auth import Operator
from swiftbolt_assets.api.description import answers, problems
from swiftbolt_assets.api.fields import INSTANT, Asked, required_symbol, required_timeframe
from swiftbolt_assets.api.replies import HttpError, Json, iso
from swiftbolt_assets.api.shapes import FetchedSlice, QueueState, Ticked
from swiftbolt_assets.api.state import ApiState, state_of
from swiftbolt_assets.policy.admission import lowest

router = APIRouter()
_TICK_S, _FETCH_S = 5.0, 12.0
_POLL_S = 0.2
_RETRY_AFTER_S = 60
_STATUS = {
    "PROVIDER_UNAVAILABLE": 503,
    "INVALID_SYMBOL": 400,
    "PERMISSION_DENIED": 403,
}


class ActionBody(Asked):
    """What the orchestrator is to do, where the query does not say."""

    action: str | None = None


class FetchRequest(Asked):
    """A slice of the queue."""

    job_run_id: UUID | None = None
    symbol: str | None = None
    timeframe: str | None = None
    start: INSTANT | None = Field(None, alias="from")
    end: INSTANT | None = Field(None, alias="to")


@dataclass(frozen=True)
class _Slice:
    """A slice that is fully named."""

    run: UUID
    symbol: str
    timeframe: str
    start: datetime
    end: datetime


@router.post(
    "/orchestrator",
    summary="Tick, status, or retry_failed",
    responses=answers(Ticked, QueueState) | problems(403),
)
async def orchestrator(
    request: Request,
    _operator: Operator,
    action: Annotated[str | None, Query()] = None,
    body: Annotated[ActionBody | None, Body()] = None,
) -> Response:
    """Do what the query or the body asks; a tick when neither asks."""
    return await _act(state_of(request), action or (body.action if body else None))


@router.get(
    "/orchestrator",
    summary="The same by a link",
    responses=answers(Ticked, QueueState) | problems(403),
)
async def orchestrator_by_link(
    request: Request, _operator: Operator, action: Annotated[str | None, Query()] = None
) -> Response:
    """Do what the query asks; a tick when it does not ask."""
    return await _act(state_of(request), action)


@router.post(
    "/fetch-bars",
    summary="Have one slice fetched next, and wait for it a little",
    responses=answers(FetchedSlice) | problems(403, 404, 409, 429),
)
async def fetch_bars(
    asked: Annotated[FetchRequest, Body(default_factory=FetchRequest)],
    request: Request,
    _operator: Operator,
) -> Response:
    """Return what the slice came to, or 429 when its turn has not come within 12 s."""
    wanted = _slice(asked)
    state = state_of(request)
    began = time.monotonic()
    if not await run_in_threadpool(_raise, state, wanted):
        raise HttpError(
            404, f"job_run_id: no run {wanted.run} of {wanted.symbol} {wanted.timeframe}"
        )
    while True:
        run = await run_in_threadpool(_look, state, wanted.run)
        if run.status in {"success", "failed", "cancelled"} or run.is_refused:
            return _ended(wanted, run, began)
        if time.monotonic() - began > _FETCH_S:
            seconds = max(1, round(run.wait_s)) if run.wait_s and run.wait_s > 0 else _RETRY_AFTER_S
            raise HttpError(
                429,
                "Rate limit exceeded",
                {"retry_after": seconds, "job_run_id": str(wanted.run)},
                retry_after=seconds,
            )
        await asyncio.sleep(_POLL_S)


async def _act(state: ApiState, action: str | None) -> Response:
    if action in {None, "", "tick"}:
        return Json(await _tick(state))
    if action == "status":
        return Json(await run_in_threadpool(_report, state))
    if action == "retry_failed":
        count = await run_in_threadpool(_retry, state)
        return Json({"message": f"Retried {count} failed jobs"})
    raise HttpError(400, "Invalid action", {"actions": ["tick", "status", "retry_failed"]})


async def _tick(state: ApiState) -> dict[str, Any]:
    began = time.monotonic()
    planned, scanned, clock, is_ticking = await run_in_threadpool(_begin, state)
    if not scanned:
        return {"message": "No jobs to process", "results": _results(0, 0, 0)}
    taken, due = 0, 1
    while is_ticking and due and time.monotonic() - began < _TICK_S:
        await asyncio.sleep(_POLL_S)
        taken, due = await run_in_threadpool(_claimed, state, clock)
    errors = [] if is_ticking else ["the platform is stopped; start it with swiftbolt up"]
    return {
        "message": "Tick complete",
        "duration": round((time.monotonic() - began) * 1000),
        "results": _results(scanned, planned, taken, *errors),
    }


def _results(scanned: int, created: int, dispatched: int, *errors: str) -> dict[str, Any]:
    return {
        "scanned": scanned,
        "slices_created": created,
        "jobs_dispatched": dispatched,
        "errors": list(errors),
    }


def _begin(state: ApiState) -> tuple[int, int, float, bool]:
    least = lowest(background=state.settings.background)
    planned = WorkQueue(state.database).plan(least_priority=least)
    with state.pool.transaction() as connection:
        return planned, operator.enabled_definitions(connection), *operator.begin_tick(connection)


def _claimed(state: ApiState, clock: float) -> tuple[int, int]:
    with state.pool.transaction() as connection:
        return operator.claimed_since(connection, clock)


def _report(state: ApiState) -> dict[str, Any]:
    with state.pool.transaction() as connection:
        report = asdict(operator.queue_report(connection))
    for kind in ("queued_jobs", "running_jobs", "recent_jobs"):
        report[kind] = [
            {name: iso(value) if isinstance(value, datetime) else value for name, value in row}
            for row in map(dict.items, report[kind])
        ]
    return report


def _retry(state: ApiState) -> int:
    with state.pool.transaction() as connection:
        return operator.retry_failed(connection)


def _slice(asked: FetchRequest) -> _Slice:
    if (
        asked.job_run_id is None
        or not asked.symbol
        or not asked.timeframe
        or asked.start is None
        or asked.end is None
    ):
        raise HttpError(400, "Missing required parameters: job_run_id, symbol, timeframe, from, to")
    return _Slice(
        asked.job_run_id,
        required_symbol(asked.symbol),
        required_timeframe(asked.timeframe),
        asked.start,
        asked.end,
    )


def _raise(state: ApiState, wanted: _Slice) -> bool:
    return in_turn(
        state.database,
        lambda connection: operator.raise_run(
            connection, wanted.run, wanted.symbol, wanted.timeframe
        ),
    )


def _look(state: ApiState, run: UUID) -> operator.RunState:
    with state.pool.transaction() as connection:
        found = operator.run_state(connection, run)
    if found is None:
        raise HttpError(404, f"job_run_id: run {run} is gone")
    return found


def _ended(asked: _Slice, run: operator.RunState, began: float) -> Response:
    took = round((time.monotonic() - began) * 1000)
    if run.status == "success":
        return Json(
            {
                "job_run_id": str(asked.run),
                "rows_written": run.rows_written,
                "provider": run.provider,
                "from": iso(asked.start),
                "to": iso(asked.end),
                "duration_ms": took,
            }
        )
    code = run.error_code or "UNKNOWN_ERROR"
    message = run.error_message or f"the run is {run.status}"
    more = {"code": code, "provider": run.provider, "job_run_id": str(asked.run)}
    raise HttpError(_STATUS.get(code, 409), message, more)
