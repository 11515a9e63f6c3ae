"""What replies hold, for the API's description: programs are written against it.

The routes answer with plain values (`replies.py`); a test holds both together.
What belongs here: the shapes of the replies of functions. What does not: of requests, which stand
at their routes.
"""

# ruff: noqa: N815 - the contract's names

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, WithJsonSchema

from resources.providers.registry import TODAY

_QuoteSource = Annotated[
    str, WithJsonSchema({"enum": [TODAY.name, "stored_bars"], "type": "string"})
]
_Timeframe = Literal["m15", "h1", "h4", "d1", "w1"]


class Problem(BaseModel):
    """What any other answer than a 200 holds: one line, and sometimes more."""

    error: str
    retry_after: int | None = None


class CoverageStatus(BaseModel):
    """What is stored of a timeframe."""

    from_ts: datetime | None
    to_ts: datetime | None
    last_success_at: datetime | None
    gaps_found: int


class BackfillProgress(BaseModel):
    """How far a definition is; slices are requests."""

    total_slices: int
    completed_slices: int
    running_slices: int
    queued_slices: int
    failed_slices: int
    progress_percent: int
    bars_written: int


class Ensured(BaseModel):
    """How complete a symbol's timeframe is."""

    job_def_id: UUID
    symbol: str
    timeframe: _Timeframe
    status: Literal["gaps_detected", "coverage_complete"]
    coverage_status: CoverageStatus
    backfill_progress: BackfillProgress | None = None
    aggregated_from: Literal["m15"] | None
    eta_seconds: float | None
    message: str | None


class SessionGap(BaseModel):
    """A session that is not simply full; absences: start of a quarter hour -> reason.

    `unconfirmed` counts the quarter hours without a bar that are in doubt; `ask_again_at` is when
    the provider is asked once more.
    """

    day: date
    opens: datetime
    closes: datetime
    state: Literal["final", "open", "provisional", "not_fetched"]
    reason: str | None
    bars: int
    expected: int
    absences: dict[str, str]
    unconfirmed: int
    ask_again_at: datetime | None


class Window(BaseModel):
    """New York dates, both included."""

    first_day: date
    last_day: date


class OpenWork(BaseModel):
    """A slice that is not done."""

    first_day: date
    last_day: date
    state: Literal["queued", "running", "retrying", "failed"]
    attempt: int
    error_message: str | None


class Split(BaseModel):
    """So many old shares became so many new ones, as listed, and what the prices say of it.

    Prices before `effective_date` are folded; it is null where the split does not count, because
    it is `repeated` (listed a second time) or `doubtful` (prices do not show it).
    """

    execution_date: date
    split_from: float
    split_to: float
    effective_date: date | None
    state: Literal["listed", "shown", "moved", "repeated", "doubtful"]


class Delisted(BaseModel):
    """A symbol that trades no more, by what evidence, and when it is asked about again."""

    symbol: str
    since: date
    last_bar_on: date | None
    evidence: str
    asked_on: date
    ask_on: date


class Covered(BaseModel):
    """What a symbol lacks, and why; its name is empty where nobody has told it."""

    symbol: str
    name: str
    data_source: Literal["simulated", "real"]
    today: date
    window: Window
    sessions: list[SessionGap]
    work: list[OpenWork]
    splits: list[Split]
    delisted: Delisted | None


class Synced(BaseModel):
    """What was recorded."""

    success: bool
    symbols_tracked: int
    symbols_requested: int
    timeframes: int
    jobs_updated: int
    priority: int
    source: str


class WatchlistItem(BaseModel):
    """A symbol on a watchlist; nobody forecasts or ranks it, so `jobStatus` says nothing."""

    symbol: str
    addedAt: datetime
    jobStatus: None
    lastPrice: float | None
    avgDailyVolumeAll: float | None
    avgDailyVolume10d: float | None
    avgLastPriceAll: float | None
    avgLastPrice10d: float | None


class JobState(BaseModel):
    """How far the work on a symbol is."""

    jobType: Literal["backfill"]
    status: Literal["pending", "running", "completed", "failed"]


class Watchlist(BaseModel):
    """A watchlist after what was asked for; averages and jobs are those of the symbol named."""

    success: bool
    message: str | None
    symbol: str | None
    watchlistId: UUID
    items: list[WatchlistItem]
    jobStatus: list[JobState]
    avgDailyVolumeAll: float | None
    avgDailyVolume10d: float | None
    avgLastPriceAll: float | None
    avgLastPrice10d: float | None


class FoundSymbol(BaseModel):
    """A symbol that fits; an unknown one may be opened, too. Its name may be empty."""

    id: UUID
    ticker: str
    asset_type: str
    description: str
    known: bool


class ChartBar(BaseModel):
    """One bar, named by its start."""

    ts: datetime
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


class Layer(BaseModel):
    """Bars of history, of today, or foreseen ones; ascending."""

    count: int
    provider: str
    data: list[ChartBar]
    oldestBar: datetime | None
    newestBar: datetime | None


class Layers(BaseModel):
    """No start is in two of them."""

    historical: Layer
    intraday: Layer
    forecast: Layer


class ChartMetadata(BaseModel):
    """What was asked for; `older_before` where older bars were left out."""

    total_bars: int
    start_date: datetime
    end_date: datetime
    requested_days: int
    forecast_days: int
    forecast_steps: int
    adjusted: bool
    aggregated_from: Literal["m15"] | None
    older_before: datetime | None


class Quality(BaseModel):
    """How old and how deep the shown bars are."""

    dataAgeHours: int | None
    isStale: bool
    hasRecentData: bool
    historicalDepthDays: int
    sufficientForML: bool
    barCount: int


