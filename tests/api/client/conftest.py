"""The macOS client as far as a server sees it: what it sends, and how strictly it decodes.

Written from the contract alone; nothing of the API is used here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

#: `Z` or an offset, with or without three digits of a second.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?(Z|[+-]\d\d:\d\d)")


def text(value: object) -> None:
    assert type(value) is str


def whole(value: object) -> None:
    """Check a Swift `Int`: no fraction, no text, no null."""
    assert type(value) is int
    assert abs(value) < 2**63


def number(value: object) -> None:
    """Check a Swift `Double`."""
    assert type(value) in {int, float}


def flag(value: object) -> None:
    assert type(value) is bool


def identity(value: object) -> None:
    assert type(value) is str
    UUID(value)


def instant(value: object) -> None:
    assert type(value) is str
    assert _INSTANT.fullmatch(value), value
    datetime.fromisoformat(value)


def anything(_value: object) -> None:
    """Accept a field that the client does not look into."""


#: A name that ends in `?` may be absent or null. Further names are ignored, as the client does.
PROGRESS = dict.fromkeys(
    (
        "total_slices", "completed_slices", "running_slices", "queued_slices", "failed_slices",
        "progress_percent", "bars_written",
    ),
    whole,
)  # fmt: skip
ENSURED = {
    "job_def_id": identity,
    "symbol": text,
    "timeframe": text,
    "status": text,
    "coverage_status": {
        "from_ts?": instant,
        "to_ts?": instant,
        "last_success_at?": instant,
        "gaps_found": whole,
    },
    "backfill_progress?": PROGRESS,
}
SYNCED = {
    "success": flag,
    "symbols_tracked": whole,
    "symbols_requested": whole,
    "timeframes": whole,
    "jobs_updated": whole,
    "priority": whole,
    "source": text,
}
BAR = {
    "ts": instant,
    "open?": number,
    "high?": number,
    "low?": number,
    "close": number,
    "volume?": number,
    "provider": text,
    "is_intraday": flag,
    "is_forecast": flag,
    "data_status?": text,
    "confidence_score?": number,
    "upper_band?": number,
    "lower_band?": number,
}
LAYER = {
    "count": whole,
    "provider": text,
    "data": [BAR],
    "oldestBar?": instant,
    "newestBar?": instant,
}
CHART = {
    "symbol": text,
    "timeframe": text,
    "layers": dict.fromkeys(("historical", "intraday", "forecast"), LAYER),
    "metadata": {
        "total_bars": whole,
        "start_date": instant,
        "end_date": instant,
        "requested_days": whole,
        "forecast_days": whole,
    },
    "dataQuality?": {
        "dataAgeHours?": whole,
        "isStale": flag,
        "hasRecentData": flag,
        "historicalDepthDays": whole,
        "sufficientForML": flag,
        "barCount": whole,
    },
    "mlSummary?": {"confidence": number, "horizons": [anything]},
    "indicators?": anything,
    "superTrendAI?": anything,
}
FLAT_CHART = {
    "symbol": text,
    "assetType": text,
    "timeframe": text,
    "bars": [dict.fromkeys(("open", "high", "low", "close", "volume"), number) | {"ts": instant}],
    "meta": {
        "lastBarTs?": instant,
        "dataStatus": text,
        "isMarketOpen": flag,
        "latestForecastRunAt?": instant,
        "hasPendingSplits": flag,
        "pendingSplitInfo?": text,
        "totalBars": whole,
        "requestedRange": {"start": instant, "end": instant},
    },
    "freshness": {"ageMinutes?": whole, "slaMinutes": whole, "isWithinSla": flag},
}
FOUND = [{"id": identity, "ticker": text, "asset_type": text, "description?": text}]
WATCHLIST = {
    "success": flag,
    "message?": text,
    "symbol?": text,
    "watchlistId?": identity,
    "items?": [
        {
            "symbol": text,
            "addedAt": instant,
            "jobStatus": {"forecast": text, "ranking": text},
            "avgDailyVolumeAll?": number,
            "avgDailyVolume10d?": number,
            "avgLastPriceAll?": number,
            "avgLastPrice10d?": number,
        }
    ],
    "jobStatus?": [
        {
            "jobType": text,
            "status": text,
            "createdAt": instant,
            "completedAt?": instant,
            "errorMessage?": text,
        }
    ],
}
QUOTED = {
    "success": flag,
    "market_state": text,
    "market_description?": text,
    "timestamp": instant,
    "count": whole,
    "quotes": [
        dict.fromkeys(
            (
                "last", "bid", "ask", "open", "high", "low", "close", "volume", "change",
                "change_percentage", "average_volume", "week_52_high", "week_52_low",
            ),
            number,
        )
        | {"symbol": text, "last_trade_time": anything}
    ],
}  # fmt: skip


def decoded(body: bytes, shape: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return a reply as the client reads it.

    Raises:
        AssertionError: the client could not decode it; names the place.

    """
    value = json.loads(body, parse_constant=_refused, object_pairs_hook=_object)
    _check(value, shape, "$")
    return value


