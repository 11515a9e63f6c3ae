"""What the app calls on its server, at each state, taken from its call sites.

Each call names the function of the app, file and line of its address, and how its reply is decoded.
What of it no SwiftBolt platform serves is named as well (`NOT_SERVED`): options, machine learning,
news, strategies, and what the app starts without looking at the answer. HEAD's second server
(FASTAPI_URL, `/api/v1/...`) and its sign-in (`/auth/v1`) are other services.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rehearsal.macos import structs
from rehearsal.macos.swift import Array

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rehearsal.macos.swift import Kind

_FUNCTIONS = "/functions/v1/"
#: Stands for the ticker.
TICKER = "{ticker}"


@dataclass(frozen=True)
class Call:
    """A call that a platform serves.

    Attributes:
        state: S1, S2 or HEAD.
        function: of the app.
        source: file and line of the address.
        method: of HTTP.
        path: of the address.
        reply: how it is decoded.
        query: of the address.
        body: JSON; None for none.

    """

    state: str
    function: str
    source: str
    method: str
    path: str
    reply: Kind
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None

    def about(self, ticker: str) -> Call:
        """Return the call about a symbol."""

        def named(values: Mapping[str, Any]) -> dict[str, Any]:
            return {
                name: ticker if value == TICKER else [ticker] if value == [TICKER] else value
                for name, value in values.items()
            }

        body = None if self.body is None else named(self.body)
        return replace(self, query=named(self.query), body=body)


@dataclass(frozen=True)
class NotServed:
    """A call that a platform does not serve.

    Attributes:
        states: which make it.
        sources: files and lines.
        method: of HTTP.
        path: of the address.

    """

    states: str
    sources: str
    method: str
    path: str


_WINDOW = {"symbol": TICKER, "timeframe": "h1", "window_days": 730}
_DAYS = {
    "symbol": TICKER,
    "timeframe": "h1",
    "days": 730,
    "includeForecast": True,
    "forecastDays": 10,
}
_WATCH = {"symbol": TICKER}


def _function(name: str) -> str:
    return _FUNCTIONS + name


def _older(state: str, lines: Mapping[str, str]) -> list[Call]:
    """Return what S1 and S2 call alike, a few lines apart."""
    api, list_ = "Services/APIClient.swift:", "ViewModels/WatchlistViewModel.swift:"

    def call(name: str, *sent: object, reply: Kind, **more: Any) -> Call:  # noqa: ANN401 - sent as is
        place = (list_ if name in {"addSymbol", "removeSymbol", "refreshWatchlist"} else api) + (
            lines[name]
        )
        method, path = map(str, sent)
        return Call(state, name, place, method, path, reply, **more)

    watch = _function("watchlist-sync")
    return [
        call("fetchQuotes", "GET", "/quotes", reply=structs.QUOTES, query={"symbols": TICKER}),
        call(
            "searchSymbols", "GET", _function("symbols-search"),
            reply=Array(structs.SYMBOL), query={"q": TICKER},
        ),
        call(
            "fetchChart", "GET", "/chart",
            reply=structs.CHART, query={"symbol": TICKER, "timeframe": "h1"},
        ),
        call(
            "fetchChartV2", "POST", _function("chart-data-v2"),
            reply=structs.CHART_V2, body=_DAYS,
        ),
        call(
            "ensureCoverage", "POST", _function("ensure-coverage"),
            reply=structs.ENSURED, body=_WINDOW,
        ),
        call(
            "userRefresh", "POST", _function("user-refresh"),
            reply=structs.USER_REFRESH, body=_WATCH,
        ),
        call("addSymbol", "POST", watch, reply=structs.WATCHLIST, body=_WATCH | {"action": "add"}),
        call("refreshWatchlist", "POST", watch, reply=structs.WATCHLIST, body={"action": "list"}),
        call(
            "removeSymbol", "POST", watch,
            reply=structs.WATCHLIST, body=_WATCH | {"action": "remove"},
        ),
    ]  # fmt: skip


def _sync(state: str, line: int, *timeframes: str) -> Call:
    return Call(
        state, "syncSymbols", f"Services/SymbolSyncService.swift:{line}",
        "POST", _function("sync-user-symbols"), structs.SYNCED,
        body={"symbols": [TICKER], "source": "chart_view", "timeframes": list(timeframes)},
    )  # fmt: skip


def _head(name: str, place: str, method: str, path: str, reply: Kind, **sent: Any) -> Call:  # noqa: ANN401 - sent as is
    source = place if ".swift" in place else f"Services/APIClient.swift:{place}"
    return Call("HEAD", name, source, method, _function(path), reply, **sent)


_PAGE = {"symbol": TICKER, "timeframe": "d1", "includeMLData": False, "pageSize": 400}
#: In the order in which a person comes by them.
CALLS = (
    *_older(
        "S1",
        {
            "fetchQuotes": "162", "searchSymbols": "191", "fetchChart": "210",
            "fetchChartV2": "230", "ensureCoverage": "323", "userRefresh": "496",
            "addSymbol": "33", "removeSymbol": "84", "refreshWatchlist": "131",
        },
    ),
    *_older(
        "S2",
        {
            "fetchQuotes": "206", "searchSymbols": "235", "fetchChart": "254",
            "fetchChartV2": "274", "ensureCoverage": "367", "userRefresh": "540",
            "addSymbol": "33", "removeSymbol": "87", "refreshWatchlist": "134",
        },
    ),
    _sync("S2", 51, "m15", "h1", "h4"),
    _head(
        "searchSymbols", "576", "GET", "symbols-search", Array(structs.SYMBOL_HEAD),
        query={"q": TICKER},
    ),
    _head("fetchQuotes", "534", "GET", "quotes", structs.QUOTES, query={"symbols": TICKER}),
    _sync("HEAD", 43, "m15", "h1", "h4", "d1", "w1"),
    _head(
        "fetchUnifiedChart", "777", "GET", "chart", structs.UNIFIED_CHART,
        query={
            "symbol": TICKER, "timeframe": "h1", "days": "30",
            "include_forecast": "true", "layers": "true",
        },
    ),
    _head(
        "fetchChartRead", "636", "POST", "chart", structs.CHART_HEAD,
        query={"t": "1795000000", "symbol": TICKER, "timeframe": "d1"},
        body={"symbol": TICKER, "timeframe": "d1", "includeMLData": True},
    ),
    _head(
        "fetchChartReadPage", "674", "POST", "chart", structs.CHART_HEAD,
        query={
            "t": "1795000000", "symbol": TICKER, "timeframe": "d1",
            "before": "1793000000", "pageSize": "400",
        },
        body=_PAGE | {"before": 1_793_000_000},
    ),
    # Its orchestrator is switched off (Config.swift:101); the call is there.
    _head("ensureCoverage", "906", "POST", "ensure-coverage", structs.ENSURED, body=_WINDOW),
    _head(
        "userRefresh", "1146", "POST", "user-refresh", structs.USER_REFRESH_HEAD, body=_WATCH
    ),
    _head(
        "reloadWatchlistData", "926", "POST", "reload-watchlist-data", structs.RELOADED,
        body={
            "forceRefresh": True, "timeframes": ["m15", "h1", "h4", "d1", "w1"], "symbols": None,
        },
    ),
    _head(
        "addSymbol", "ViewModels/WatchlistViewModel.swift:38", "POST", "watchlist-sync",
        structs.WATCHLIST, body=_WATCH | {"action": "add"},
    ),
    _head(
        "refreshWatchlist", "ViewModels/WatchlistViewModel.swift:163", "POST", "watchlist-sync",
        structs.WATCHLIST, body={"action": "list"},
    ),
    _head(
        "removeSymbol", "ViewModels/WatchlistViewModel.swift:94", "POST", "watchlist-sync",
        structs.WATCHLIST, body=_WATCH | {"action": "remove"},
    ),
    _head(
        "fetchMarketStatus", "Services/MarketStatusService.swift:61", "GET", "market-status",
        structs.MARKET_STATUS,
    ),
)  # fmt: skip

_BOTH, _ALL = "S1 S2", "S1 S2 HEAD"
_API = "Services/APIClient.swift "


def _function_not_served(states: str, lines: str, method: str, name: str) -> NotServed:
    sources = lines if ".swift" in lines else _API + lines
    return NotServed(states, sources, method, _function(name))


NOT_SERVED = (
    # Started, the answer not looked at; at HEAD below /functions/v1.
    NotServed(_BOTH, _API + "S1:249 S2:293", "POST", "/intraday-update"),
    NotServed(_BOTH, _API + "S1:280 S2:324", "POST", "/symbol-backfill"),
    # Nobody calls it at any state (ChartViewModel.refreshData has no button).
    _function_not_served(_ALL, "S1:483 S2:527 HEAD:1132", "POST", "refresh-data"),
    NotServed(_ALL, "Views/StrikePriceComparisonView.swift:297", "GET", "/strike-analysis"),
    _function_not_served("HEAD", "828", "POST", "intraday-update"),
    _function_not_served("HEAD", "860", "POST", "symbol-backfill"),
    # News, options, scanner, machine learning.
    _function_not_served(_ALL, "S1:334 S2:378 HEAD:938", "GET", "news"),
    _function_not_served(_ALL, "S1:355 S2:399 HEAD:326,980", "GET", "options-chain"),
    _function_not_served(_ALL, "S1:382 S2:426 HEAD:1024", "GET", "options-rankings"),
    _function_not_served(_ALL, "S1:427 S2:471 HEAD:1063", "POST", "options-quotes"),
    _function_not_served(_ALL, "S1:439 S2:483 HEAD:1073", "POST", "scanner-watchlist"),
    _function_not_served(_ALL, "S1:451 S2:495 HEAD:1101", "POST", "trigger-ranking-job"),
    _function_not_served(_ALL, "S1:464 S2:508 HEAD:1112", "GET", "enhanced-prediction"),
    _function_not_served(
        _ALL, "S1:509,569-665 S2:553,613-709 HEAD:1228,1384-1484", "GET", "ml-dashboard"
    ),
    _function_not_served(_ALL, "S1:519 S2:563 HEAD:1332", "GET", "support-resistance"),
    _function_not_served(_ALL, "S1:542 S2:586 HEAD:1356", "GET", "strike-analysis"),
    _function_not_served(_ALL, "S1:686 S2:730 HEAD:1506", "GET", "ga-strategy"),
    _function_not_served(_ALL, "S1:705 S2:749 HEAD:1526", "POST", "ga-strategy"),
    _function_not_served("HEAD", "600", "GET", "futures"),
    _function_not_served("HEAD", "1197", "GET", "data-health"),
    _function_not_served("HEAD", "1240", "GET", "get-unified-validation"),
    _function_not_served("HEAD", "1277", "POST", "log-validation-audit"),
    _function_not_served("HEAD", "1578", "GET", "multi-leg-list"),
    _function_not_served("HEAD", "1607", "GET", "multi-leg-detail"),
    _function_not_served("HEAD", "1632", "POST", "multi-leg-create"),
    _function_not_served("HEAD", "1661", "PATCH", "multi-leg-update"),
    _function_not_served("HEAD", "1693", "POST", "multi-leg-close-leg"),
    _function_not_served("HEAD", "1719", "POST", "multi-leg-close-strategy"),
    _function_not_served("HEAD", "1740", "GET", "multi-leg-templates"),
    _function_not_served("HEAD", "1766", "DELETE", "multi-leg-delete"),
    _function_not_served("HEAD", "1822,1870", "POST", "backtest-strategy"),
    _function_not_served("HEAD", "1853", "GET", "backtest-strategy"),
    _function_not_served("HEAD", "2099", "POST", "walk-forward-optimize"),
    _function_not_served("HEAD", "2142", "POST", "train-model"),
    _function_not_served("HEAD", "2169", "POST", "forecast-quality"),
    _function_not_served("HEAD", "2196", "POST", "greeks-surface"),
    _function_not_served("HEAD", "2240", "POST", "volatility-surface"),
    _function_not_served("HEAD", "2278", "POST", "portfolio-optimize"),
    _function_not_served("HEAD", "2318", "POST", "stress-test"),
    _function_not_served("HEAD", "Services/StrategyService.swift:147-240", "GET", "strategies"),
    _function_not_served("HEAD", "Services/TSStrategyService.swift:15", "GET", "ts-strategies"),
    # PostgREST, through Supabase's client.
    NotServed(
        "S2 HEAD", "Services/BackfillService.swift S2:38 HEAD:44",
        "POST", "/rest/v1/rpc/request_symbol_backfill",
    ),
    NotServed(
        "S2 HEAD", "Services/BackfillService.swift S2:59 HEAD:59",
        "POST", "/rest/v1/rpc/get_symbol_backfill_status",
    ),
    NotServed(
        "HEAD", "ViewModels/ChartViewModel.swift:1449", "POST", "/rest/v1/rpc/get_chart_data_v2"
    ),
    NotServed(
        "HEAD", "ViewModels/ChartViewModel.swift:1107", "GET", "/rest/v1/ml_binary_forecasts"
    ),
    NotServed("HEAD", _API + "1889", "GET", "/rest/v1/strategy_user_strategies"),
    NotServed(
        "HEAD", "Services/PaperTradingService.swift:179", "GET", "/rest/v1/paper_trading_positions"
    ),
    NotServed(
        "HEAD", "Services/PaperTradingService.swift:196", "GET", "/rest/v1/paper_trading_trades"
    ),
)  # fmt: skip
#: Functions of HEAD's source that nothing calls.
UNCALLED = (
    "fetchChart", "fetchChartV2", "fetchConsolidatedChart",
)  # fmt: skip
