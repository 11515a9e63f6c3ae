"""How the platform is: `/health` for people and supervisors, `/metrics` for Prometheus."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.responses import Response

from resources import vitals
from resources.trouble import present_troubles
from swiftbolt_assets.api.auth import require_service
from swiftbolt_assets.api.coverage import TICK_OLD_S
from swiftbolt_assets.api.description import answers, problems
from swiftbolt_assets.api.replies import Json
from swiftbolt_assets.api.shapes import Health
from swiftbolt_assets.api.state import is_from_here, state_of
from swiftbolt_assets.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.vitals import Budget, Vitals
    from swiftbolt_assets.market.trouble import Trouble

router = APIRouter()
#: Troubles told in one message.
_TOLD = 3
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


_METRICS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Figures"},
    **problems(401, 403, 503),
}


class Meters:
    """What the API counts of itself; one an app, so that two in a process do not share figures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "swiftbolt_http_requests",
            "HTTP requests answered.",
            ("route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "swiftbolt_http_request_seconds",
            "Time to the first byte of an answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )


@router.get(
    "/health",
    tags=["operation"],
    summary="Whether all parts work",
    responses=answers(Health) | {503: {"model": Health, "description": "The database is down"}},
)
def health(request: Request) -> Response:
    """Return 200 while the API can answer, 503 when the database cannot."""
    state = state_of(request)
    began = time.monotonic()
    try:
        with state.pool.transaction() as connection:
            age, budgets = vitals.tick_age(connection), vitals.budgets(connection)
            found = present_troubles(connection)
    except StorageError as error:
        parts: dict[str, Any] = {"database": {"status": "down", "message": str(error)}}
        return Json({"status": "down", "parts": parts}, 503)
    took = round((time.monotonic() - began) * 1000, 1)
    parts = {
        "database": {"status": "ok", "milliseconds": took},
        "platform": tick_state(age),
        "answers": answers_state(found),
        **{budget.provider: budget_state(budget) for budget in budgets},
    }
    is_well = all(part["status"] == "ok" for part in parts.values())
    return Json(
        {
            "status": "ok" if is_well else "degraded",
            "data_source": "simulated" if state.settings.simulated else "real",
            "market_now": state.settings.clock.now(),
            "parts": parts,
        }
    )


@router.get(
    "/metrics",
    tags=["operation"],
    summary="Figures for Prometheus",
    response_class=Response,
    responses=_METRICS,
)
def metrics(request: Request) -> Response:
    """Return the figures; the service key opens them for whoever is not on this machine."""
    state = state_of(request)
    if not is_from_here(request):
        require_service(request)
    with state.pool.transaction() as connection:
        found = vitals.vitals(connection)
    meters: Meters = request.app.state.meters
    body = generate_latest(meters.registry) + generate_latest(
        figures(found, watchers=state.newsroom.watchers)
    )
    return Response(body, media_type=CONTENT_TYPE_LATEST)


def tick_state(age: float | None) -> dict[str, Any]:
    """Return whether the platform ticks, judged by its own last word."""
    if age is None:
        return {"status": "stopped", "message": "it has never run; swiftbolt up starts it"}
    shown = {"seconds_since_tick": round(age, 1)}
    if age > TICK_OLD_S:
        return {"status": "stopped", "message": "no tick; swiftbolt up starts it", **shown}
    return {"status": "ok", **shown}


def answers_state(found: Sequence[Trouble]) -> dict[str, Any]:
    """Return whether providers answer as they usually do, and each symbol gets something."""
    if not found:
        return {"status": "ok"}
    more = len(found) - _TOLD
    told = "; ".join(one.text for one in found[:_TOLD])
    return {"status": "failing", "message": told + (f"; and {more} more" if more > 0 else "")}


def budget_state(budget: Budget) -> dict[str, Any]:
    """Return whether a provider is asked, and what is left of its minute."""
    shown: dict[str, Any] = {}
    if budget.per_minute:
        shown = {
            "requests_a_minute": budget.per_minute,
            "requests_free": budget.free,
            "waiting": budget.waiting,
        }
    if budget.reason is not None:
        shown |= {"message": budget.reason, "cooling_down_s": round(budget.cooling_s)}
        return {"status": "cooling_down", **shown}
    return {"status": "ok", **shown}


def figures(found: Vitals, *, watchers: int) -> CollectorRegistry:
    """Return the platform's figures as a registry of their own."""
    registry = CollectorRegistry()

    def gauge(name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(f"swiftbolt_{name}", text, labels, registry=registry)

    jobs = gauge("jobs", "Slices by timeframe row and state.", ("status",))
    for status, count in found.jobs.items():
        jobs.labels(status).set(count)
    per_minute = gauge("requests_per_minute", "Requests any 60 s may see.", ("provider",))
    free = gauge("requests_free", "Requests that may be sent now.", ("provider",))
    waiting = gauge("requests_waiting", "Callers that wait for a request.", ("provider",))
    cooling = gauge("provider_cooling_seconds", "Until a provider is asked again.", ("provider",))
    for budget in found.budgets:
        per_minute.labels(budget.provider).set(budget.per_minute)
        free.labels(budget.provider).set(budget.free)
        waiting.labels(budget.provider).set(budget.waiting)
        cooling.labels(budget.provider).set(budget.cooling_s)
    sent = gauge("provider_requests_last_hour", "Sent requests.", ("provider", "outcome"))
    for (provider, outcome), count in found.requests.items():
        sent.labels(provider, outcome).set(count)
    gauge("bars_stored", "Stored bars, estimated.").set(found.bars)
    gauge("bars_rejected", "Quarantined bars, estimated.").set(found.rejected)
    gauge("symbols_wanted", "Symbols that somebody wants.").set(found.symbols)
    gauge("event_streams", "Open streams.").set(watchers)
    gauge("tick_age_seconds", "Since the platform's last tick; -1 before the first.").set(
        -1 if found.tick_age_s is None else found.tick_age_s
    )
    return registry
