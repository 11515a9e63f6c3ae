"""The app's types, one decoder a struct, with file and line of each.

Files are below `client-macos/SwiftBoltML`. Where no state is named, the lines are those of S1 and
of S2, whose models are the same; what HEAD changed stands beside it.
"""

from __future__ import annotations

from rehearsal.macos.swift import (
    Array,
    Kind,
    Struct,
    anything,
    boolean,
    double,
    instant,
    integer,
    integer_or_string,
    string,
    uuid,
)

_AVERAGES: dict[str, Kind] = {
    "avgDailyVolumeAll?": double,
    "avgDailyVolume10d?": double,
    "avgLastPriceAll?": double,
    "avgLastPrice10d?": double,
}
_SYMBOL: dict[str, Kind] = {
    "id": uuid,
    "ticker": string,
    "asset_type": string,
    "description": string,
    **_AVERAGES,
}
SYMBOL = Struct("Models/Symbol.swift:3-22", _SYMBOL)
EXPIRY = Struct(
    "HEAD Models/Symbol.swift:3-13",
    {"month": integer, "year": integer, "last_trade_date?": string},
)
SYMBOL_HEAD = Struct(
    "HEAD Models/Symbol.swift:15-44",
    {
        **_SYMBOL,
        "requires_expiry_picker?": boolean,
        "root_symbol?": string,
        "is_continuous?": boolean,
        "expiry_info?": EXPIRY,
    },
)

#: Open, high and low fall back on close, volume on 0.
_BAR: dict[str, Kind] = {
    "ts": instant,
    "close": double,
    "open?": double,
    "high?": double,
    "low?": double,
    "volume?": double,
    "upper_band?": double,
    "lower_band?": double,
    "confidence_score?": double,
}
BAR = Struct("Models/OHLCBar.swift:63-113 init(from:)", _BAR)
BAR_HEAD = Struct(
    "HEAD Models/OHLCBar.swift:74-126 init(from:)",
    {**_BAR, "is_forecast?": boolean, "is_partial?": boolean},
)

FORECAST_POINT = Struct(
    "Models/ChartResponse.swift:200-233 init(from:)",
    {"ts": integer_or_string, "value": double, "lower": double, "upper": double},
)
FORECAST_SERIES = Struct(
    "Models/ChartResponse.swift:185-188", {"horizon": string, "points": Array(FORECAST_POINT)}
)
ML_SUMMARY = Struct(
    "Models/ChartResponse.swift:105-116; HEAD :118-133",
    {
        "overallLabel?": string,
        "confidence": double,
        "horizons": Array(FORECAST_SERIES),
        # Their own fields are optional, and nothing is sent.
        "srLevels?": anything,
        "srDensity?": integer,
        "ensembleType?": string,
        "modelAgreement?": double,
        "trainingStats?": anything,
    },
)
INDICATORS = Struct(
    "Models/ChartResponse.swift:72-103; HEAD :85-116",
    {
        "supertrend_factor?": double,
        "supertrend_performance?": double,
        "supertrend_signal?": integer,
        "trend_label?": string,
        "trend_confidence?": integer,
        "stop_level?": double,
        "trend_duration_bars?": integer,
        "rsi?": double,
        "adx?": double,
        "macd_histogram?": double,
        "kdj_j?": double,
    },
)
SIGNAL = Struct(
    "Models/ChartResponse.swift:47-67; HEAD :60-80",
    {
        "date": string,
        "type": string,
        "price": double,
        "confidence": integer,
        "stop_level": double,
        "target_price": double,
        "atr_at_signal": double,
    },
)
SUPERTREND = Struct(
    "Models/ChartResponse.swift:26-44; HEAD :39-57",
    {
        "factor": double,
        "performance_index": double,
        "signal_strength": integer,
        "current_trend": string,
        "current_stop_level": double,
        "trend_duration_bars": integer,
        "signals": Array(SIGNAL),
    },
)
_STUDIES: dict[str, Kind] = {"mlSummary?": ML_SUMMARY, "indicators?": INDICATORS}

