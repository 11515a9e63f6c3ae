"""The macOS app as a client of the module's API: every reply is decoded as strictly as it does."""

# ruff: noqa: ANN401 - JSON, and fixtures whose types live in ../conftest.py

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from rehearsal.macos.app import App
from rehearsal.macos.calls import CALLS
from rehearsal.macos.swift import decode

if TYPE_CHECKING:
    from collections.abc import Callable

_CALLS = {call.function: call for call in CALLS if call.state == "S2"}


@dataclass
class Client:
    """The app of the second document; returns whole replies, also what it ignores of them."""

    app: App

    def asked(self, function: str, symbol: str = "", **changes: Any) -> Any:
        """Return a reply that the app has decoded."""
        call = _CALLS[function].about(symbol)
        reply = self.app.sent(call, **changes)
        decode(reply.content, call.reply)
        return reply.json()

    def sync(self, *symbols: str, source: str) -> dict[str, Any]:
        found: dict[str, Any] = self.asked("syncSymbols", symbols=list(symbols), source=source)
        return found

    def ensure(self, symbol: str, timeframe: str, window: int) -> dict[str, Any]:
        found: dict[str, Any] = self.asked(
            "ensureCoverage", symbol, timeframe=timeframe, window_days=window
        )
        assert found["status"] in {"gaps_detected", "coverage_complete"}
        progress = found["backfill_progress"]
        parts = ("completed", "running", "queued", "failed")
        assert sum(progress[f"{one}_slices"] for one in parts) == progress["total_slices"]
        assert 0 <= progress["progress_percent"] <= 100
        return found

    def chart(self, symbol: str, timeframe: str, days: int = 730) -> dict[str, Any]:
        found: dict[str, Any] = self.asked("fetchChartV2", symbol, timeframe=timeframe, days=days)
        for layer in found["layers"].values():
            assert layer["count"] == len(layer["data"])
        return found

    def drawn(self, symbol: str, timeframe: str, days: int = 730) -> list[dict[str, Any]]:
        """Return the bars that are drawn; no start is twice."""
        bars = self.app.drawn(self.chart(symbol, timeframe, days))
        assert len({bar["ts"] for bar in bars}) == len(bars)
        return bars

    def search(self, words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.asked("searchSymbols", words)
        return found

    def watchlist(self, action: str, symbol: str = "") -> dict[str, Any]:
        name = {"add": "addSymbol", "remove": "removeSymbol", "list": "refreshWatchlist"}[action]
        found: dict[str, Any] = self.asked(name, symbol)
        assert found["success"] is True
        return found

    def quotes(self, *symbols: str) -> dict[str, Any]:
        found: dict[str, Any] = self.asked("fetchQuotes", ",".join(symbols))
        assert found["count"] == len(found["quotes"])
        return found


@pytest.fixture(scope="session")
def new_client() -> Callable[..., Client]:
    """Return what makes a client of a server."""
    return lambda url, key, http: Client(App("S2", url, key, http))


@pytest.fixture
def app(api: Any, new_client: Callable[..., Client]) -> Client:
    """Return a client of the module's server."""
    return new_client(api.url, api.keys.anon, api.http)


@pytest.fixture
def app_of(api: Any) -> Callable[[str], App]:
    """Return what makes the app of a state a client of the module's server."""
    return lambda state: App(state, api.url, api.keys.anon, api.http, lambda _seconds: None)
