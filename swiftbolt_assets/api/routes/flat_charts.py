"""A symbol's bars as one list: `chart`, by GET with its layers if asked for, by POST in pages.

One reply serves all states of the app: what one of them needs, another one ignores.

What belongs here: the list, its pages, and how fresh it is. What does not: which bars there are
(`resources/bars/chart.py`), layers alone (`charts.py`).
"""

# ruff: noqa: N815 - the contract's names

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import Field

from resources.bars import chart
from resources.bars.absences import pending_splits
from resources.bars.symbols import asset_type, id_to_be, known_symbol
from swiftbolt_assets.api.auth import AnyCaller
from swiftbolt_assets.api.description import answers
from swiftbolt_assets.api.fields import DAYS, Asked, required_symbol, required_timeframe
from swiftbolt_assets.api.replies import HttpError, Json, encode, iso
from swiftbolt_assets.api.routes.charts import ChartRequest, chart_range, in_layers, quality
from swiftbolt_assets.api.shapes import ChartPage, FlatChart
from swiftbolt_assets.api.state import state_of
from swiftbolt_assets.market.hours import market_hours

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from resources.postgres.callers import Caller, Connection
    from swiftbolt_assets.api.state import ApiState

router = APIRouter()
#: Minutes until a timeframe's newest bar is old.
_SLA_MINUTES = {"m15": 30, "h1": 120, "h4": 480, "d1": 1_440, "w1": 10_080}
_DAYS = 365
_PAGE, _LARGEST_PAGE = 400, 1_000
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
#: A number from here on counts milliseconds.
_MILLISECONDS_FROM = 1e12


class FlatChartRequest(Asked):
    """What of a symbol is to be shown; with `before` a page of what is older.

    `before` is an instant that is left out: seconds since 1970, or ISO 8601.
    """

    symbol: str | None = None
    timeframe: str = "d1"
    days: DAYS = _DAYS
    includeForecast: bool = False
    layers: bool = False
    before: Annotated[float | str | None, Field(union_mode="left_to_right")] = None
    pageSize: int = _PAGE


class FlatBar(msgspec.Struct, omit_defaults=True):
    """One bar as all states of the app decode it; a forecast's open, high and low are its close."""

    ts: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    provider: str
    dataStatus: str
    is_forecast: bool
    is_partial: bool
    is_intraday: bool
    confidence_score: float | None = None
    upper_band: float | None = None
    lower_band: float | None = None


@router.get("/chart", summary="Bars of a symbol as one list", responses=answers(FlatChart))
def flat_chart(
    request: Request,
    caller: AnyCaller,
    symbol: Annotated[str | None, Query()] = None,
    timeframe: Annotated[str, Query()] = "d1",
    days: Annotated[DAYS, Query()] = _DAYS,
    include_forecast: Annotated[bool, Query()] = False,  # noqa: FBT002 - the contract's parameter
    layers: Annotated[bool, Query()] = False,  # noqa: FBT002 - the contract's parameter
) -> Response:
    """Return bars of history and today; a ticker that nobody has opened yet has none."""
    asked = FlatChartRequest(
        symbol=symbol,
        timeframe=timeframe,
        days=days,
        includeForecast=include_forecast,
        layers=layers,
    )
    return Json(_shown(state_of(request), caller, asked))


@router.post(
    "/chart",
    summary="The same by a body, and in pages",
    responses=answers(FlatChart, ChartPage),
)
def flat_chart_by_body(
    asked: Annotated[FlatChartRequest, Body(default_factory=FlatChartRequest)],
    request: Request,
    caller: AnyCaller,
) -> Response:
    """Return bars; with `before` the newest ones that are older, none where history begins."""
    state = state_of(request)
    if asked.before is None:
        return Json(_shown(state, caller, asked))
    return Json(_page(state, caller, asked, parse_before(asked.before)))


def parse_before(value: float | str) -> datetime:
    """Return the instant that ends a page, UTC.

    Raises:
        HttpError: 400, it is none, or none of these centuries.

    """
    try:
        number = float(value)
    except ValueError:
        number = None
    try:
        if number is None:
            found = datetime.fromisoformat(str(value).strip())
            instant = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        else:
            seconds = number / 1_000 if abs(number) >= _MILLISECONDS_FROM else number
            instant = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        instant = None
    if instant is None or not _EARLIEST <= instant < _LATEST:
        raise HttpError(400, "before: use seconds since 1970 or ISO 8601, from 1900 to 2199")
    return instant