def _refused(word: str) -> None:
    raise AssertionError(f"{word} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({name for name, _ in pairs}) == len(pairs), "a key twice"
    return dict(pairs)


def _check(value: Any, shape: Any, place: str) -> None:  # noqa: ANN401 - JSON of any shape
    if isinstance(shape, list):
        assert type(value) is list, place
        for number_, one in enumerate(value):
            _check(one, shape[0], f"{place}[{number_}]")
    elif isinstance(shape, dict):
        assert type(value) is dict, place
        for name, inner in shape.items():
            plain = name.removesuffix("?")
            if plain != name and value.get(plain) is None:
                continue
            assert plain in value, f"{place}.{plain} is missing"
            _check(value[plain], inner, f"{place}.{plain}")
    else:
        try:
            shape(value)
        except (AssertionError, ValueError) as error:
            raise AssertionError(f"{place} is {value!r}, no {shape.__name__}") from error


@dataclass
class App:
    """The client: a base URL and the app's key, as its environment gives them."""

    base: str
    key: str
    http: httpx.Client

    def sync(self, *symbols: str, source: str) -> dict[str, Any]:
        """Tell what is looked at; anything but 200 is an error to this part of the client."""
        body = {"symbols": list(symbols), "source": source, "timeframes": ["m15", "h1", "h4"]}
        found: dict[str, Any] = self._sent("sync-user-symbols", body, SYNCED)
        return found

    def ensure(self, symbol: str, timeframe: str, window: int) -> dict[str, Any]:
        body = {"symbol": symbol, "timeframe": timeframe, "window_days": window}
        found: dict[str, Any] = self._sent("ensure-coverage", body, ENSURED)
        assert found["status"] in {"gaps_detected", "coverage_complete"}
        # The sum is what the banner shows as slices.
        if progress := found.get("backfill_progress"):
            parts = ("completed", "running", "queued", "failed")
            assert sum(progress[f"{one}_slices"] for one in parts) == progress["total_slices"]
            assert 0 <= progress["progress_percent"] <= 100
        return found

    def chart(self, symbol: str, timeframe: str, days: int = 730) -> dict[str, Any]:
        body = {
            "symbol": symbol,
            "timeframe": timeframe,
            "days": days,
            "includeForecast": True,
            "forecastDays": 10,
        }
        found: dict[str, Any] = self._sent("chart-data-v2", body, CHART)
        for layer in found["layers"].values():
            assert layer["count"] == len(layer["data"])
        return found

    def drawn(self, symbol: str, timeframe: str, days: int = 730) -> list[dict[str, Any]]:
        """Return the bars that the client draws: it sorts, and drops nothing."""
        layers = self.chart(symbol, timeframe, days)["layers"]
        past, today = layers["historical"]["data"], layers["intraday"]["data"]
        bars = past + today if timeframe in {"m15", "h1", "h4"} else past or today
        starts = [bar["ts"] for bar in bars]
        assert len(set(starts)) == len(starts), "a ts twice"
        return sorted(bars, key=lambda bar: datetime.fromisoformat(bar["ts"]))

    def search(self, words: str) -> list[dict[str, Any]]:
        reply = self._called("GET", "symbols-search", params={"q": words})
        found: list[dict[str, Any]] = decoded(reply.content, FOUND)
        return found

    def watchlist(self, action: str, symbol: str | None = None) -> dict[str, Any]:
        body = {"action": action} | ({"symbol": symbol} if symbol else {})
        found: dict[str, Any] = self._sent("watchlist-sync", body, WATCHLIST)
        assert found["success"] is True
        return found

    def quotes(self, *symbols: str) -> dict[str, Any]:
        reply = self._called("GET", "quotes", params={"symbols": ",".join(symbols)})
        found: dict[str, Any] = decoded(reply.content, QUOTED)
        assert found["count"] == len(found["quotes"])
        return found

    def _sent(self, name: str, body: object, shape: Any) -> Any:  # noqa: ANN401 - JSON
        return decoded(self._called("POST", name, json=body).content, shape)

    def _called(self, method: str, name: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        reply = self.http.request(
            method,
            f"{self.base}/functions/v1/{name}",
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
            # Its own time-out for a request.
            timeout=timedelta(seconds=15).total_seconds(),
            **options,
        )
        assert reply.status_code == 200, reply.text
        assert reply.headers["content-type"].startswith("application/json")
        return reply


@pytest.fixture(scope="session")
def new_app() -> Callable[[str, str, httpx.Client], App]:
    """Return what makes a client of a server."""
    return App


@pytest.fixture
def app(api: Any) -> App:  # noqa: ANN401 - its type lives in ../conftest.py
    """Return a client of the module's server, as SUPABASE_URL and SUPABASE_ANON_KEY set it up."""
    return App(api.url, api.keys.anon, api.http)


@pytest.fixture(name="decoded", scope="session")
def _decoded() -> Callable[[bytes, Any], Any]:
    return decoded


@pytest.fixture(scope="session")
def flat_chart() -> dict[str, Any]:
    """Return the shape of the older chart's reply."""
    return FLAT_CHART
