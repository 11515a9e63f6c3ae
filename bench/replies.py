"""Polygon's replies for the benchmarks: made once, as bytes, and served from memory.

The simulator prints them, so they have the real size and spelling: 52 sessions are 3,328 bars of
all hours, 1,352 of them in regular hours. What belongs here: bytes, and the provider that parses
them with the product's own reader. What does not: HTTP, which `economy.py` measures.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from resources.providers.contract import Answer
from resources.providers.polygon.bars import BASE_LIMIT, MINUTES, NAME
from resources.providers.polygon.reply import parse_page
from resources.providers.replies import Reply
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.policy.request_windows import Density, next_window
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.listings import Listings
from swiftbolt_assets.simulator.polygon import Aggregates
from swiftbolt_assets.simulator.prices import Market
from swiftbolt_assets.simulator.wire import Ask, BarPage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swiftbolt_assets.market.sessions import Session

#: Two whole years, all past: results do not depend on the day of the run.
FIRST, LAST = date(2024, 1, 2), date(2025, 12, 31)
TODAY = date(2026, 1, 2)
#: Dense symbols of the simulator; further ones are copies of these under another name.
DENSE = ("AAPL", "MSFT", "NVDA", "TSLA", "SPY", "QQQ", "AMZN", "GOOGL", "META")
WALL = datetime(2026, 1, 2, 15, tzinfo=UTC)

Window = tuple[date, date]


def two_years() -> list[Session]:
    """Return the sessions of the measured window, ascending."""
    return xnys().between(FIRST, LAST)


def tickers(count: int) -> list[str]:
    """Return the names of so many dense symbols."""
    return [DENSE[i] if i < len(DENSE) else f"{DENSE[i % len(DENSE)]}.C{i}" for i in range(count)]


@dataclass(frozen=True)
class Recorded:
    """A provider that answers from bytes in memory.

    Attributes:
        bodies: reply bytes by dense symbol and window; a copy's bytes are those of the symbol
            before its dot, with the name exchanged.

    """

    bodies: dict[tuple[str, Window], bytes]
    name: str = NAME

    def body(self, symbol: str, window: Window) -> bytes:
        """Return a reply's bytes; a window that was not recorded is a KeyError."""
        original = symbol.partition(".")[0]
        body = self.bodies[original, window]
        if original == symbol:
            return body
        return body.replace(f'"ticker":"{original}"'.encode(), f'"ticker":"{symbol}"'.encode(), 1)

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        """Return the parsed reply."""
        del priority
        page = parse_page(reply(self.body(symbol, (first, last))), symbol)
        return Answer(
            provider=NAME,
            symbol=symbol,
            first=first,
            last=last,
            bars=page.bars,
            base_minutes=page.base_minutes,
            requests=1,
            request_ids=(page.request_id or "",),
            broken_off=None,
        )


def reply(body: bytes) -> Reply:
    """Return a reply of HTTP status 200."""
    return Reply(200, {}, body, WALL)


def windows(sessions: Sequence[Session]) -> list[Window]:
    """Return the request windows that a dense symbol takes, newest first."""
    pending = {session.day: session for session in sessions}
    found: list[Window] = []
    while pending:
        first, last = next_window(list(pending.values()), xnys(), Density())
        found.append((first, last))
        pending = {day: s for day, s in pending.items() if not first <= day <= last}
    return found


def record(symbols: int) -> Recorded:
    """Return a provider that knows two years of so many of `tickers`."""
    config = SimulatorConfig(now=lambda: WALL)
    aggregates = Aggregates(config, Market(config.seed), Listings({}))
    return Recorded(
        {
            (symbol, window): _print(aggregates, symbol, window)
            for symbol in DENSE[:symbols]
            for window in windows(two_years())
        }
    )


def _print(aggregates: Aggregates, symbol: str, window: Window) -> bytes:
    first, last = (day.isoformat() for day in window)
    path = f"/v2/aggs/ticker/{symbol}/range/{MINUTES}/minute/{first}/{last}"
    values = {
        "ticker": symbol,
        "multiplier": str(MINUTES),
        "timespan": "minute",
        "from": first,
        "to": last,
    }
    params = {"adjusted": "false", "sort": "asc", "limit": str(BASE_LIMIT)}
    page = aggregates.range(Ask(path, params, "", "http://127.0.0.1"), values)
    if not isinstance(page, BarPage):
        raise TypeError(f"the simulator refused {symbol} {first}..{last}: {page}")
    return page.print_page(page).body