_LAYERS = ("historical", "intraday", "forecast")
LAYER = Struct(
    "Models/ChartDataV2Response.swift:19-23",
    {"count": integer, "provider": string, "data": Array(BAR)},
)
METADATA = Struct(
    "Models/ChartDataV2Response.swift:25-35",
    {"total_bars": integer, "start_date": string, "end_date": string},
)
QUALITY = Struct(
    "HEAD Models/ChartDataV2Response.swift:221-230",
    {
        "dataAgeHours?": integer,
        "isStale": boolean,
        "hasRecentData?": boolean,
        "historicalDepthDays?": integer,
        "slaHours?": double,
        "sufficientForML": boolean,
        "barCount": integer,
    },
)
CHART_V2 = Struct(
    "Models/ChartDataV2Response.swift:3-17",
    {
        "symbol": string,
        "timeframe": string,
        "layers": Struct("Models/ChartDataV2Response.swift:13-17", dict.fromkeys(_LAYERS, LAYER)),
        "metadata": METADATA,
        **_STUDIES,
        "superTrendAI?": SUPERTREND,
    },
)

_CHART: dict[str, Kind] = {
    "symbol": string,
    "assetType": string,
    "timeframe": string,
    **_STUDIES,
    "supertrend_ai?": SUPERTREND,
}
CHART = Struct("Models/ChartResponse.swift:3-21", {**_CHART, "bars": Array(BAR)})
READ_REFRESH = Struct(
    "HEAD Models/ChartResponse.swift:27-34",
    {
        "attempted": boolean,
        "timeframe": string,
        "symbol": string,
        "enqueuedTimeframes?": Array(string),
        "insertedSlices?": integer,
        "error?": string,
    },
)
CHART_HEAD = Struct(
    "HEAD Models/ChartResponse.swift:3-25",
    {**_CHART, "bars": Array(BAR_HEAD), "dataQuality?": QUALITY, "refresh?": READ_REFRESH},
)
OPTIONS_RANK = Struct(
    "HEAD Models/ChartDataV2Response.swift:395-408",
    {
        "expiry": string,
        "side": string,
        "runAt": string,
        **dict.fromkeys(
            ("strike", "mlScore", "impliedVol", "delta", "gamma", "theta", "vega"), double
        ),
        "openInterest": double,
        "volume": double,
    },
)
UNIFIED_LAYER = Struct(
    "HEAD Models/ChartDataV2Response.swift:348-351", {"count": integer, "data": Array(BAR_HEAD)}
)
UNIFIED_CHART = Struct(
    "HEAD Models/ChartDataV2Response.swift:298-319",
    {
        "symbol": string,
        "symbol_id": string,
        "timeframe": string,
        "asset_type": string,
        "bars": Array(BAR_HEAD),
        "optionsRanks": Array(OPTIONS_RANK),
        **_STUDIES,
        "meta": Struct(
            "HEAD Models/ChartDataV2Response.swift:360-372",
            {
                "lastBarTs?": string,
                "dataStatus": string,
                "isMarketOpen": boolean,
                "totalBars": integer,
                "hasPendingSplits": boolean,
                "latestForecastRunAt?": string,
            },
        ),
        "dataQuality": QUALITY,
        "freshness": Struct(
            "HEAD Models/ChartDataV2Response.swift:375-379",
            {"ageMinutes?": double, "slaMinutes": double, "isWithinSla": boolean},
        ),
        "futures?": Struct(
            "HEAD Models/ChartDataV2Response.swift:382-392",
            {"requested_symbol": string, "resolved_symbol": string, "is_continuous": boolean},
        ),
        "layers?": Struct(
            "HEAD Models/ChartDataV2Response.swift:353-357",
            dict.fromkeys(_LAYERS, UNIFIED_LAYER),
        ),
    },
)

