"""Tradier's clock, calendar and quotes under /v1/markets.

What belongs here: these three. What does not: bars (`tradier.py`), tokens and quotas (`gate.py`).
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, timedelta
from typing import TYPE_CHECKING

from swiftbolt_assets.simulator import tradier_errors as errors
from swiftbolt_assets.simulator.calendar import (
    FIRST_YEAR,
    LAST_YEAR,
    NEW_YORK,
    REGULAR_OPEN,
    holidays,
    previous_session,
    session,
    to_ms,
)
from swiftbolt_assets.simulator.tradier import spelled, without_late_trades
from swiftbolt_assets.simulator.windows import daily

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swiftbolt_assets.simulator.calendar import Session
    from swiftbolt_assets.simulator.config import SimulatorConfig
    from swiftbolt_assets.simulator.listings import Listing, Listings
    from swiftbolt_assets.simulator.prices import Market
    from swiftbolt_assets.simulator.wire import Ask, Reply

_PREMARKET = 7 * 60
_PREMARKET_END = 9 * 60 + 24
_LAST_MINUTES = 5  # the evening session of the calendar ends five minutes early


class Markets:
    """The other market endpoints of one simulator."""

    def __init__(self, config: SimulatorConfig, market: Market, listings: Listings) -> None:
        self._config = config
        self._market = market
        self._listings = listings

    def clock(self, ask: Ask, _values: Mapping[str, str]) -> Reply:
        """Answer with the state of the market now."""
        now = self._config.now().astimezone(NEW_YORK)
        found = session(now.date())
        state, change, following = _state(found, now.hour * 60 + now.minute)
        if found is None:
            name = holidays(now.year).get(now.date())
            text = f"Market is closed for {name}" if name else "Market is closed"
        else:
            text = f"Market is open from 09:30 to {_clock(found.closes)}"
        clock = {
            "date": f"{now.date()}",
            "description": text,
            "state": state,
            "timestamp": int(now.timestamp()),
            "next_change": _clock(change),
            "next_state": following,
        }
        return errors.spoken({"clock": clock}, ask.accept)

    def calendar(self, ask: Ask, _values: Mapping[str, str]) -> Reply:
        """Answer with every day of a month, weekends included."""
        today = self._config.now().astimezone(NEW_YORK).date()
        month = ask.params.get("month", str(today.month))
        year = ask.params.get("year", str(today.year))
        for name, text, low, high in (
            ("month", month, 1, 12),
            ("year", year, FIRST_YEAR, LAST_YEAR),
        ):
            if not re.fullmatch(r"\d{1,4}", text) or not low <= int(text) <= high:
                return errors.bad_request(f"Invalid Parameter: {name}")
        first = date(int(year), int(month), 1)
        length = monthrange(first.year, first.month)[1]
        days = [_calendar_day(first + timedelta(days=offset)) for offset in range(length)]
        value = {"month": first.month, "year": first.year, "days": {"day": days}}
        return errors.spoken({"calendar": value}, ask.accept)

    def quotes(self, ask: Ask, _values: Mapping[str, str]) -> Reply:
        """Answer with the last prices of several symbols; unknown ones are named apart."""
        symbols = [part.strip() for part in ask.params.get("symbols", "").split(",")]
        symbols = [symbol for symbol in symbols if symbol]
        if not symbols:
            return errors.bad_request("Invalid Parameter: symbols")
        quotes: list[dict[str, object]] = []
        unmatched: list[str] = []
        for symbol in symbols:
            listing = self._listings.find(spelled(symbol))
            quote = None if listing is None else self._quote(listing)
            if quote is None:
                unmatched.append(symbol)
            else:
                quotes.append(quote)
        value: dict[str, object] = {}
        if quotes:
            value["quote"] = quotes if len(quotes) > 1 else quotes[0]
        if unmatched:
            value["unmatched_symbols"] = {
                "symbol": unmatched if len(unmatched) > 1 else unmatched[0]
            }
        return errors.spoken({"quotes": value}, ask.accept)

    def _quote(self, listing: Listing) -> dict[str, object] | None:
        """Return the quote after the last trade, or None for a symbol without a trade yet."""
        now = self._config.now()
        now_ms = to_ms(now)
        day = now.astimezone(NEW_YORK).date()
        bars = self._market.until(listing, day, now_ms)
        for _ in range(10):  # a sparse or halted symbol may miss a session or two
            if len(bars):
                break
            day = previous_session(day)
            bars = self._market.until(listing, day, now_ms)
        if not len(bars):
            return None
        bars = without_late_trades(bars)
        total = daily(bars, day)
        before = daily(self._market.day(listing, previous_session(day)), previous_session(day))
        last, stamp = float(bars.c[-1]), int(bars.t[-1])
        previous = float(before.c[-1]) if len(before) else None
        found = session(day)
        is_over = found is not None and now_ms >= found.at(found.closes)
        return {
            "symbol": listing.symbol.replace(".", "/"),
            "description": listing.name,
            "exch": "Q",
            "type": "stock",
            "last": last,
            "change": None if previous is None else round(last - previous, 2),
            "volume": int(bars.v.sum()),
            "open": float(total.o[0]) if len(total) else None,
            "high": float(total.h[0]) if len(total) else None,
            "low": float(total.l[0]) if len(total) else None,
            "close": float(total.c[0]) if len(total) and is_over else None,
            "bid": round(last - 0.01, 2),
            "ask": round(last + 0.01, 2),
            "change_percentage": _percent(last, previous),
            "average_volume": int(listing.daily_shares),
            "last_volume": 100,
            "trade_date": stamp,
            "prevclose": previous,
            "bidsize": 1,
            "bidexch": "Q",
            "bid_date": stamp,
            "asksize": 1,
            "askexch": "Q",
            "ask_date": stamp,
            "root_symbols": listing.symbol.replace(".", "/"),
        }


def _percent(last: float, previous: float | None) -> float | None:
    return None if previous is None else round((last / previous - 1) * 100, 2)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _state(found: Session | None, minute: int) -> tuple[str, int, str]:
    """Return the state, the minute of the next change, and the state after it."""
    if found is None or minute < _PREMARKET or minute >= found.extended_closes:
        return "closed", _PREMARKET, "premarket"
    if minute < REGULAR_OPEN:
        return "premarket", REGULAR_OPEN, "open"
    if minute < found.closes:
        return "open", found.closes, "postmarket"
    return "postmarket", found.extended_closes, "closed"


def _calendar_day(day: date) -> dict[str, object]:
    """Return one day of the calendar; a closed one has no hours."""
    found = session(day)
    if found is None:
        name = holidays(day.year).get(day)
        text = f"Market is closed for {name}" if name else "Market is closed"
        return {"date": f"{day}", "status": "closed", "description": text}
    evening = found.extended_closes - _LAST_MINUTES
    return {
        "date": f"{day}",
        "status": "open",
        "description": "Market closes early" if found.is_half else "Market is open",
        "premarket": {"start": _clock(_PREMARKET), "end": _clock(_PREMARKET_END)},
        "open": {"start": _clock(REGULAR_OPEN), "end": _clock(found.closes)},
        "postmarket": {"start": _clock(found.closes), "end": _clock(evening)},
    }