class Chart(BaseModel):
    """Bars of a symbol in layers."""

    symbol: str
    timeframe: _Timeframe
    layers: Layers
    metadata: ChartMetadata
    dataQuality: Quality
    mlSummary: None
    indicators: None
    superTrendAI: None


class FlatBar(BaseModel):
    """One bar of a list; `is_partial` where it is still forming, bands of forecasts only."""

    ts: datetime
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


class FlatLayer(BaseModel):
    """A part of a list."""

    count: int
    provider: str
    data: list[FlatBar]


class FlatLayers(BaseModel):
    """No start is in two of them."""

    historical: FlatLayer
    intraday: FlatLayer
    forecast: FlatLayer


class Span(BaseModel):
    """From and to, both included."""

    start: datetime
    end: datetime


class FlatMeta(BaseModel):
    """What the bars are; `refreshing` while something of the symbol is at work."""

    lastBarTs: datetime | None
    dataStatus: Literal["refreshing", "no_data", "fresh", "stale"]
    isMarketOpen: bool
    latestForecastRunAt: None
    hasPendingSplits: bool
    pendingSplitInfo: str | None
    totalBars: int
    requestedRange: Span


class Freshness(BaseModel):
    """How old the newest bar is, and may be."""

    ageMinutes: int | None
    slaMinutes: float
    isWithinSla: bool


class FlatQuality(Quality):
    """How old and how deep the shown bars are, and may be."""

    slaHours: float


class ChartPage(BaseModel):
    """Bars of a symbol as one list; none where history begins.

    The id of a ticker that nobody has opened yet serves lists only.
    """

    symbol: str
    symbol_id: UUID
    assetType: str
    asset_type: str
    timeframe: _Timeframe
    bars: list[FlatBar]


class FlatChart(ChartPage):
    """Bars of history, today and forecasts as one list, and in layers if asked for."""

    optionsRanks: list[Any]
    mlSummary: None
    indicators: None
    meta: FlatMeta
    dataQuality: FlatQuality
    freshness: Freshness
    layers: FlatLayers | None = None


class MarketHours(BaseModel):
    """Regular hours; `nextClose` is the running session's, or the next one's."""

    isOpen: bool
    nextOpen: datetime
    nextClose: datetime
    timestamp: datetime


class PendingAction(BaseModel):
    """A split to come; new shares for one old share."""

    symbol: str
    type: Literal["split", "forward_split", "reverse_split", "stock_dividend"]
    exDate: date
    ratio: float
    cashAmount: None


class MarketStatus(BaseModel):
    """The exchange now, and splits to come."""

    market: MarketHours
    pendingActions: list[PendingAction]


class RefreshStep(BaseModel):
    """A part of what a press asks for."""

    step: str
    status: Literal["completed", "pending", "skipped", "failed"]
    message: str


class RefreshSummary(BaseModel):
    """Bars of all stored timeframes that are new or changed since the press; what is missing."""

    backfillNeeded: bool
    backfillQueued: bool
    barsUpdated: int
    mlJobQueued: Literal[False]
    optionsJobQueued: Literal[False]
    srCalculated: Literal[False]


class Refreshed(BaseModel):
    """What a press has come to; the duration is in milliseconds."""

    symbol: str
    success: bool
    steps: list[RefreshStep]
    summary: RefreshSummary
    queuedJobs: list[str]
    warnings: list[str]
    nextExpectedUpdate: datetime
    message: str
    durationMs: int


class BarsLoaded(BaseModel):
    """Stored bars that are new or changed since the press; days and weeks are not stored."""

    m15: int
    h1: int
    h4: int
    d1: None
    w1: None


class ReloadResult(BaseModel):
    """What became of one symbol."""

    symbol: str
    status: Literal["success", "pending", "error"]
    message: str
    barsLoaded: BarsLoaded | None


class ReloadSummary(BaseModel):
    """How many symbols; those that wait are in neither of the last two."""

    total: int
    success: int
    errors: int


class Reloaded(BaseModel):
    """What a press for several symbols has come to."""

    success: bool
    message: str
    summary: ReloadSummary
    results: list[ReloadResult]


class ShownQuote(BaseModel):
    """A price now; what no source tells is the last price, or that of the bars there are."""

    symbol: str
    last: float
    bid: float
    ask: float
    open: float
    high: float
    low: float
    close: float
    volume: float
    change: float
    change_percentage: float
    average_volume: float
    week_52_high: float
    week_52_low: float
    last_trade_time: str
    source: _QuoteSource


class Quoted(BaseModel):
    """Prices now, in the order asked for."""

    success: bool
    market_state: Literal["open", "premarket", "postmarket", "closed"]
    market_description: str
    timestamp: datetime
    count: int
    quotes: list[ShownQuote]


class TickResults(BaseModel):
    """What a tick did."""

    scanned: int
    slices_created: int
    jobs_dispatched: int
    errors: list[str]


class Ticked(BaseModel):
    """A tick's or a retry's answer; the duration is in milliseconds."""

    message: str
    duration: int | None = None
    results: TickResults | None = None


class QueueState(BaseModel):
    """The queue: true totals, short lists."""

    queued: int
    running: int
    queued_jobs: list[dict[str, Any]]
    running_jobs: list[dict[str, Any]]
    recent_jobs: list[dict[str, Any]]


class FetchedSlice(BaseModel):
    """What a slice came to (`from` and `to` are the request's)."""

    job_run_id: UUID
    rows_written: int
    provider: str | None
    duration_ms: int


class Health(BaseModel):
    """How the parts are."""

    status: Literal["ok", "degraded", "down"]
    data_source: Literal["simulated", "real"] | None = None
    market_now: datetime | None = None
    parts: dict[str, dict[str, Any]]
