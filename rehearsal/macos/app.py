"""The app at work: it sends what the app sends, decodes as strictly, and shows what the app shows.

What belongs here: sequences as they are in the app's view models. What does not: what is right
(tests).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rehearsal.macos.calls import CALLS, Call
from rehearsal.macos.swift import decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor

    import httpx

_CALLS = {(call.state, call.function): call for call in CALLS}
_INTRADAY = ("m15", "h1", "h4")
#: What it waits for a reply, seconds (APIClient.swift, S1 and S2).
_TIMEOUT_S = 15.0
_SHOWN_DAYS = 730


class ShownError(Exception):
    """The app shows an error instead of what was asked for."""


@dataclass
class Seen:
    """What a chart's view model holds.

    Attributes:
        charts: every reply that it drew, in order.
        banners: percent and bars of every answer about coverage, in order.

    """

    charts: list[dict[str, Any]] = field(default_factory=list)
    banners: list[dict[str, int]] = field(default_factory=list)


@dataclass
class App:
    """The app of a state, a server's address and its key.

    Attributes:
        state: S1, S2 or HEAD.
        base: the server's address, as in its Config.swift.
        key: the app's key.
        http: sends.
        pause: waits so many seconds between two looks.

    """

    state: str
    base: str
    key: str
    http: httpx.Client
    pause: Callable[[float], None] = time.sleep

    def call(self, function: str, ticker: str = "", **changes: Any) -> Any:  # noqa: ANN401 - JSON
        """Call a function of the app about a symbol; `changes` are values of query or body.

        Raises:
            ShownError: it answered anything but a 200.
            DecodingError: the app refuses the reply.

        """
        call = _CALLS[self.state, function].about(ticker)
        return decode(self.sent(call, **changes).content, call.reply)

    def sent(self, call: Call, **changes: Any) -> httpx.Response:  # noqa: ANN401 - values of JSON
        """Send a call as the app does: with its key, and without an `Accept` of its own.

        Raises:
            ShownError: it answered anything but a 200.

        """
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        if self.state == "HEAD":
            headers["apikey"] = self.key
        query = {name: changes.get(name, value) for name, value in call.query.items()}
        body = None if call.body is None else {**call.body, **changes}
        reply = self.http.request(
            call.method,
            self.base + call.path,
            params=query,
            json=body,
            headers=headers,
            timeout=_TIMEOUT_S,
        )
        if reply.status_code != 200:  # noqa: PLR2004
            raise ShownError(f"{call.function}: HTTP {reply.status_code}: {reply.text[:200]}")
        return reply

    def sync(self, ticker: str, source: str) -> dict[str, Any] | None:
        """Tell what is looked at; S1 tells nothing."""
        if self.state == "S1":
            return None
        found: dict[str, Any] = self.call("syncSymbols", ticker, source=source)
        return found

    def ensure(self, ticker: str, timeframe: str, window: int) -> dict[str, Any]:
        """Ask for coverage."""
        found: dict[str, Any] = self.call(
            "ensureCoverage", ticker, timeframe=timeframe, window_days=window
        )
        return found

    def chart(self, ticker: str, timeframe: str, days: int = _SHOWN_DAYS) -> dict[str, Any]:
        """Ask for the layers."""
        found: dict[str, Any] = self.call("fetchChartV2", ticker, timeframe=timeframe, days=days)
        return found

    def drawn(self, chart: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the bars that are drawn (ChartViewModel.buildBars, S1:662, S2:669)."""
        past = chart["layers"]["historical"]["data"]
        today = chart["layers"]["intraday"]["data"]
        if chart["timeframe"] not in _INTRADAY:
            return list(past or today)
        if self.state == "S1":
            return list(today or past)
        return sorted(past + today, key=lambda bar: bar["ts"])

    def open(self, ticker: str, timeframe: str, pool: ThreadPoolExecutor) -> Seen:
        """Open a symbol (ChartViewModel.loadChart, S1:456, S2:460): all calls at once.

        Coverage is asked for beside the chart where the timeframe is within a day. A chart without
        bars asks for coverage of a few days, and looks six times more.
        """
        seen = Seen()
        beside: list[Future[Any]] = [pool.submit(self.sync, ticker, "chart_view")]
        if timeframe in _INTRADAY:
            beside.append(pool.submit(self.ensure, ticker, timeframe, _SHOWN_DAYS))
        chart = self.chart(ticker, timeframe)
        seen.charts.append(chart)
        if not self.drawn(chart):
            self.ensure(ticker, timeframe, 5 if timeframe in _INTRADAY else 7)
            for look in range(6):
                self.pause(min(0.4 * 2**look, 3.0))
                seen.charts.append(self.chart(ticker, timeframe))
                if self.drawn(seen.charts[-1]):
                    break
        for one in beside[1:]:
            seen.banners.append(one.result()["backfill_progress"])
        beside[0].result()
        return seen

    def poll(self, ticker: str, timeframe: str, seen: Seen) -> bool:
        """Poll once (startHydrationPoller, S1:925, S2:935); return whether it is complete."""
        window = _SHOWN_DAYS if timeframe in _INTRADAY else 365
        ensured = self.ensure(ticker, timeframe, window)
        seen.banners.append(ensured["backfill_progress"])
        seen.charts.append(self.chart(ticker, timeframe))
        return bool(ensured["backfill_progress"]["progress_percent"] >= 100)  # noqa: PLR2004
