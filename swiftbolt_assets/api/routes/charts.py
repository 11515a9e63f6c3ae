"""A symbol's bars for a chart: `chart-data-v2`.

A reply holds a bounded number of bars, the newest ones; what is older is one more request away.
What belongs here: layers and the reply's shape. What does not: which bars there are
(`resources/bars/chart.py`), the same as one list (`flat_charts.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import msgspec
from fastapi import APIRouter, Body, Request, Response
from pydantic import Field

from resources.bars import chart
from resources.bars.symbols import known_symbol
from swiftbolt_assets.api.arrow import ARROW, arrow_reply
from swiftbolt_assets.api.auth import AnyCaller
from swiftbolt_assets.api.description import answers
from swiftbolt_assets.api.fields import DAYS, INSTANT, Asked, required_symbol, required_timeframe
from swiftbolt_assets.api.replies import HttpError, Json, encode, iso
from swiftbolt_assets.api.shapes import Chart
from swiftbolt_assets.api.state import state_of
from swiftbolt_assets.clock import NEW_YORK, midnight

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from swiftbolt_assets.clock import Clock

router = APIRouter()
_STALE_H, _RECENT_H, _ENOUGH_BARS = 24, 4, 250
_LAYERS = ("historical", "intraday", "forecast")
_CHART = answers(Chart)
_CHART[200]["content"] = {ARROW: {"schema": {"type": "string", "format": "binary"}}}


class ChartRequest(Asked):
    """What of a symbol is to be shown.

    `start` and `end` win over `days`, which count back from `end`; both ends are included.
    """

    symbol: str | None = None
    timeframe: str = "d1"
    days: DAYS = 60
    includeForecast: bool = True  # noqa: N815 - the contract's name
    forecastDays: Annotated[int, Field(ge=0, le=366)] = 10  # noqa: N815 - the contract's name
    includeMLData: bool = True  # noqa: N815 - the contract's name
    start: INSTANT | None = None
    end: INSTANT | None = None
    adjusted: bool = True


class _Started(Protocol):
    """What begins at an instant, ISO 8601."""

    ts: str


class _Layered(_Started, Protocol):
    """What says which layer it is of."""

    is_intraday: bool
    is_forecast: bool


LayeredT = TypeVar("LayeredT", bound=_Layered)


class Bar(msgspec.Struct):
    """One bar as clients decode it: numbers are numbers, `ts` ends in Z."""

    ts: str
    open: float | None
    high: float | None
    low: float | None
    close: float
    volume: float | None
    provider: str
    is_intraday: bool
    is_forecast: bool
    data_status: str | None
    confidence_score: float | None
    upper_band: float | None
    lower_band: float | None


@router.post(
    "/chart-data-v2",
    summary="Bars of a symbol in layers: history, today, forecast",
    responses=_CHART,
)
def chart_data(
    asked: Annotated[ChartRequest, Body(default_factory=ChartRequest)],
    request: Request,
    caller: AnyCaller,
) -> Response:
    """Return bars; `Accept: application/vnd.apache.arrow.stream` returns them as Arrow.

    A ticker that nobody has asked for yet has none: an app that opens it looks here first, and an
    error would stay above the bars that follow.
    """
    if not asked.symbol:
        raise HttpError(400, "Symbol is required")
    state = state_of(request)
    symbol, timeframe = required_symbol(asked.symbol), required_timeframe(asked.timeframe)
    start, end = chart_range(asked, timeframe, state.settings.clock)
    with state.pool.transaction(caller) as connection:
        symbol_id = known_symbol(connection, symbol)
        page = chart.ChartPage([], None)
        if symbol_id is not None:
            wanted = chart.ChartRange(symbol_id, timeframe, start, end, asked.adjusted)
            page = chart.chart_page(connection, wanted)
    if ARROW in request.headers.get("accept", ""):
        return arrow_reply(page.rows)
    now = state.settings.clock.now()
    layers = in_layers([Bar(*row) for row in page.rows])
    body = {
        "symbol": symbol,
        "timeframe": timeframe,
        "layers": {name: _layer(bars) for name, bars in layers.items()},
        "metadata": {
            "total_bars": len(page.rows),
            "start_date": iso(start),
            "end_date": iso(end),
            "requested_days": asked.days,
            "forecast_days": asked.forecastDays if asked.includeForecast else 0,
            "forecast_steps": len(layers["forecast"]),
            "adjusted": asked.adjusted,
            "aggregated_from": "m15" if timeframe in chart.AGGREGATED else None,
            "older_before": iso(page.older_before),
        },
        "dataQuality": quality(layers["historical"] or layers["intraday"], layers["intraday"], now),
        "mlSummary": None,
        "indicators": None,
        "superTrendAI": None,
    }
    return Json(body)


def chart_range(asked: ChartRequest, timeframe: str, clock: Clock) -> tuple[datetime, datetime]:
    """Return the first and last bar start that a request asks for, UTC, today's included.

    Raises:
        HttpError: 400, the range is turned around.

    """
    today = clock.today()
    last = min(today, asked.end.astimezone(NEW_YORK).date()) if asked.end else today
    first = max(last - timedelta(days=asked.days), today.min + timedelta(days=366))
    start = asked.start.astimezone(UTC) if asked.start else midnight(_whole(first, timeframe))
    if asked.end:
        end = asked.end.astimezone(UTC)
    else:
        ahead = asked.forecastDays if asked.includeForecast else 0
        end = midnight(today + timedelta(days=ahead + 1)) - timedelta(seconds=1)
    if timeframe in chart.AGGREGATED and asked.start:
        # A day or week is made of all its bars, or it would be another one.
        start = midnight(_whole(start.astimezone(NEW_YORK).date(), timeframe))
    if start > end:
        raise HttpError(400, "start: it is after end; turn the two around")
    return start, end


def in_layers(bars: Sequence[LayeredT]) -> dict[str, list[LayeredT]]:
    """Return bars by layer; the date decides, as the bars' flags say."""
    layers: dict[str, list[LayeredT]] = {name: [] for name in _LAYERS}
    for bar in bars:
        name = "forecast" if bar.is_forecast else "intraday" if bar.is_intraday else "historical"
        layers[name].append(bar)
    return layers


def quality(bars: Sequence[_Started], today: Sequence[_Started], now: datetime) -> dict[str, Any]:
    """Return how old and how deep the stored bars are."""
    newest = (today or bars)[-1].ts if (today or bars) else None
    age = None if newest is None else (now - datetime.fromisoformat(newest)).total_seconds() / 3600
    oldest = datetime.fromisoformat(bars[0].ts) if bars else None
    count = len(bars) + (len(today) if bars is not today else 0)
    return {
        "dataAgeHours": None if age is None else int(age),
        "isStale": age is None or age > _STALE_H,
        "hasRecentData": age is not None and age < _RECENT_H,
        "historicalDepthDays": (now - oldest).days if oldest else 0,
        "sufficientForML": count >= _ENOUGH_BARS,
        "barCount": count,
    }


def _layer(bars: Sequence[Bar]) -> dict[str, Any]:
    return {
        "count": len(bars),
        "provider": bars[-1].provider if bars else "none",
        "data": msgspec.Raw(encode(bars)),
        "oldestBar": bars[0].ts if bars else None,
        "newestBar": bars[-1].ts if bars else None,
    }


def _whole(day: date, timeframe: str) -> date:
    return day - timedelta(days=day.weekday()) if timeframe == "w1" else day
