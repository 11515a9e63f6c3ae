"""How the platform is: `/health` for people and supervisors, `/metrics` for Prometheus."""

from __future__ import annotations

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

from resources.platform import vitals
from swiftbolt_assets.api.auth import require_service
from swiftbolt_assets.api.description import answers, problems
from swiftbolt_assets.api.replies import Json
from swiftbolt_assets.api.shapes import Health
from swiftbolt_assets.api.state import is_from_here, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.platform.vitals import Vitals

router = APIRouter()
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
    """Return 200 while the API can answer, 503 when the database cannot, as last looked at."""
    state = state_of(request)
    found = state.checkup.latest()
    return Json(found.body(state.settings), found.http_status)


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