PROGRESS = Struct(
    "Models/EnsureCoverageResponse.swift:25-43",
    dict.fromkeys(
        (
            "total_slices",
            "completed_slices",
            "running_slices",
            "queued_slices",
            "failed_slices",
            "progress_percent",
            "bars_written",
        ),
        integer,
    ),
)
ENSURED = Struct(
    "Models/EnsureCoverageResponse.swift:3-52",
    {
        "job_def_id": string,
        "symbol": string,
        "timeframe": string,
        "status": string,
        "coverage_status": Struct(
            "Models/EnsureCoverageResponse.swift:11-23",
            {
                "from_ts?": string,
                "to_ts?": string,
                "last_success_at?": string,
                "gaps_found": integer,
            },
        ),
        "backfill_progress?": PROGRESS,
    },
)
SYNCED = Struct(
    "S2 and HEAD Services/SymbolSyncService.swift:15-23",
    {
        "success": boolean,
        "symbols_tracked": integer,
        "symbols_requested": integer,
        "timeframes": integer,
        "jobs_updated": integer,
        "priority": integer,
        "source": string,
    },
)
JOB_STATUS = Struct(
    "Models/WatchlistModels.swift:62-67",
    {
        "jobType": string,
        "status": string,
        "createdAt?": string,
        "completedAt?": string,
        "errorMessage?": string,
    },
)
WATCHLIST_ITEM = Struct(
    "Models/WatchlistModels.swift:33-40",
    {
        "symbol": string,
        "addedAt": string,
        "jobStatus?": Struct(
            "Models/WatchlistModels.swift:47-49", {"forecast?": string, "ranking?": string}
        ),
        **_AVERAGES,
    },
)
WATCHLIST = Struct(
    "Models/WatchlistModels.swift:19-31",
    {
        "success": boolean,
        "message?": string,
        "symbol?": string,
        "watchlistId?": string,
        "items?": Array(WATCHLIST_ITEM),
        "jobStatus?": Array(JOB_STATUS),
        **_AVERAGES,
    },
)
#: Any other word shows as "Unknown" (JobStatusState, WatchlistModels.swift:82-87).
JOB_WORDS = frozenset({"pending", "running", "completed", "failed"})
QUOTE = Struct(
    "Models/QuoteResponse.swift:56-82 init(from:)",
    {
        "symbol": string,
        **dict.fromkeys(
            (
                "last",
                "bid",
                "ask",
                "open",
                "high",
                "low",
                "close",
                "volume",
                "change",
                "change_percentage",
                "average_volume",
                "week_52_high",
                "week_52_low",
            ),
            double,
        ),
        # Milliseconds or a text, else now.
        "last_trade_time?": anything,
    },
)
QUOTES = Struct(
    "Models/QuoteResponse.swift:3-18",
    {
        "success": boolean,
        "market_state": string,
        "market_description?": string,
        "timestamp": string,
        "count": integer,
        "quotes": Array(QUOTE),
    },
)
_REFRESH: dict[str, Kind] = {
    "symbol": string,
    "success": boolean,
    "steps": Array(
        Struct(
            "Services/APIClient.swift S1:757-761, S2:801-805, HEAD:2384-2388",
            {"step": string, "status": string, "message?": string},
        )
    ),
    "summary": Struct(
        "Services/APIClient.swift S1:763-770, S2:807-814, HEAD:2390-2397",
        {
            "backfillNeeded": boolean,
            "backfillQueued": boolean,
            "barsUpdated": integer,
            "mlJobQueued": boolean,
            "optionsJobQueued": boolean,
            "srCalculated": boolean,
        },
    ),
    "message": string,
    "durationMs": integer,
}
USER_REFRESH = Struct("Services/APIClient.swift S1:749-755, S2:793-799", _REFRESH)
USER_REFRESH_HEAD = Struct(
    "HEAD Services/APIClient.swift:2373-2382",
    {
        **_REFRESH,
        "queuedJobs?": Array(string),
        "warnings?": Array(string),
        "nextExpectedUpdate?": string,
    },
)
#: Decoded with `.convertFromSnakeCase` (MarketStatusService.swift:89-91), which leaves these names.
MARKET_STATUS = Struct(
    "HEAD Services/MarketStatusService.swift:20-23",
    {
        "market": Struct(
            "HEAD Services/MarketStatusService.swift:4-9",
            {"isOpen": boolean, "nextOpen": string, "nextClose": string, "timestamp": string},
        ),
        "pendingActions": Array(
            Struct(
                "HEAD Services/MarketStatusService.swift:11-18",
                {
                    "symbol": string,
                    "type": string,
                    "exDate": string,
                    "ratio?": double,
                    "cashAmount?": double,
                },
            )
        ),
    },
)
RELOADED = Struct(
    "HEAD Models/ReloadWatchlistResponse.swift:3-7",
    {
        "success": boolean,
        "message": string,
        "summary": Struct(
            "HEAD Models/ReloadWatchlistResponse.swift:9-13",
            {"total": integer, "success": integer, "errors": integer},
        ),
        "results": Array(
            Struct(
                "HEAD Models/ReloadWatchlistResponse.swift:15-19",
                {
                    "symbol": string,
                    "status": string,
                    "message?": string,
                    "barsLoaded?": Struct(
                        "HEAD Models/ReloadWatchlistResponse.swift:21-27",
                        dict.fromkeys(("m15?", "h1?", "h4?", "d1?", "w1?"), integer),
                    ),
                },
            )
        ),
    },
)