def _shown(state: ApiState, caller: Caller, asked: FlatChartRequest) -> dict[str, Any]:
    """Return the reply; a ticker that nobody has opened yet has no bars.

    Raises:
        HttpError: 400, no symbol is given.
        UsageError: a value is wrong; names it.

    """
    ticker, timeframe = _named(asked)
    clock = state.settings.clock
    start, end = chart_range(
        ChartRequest(days=asked.days, includeForecast=asked.includeForecast), timeframe, clock
    )
    with state.pool.transaction(caller) as connection:
        symbol_id = known_symbol(connection, ticker)
        bars: list[FlatBar] = []
        if symbol_id is not None:
            wanted = chart.ChartRange(symbol_id, timeframe, start, end)
            bars = _bars(chart.chart_page(connection, wanted).rows)
        work = chart.has_work(connection, ticker)
        splits = pending_splits(connection, ticker, 1)
        identity = _identity(connection, ticker, symbol_id)
    now, sla = clock.now(), _SLA_MINUTES[timeframe]
    real = [bar for bar in bars if not bar.is_forecast]
    newest = real[-1].ts if real else None
    age = None if newest is None else (now - datetime.fromisoformat(newest)).total_seconds() / 60
    # Where there is none, nothing is old.
    is_stale = age is not None and age > sla
    layers = in_layers(bars)
    history, today = layers["historical"], layers["intraday"]
    body: dict[str, Any] = {
        **identity,
        "timeframe": timeframe,
        "bars": msgspec.Raw(encode(bars)),
        "optionsRanks": [],
        "mlSummary": None,
        "indicators": None,
        "meta": {
            "lastBarTs": newest,
            "dataStatus": _status(is_working=work, is_fresh=not is_stale, is_empty=not real),
            "isMarketOpen": market_hours(state.calendar.now(), now).is_open,
            "latestForecastRunAt": None,
            "hasPendingSplits": bool(splits),
            "pendingSplitInfo": (
                f"{splits[0].split_to:g} for {splits[0].split_from:g} on {splits[0].day}"
                if splits
                else None
            ),
            "totalBars": len(bars),
            "requestedRange": {"start": iso(start), "end": iso(end)},
        },
        "dataQuality": quality(history or today, today, now)
        | {"isStale": is_stale, "slaHours": sla / 60},
        "freshness": {
            "ageMinutes": None if age is None else int(age),
            "slaMinutes": sla,
            "isWithinSla": not is_stale,
        },
    }
    if asked.layers:
        body["layers"] = {name: _layer(found) for name, found in layers.items()}
    return body


def _page(
    state: ApiState,
    caller: Caller,
    asked: FlatChartRequest,
    before: datetime,
) -> dict[str, Any]:
    ticker, timeframe = _named(asked)
    size = min(max(asked.pageSize, 1), _LARGEST_PAGE)
    # The range's end is included; bars start at whole seconds.
    end = before.replace(microsecond=0) - timedelta(seconds=before.microsecond == 0)
    with state.pool.transaction(caller) as connection:
        symbol_id = known_symbol(connection, ticker)
        bars: list[FlatBar] = []
        if symbol_id is not None:
            wanted = chart.ChartRange(symbol_id, timeframe, _EARLIEST, end)
            bars = _bars(chart.chart_page(connection, wanted, most=size).rows)
        identity = _identity(connection, ticker, symbol_id)
    return {
        **identity,
        "timeframe": timeframe,
        "bars": [bar for bar in bars if not bar.is_forecast],
    }


def _named(asked: FlatChartRequest) -> tuple[str, str]:
    if not asked.symbol:
        raise HttpError(400, "Symbol is required")
    return required_symbol(asked.symbol), required_timeframe(asked.timeframe)


def _identity(connection: Connection, ticker: str, symbol_id: UUID | None) -> dict[str, Any]:
    kind = "stock" if symbol_id is None else asset_type(connection, symbol_id)
    found = id_to_be(connection, ticker) if symbol_id is None else symbol_id
    return {"symbol": ticker, "symbol_id": str(found), "assetType": kind, "asset_type": kind}


def _bars(rows: Sequence[tuple[Any, ...]]) -> list[FlatBar]:
    """Return rows of `chart.COLUMNS` as bars without a null where a number must be."""
    bars = []
    for ts, opened, high, low, close, volume, provider, today, forecast, status, *bands in rows:
        bars.append(
            FlatBar(
                ts,
                close if opened is None else opened,
                close if high is None else high,
                close if low is None else low,
                close,
                0.0 if volume is None else volume,
                provider,
                status or "verified",
                forecast,
                status == "provisional",
                today,
                *bands,
            )
        )
    return bars


def _status(*, is_working: bool, is_fresh: bool, is_empty: bool) -> str:
    if is_working:
        return "refreshing"
    if is_empty:
        return "no_data"
    return "fresh" if is_fresh else "stale"


def _layer(bars: Sequence[FlatBar]) -> dict[str, Any]:
    return {
        "count": len(bars),
        "provider": bars[-1].provider if bars else "none",
        "data": msgspec.Raw(encode(bars)),
    }
