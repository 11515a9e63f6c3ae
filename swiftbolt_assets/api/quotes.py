"""Prices now: `quotes`, from Tradier while it answers, else from stored bars.

Tradier is asked for what has not been asked for a few seconds, and only when its budget has room:
today's bars come first. What belongs here: the desk and the reply. What does not: Tradier's wire
format (`resources/tradier_quotes.py`), stored prices (`resources/prices.py`).
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from resources.delisted import end_traded
from resources.endpoint import Secret
from resources.http import Bounds, Transport, without_retries
from resources.ledger import Ledger
from resources.prices import stored_quotes
from resources.provider_health import ProviderHealth
from resources.rate_limit import limiter
from resources.tradier_quotes import TradierQuotes
from swiftbolt_assets.api.auth import AnyCaller
from swiftbolt_assets.api.description import answers
from swiftbolt_assets.api.fields import required_symbol
from swiftbolt_assets.api.replies import HttpError, Json, iso
from swiftbolt_assets.api.shapes import Quoted
from swiftbolt_assets.api.state import state_of
from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.errors import ProviderError
from swiftbolt_assets.market.prices import decimals
from swiftbolt_assets.settings import TRADIER_URL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from resources.contract import Quote
    from resources.postgres import Database
    from swiftbolt_assets.api.state import ApiState
    from swiftbolt_assets.market.sessions import Calendar
    from swiftbolt_assets.settings import Settings

router = APIRouter()
_LOG = logging.getLogger(__name__)
_MOST = 50
_FRESH_S = 5.0
#: Who asks while Tradier does not answer gets stored prices at once, instead of waiting in line.
_REST_S = 30.0
#: Requests of a minute that are left to today's bars.
_KEPT_FREE = 5
_KEPT_SYMBOLS = 2_000
_NAME = "tradier"
#: What a simulator takes as key.
_ANY_KEY = "simulated"
#: New York hours of trading before the open and after the close.
_PREMARKET, _EVENING = 4, 20


class QuoteDesk:
    """Asks Tradier, sparingly; thread-safe.

    Args:
        settings: keys, address and budget.
        database: holds the budget.

    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        # None where Tradier knows none: it is not asked again at once, either.
        self._known: dict[str, tuple[float, Quote | None]] = {}
        self._rests_until = 0.0
        self._transport = _transport(settings, database)

    def quotes(self, tickers: Sequence[str]) -> dict[str, Quote]:
        """Return what Tradier says of some symbols, from a few seconds ago at most.

        Those that it does not know, or that nobody could be asked about, are left out.

        Raises:
            StorageError: the budget cannot be reached.

        """
        with self._lock:
            now = time.monotonic()
            told = {name: q for name, (at, q) in self._known.items() if now - at < _FRESH_S}
            fresh = {name: quote for name, quote in told.items() if quote is not None}
            missing = [ticker for ticker in tickers if ticker not in told]
            if missing and self._transport is not None and self._has_room():
                try:
                    with without_retries():
                        found = TradierQuotes(self._transport).quotes(missing)
                except ProviderError as error:
                    _LOG.warning("quotes: %s; not asked for %.0f s", error, _REST_S)
                    self._rests_until = time.monotonic() + _REST_S
                    found = []
                fresh |= {quote.symbol: quote for quote in found}
                self._keep(missing, fresh)
        return {ticker: fresh[ticker] for ticker in tickers if ticker in fresh}

    def close(self) -> None:
        """Close the connection to Tradier."""
        if self._transport is not None:
            self._transport.close()
            self._transport.limiter.close()

    def _has_room(self) -> bool:
        if self._transport is None or time.monotonic() < self._rests_until:
            return False
        if ProviderHealth(self._database.connect).rests(_NAME):
            return False
        state = self._transport.limiter.state()
        return not self._transport.limiter.per_minute or state.free > _KEPT_FREE

    def _keep(self, asked: Sequence[str], found: Mapping[str, Quote]) -> None:
        if len(self._known) > _KEPT_SYMBOLS:
            self._known.clear()
        now = time.monotonic()
        self._known |= {ticker: (now, found.get(ticker)) for ticker in asked}


@router.get("/quotes", summary="Prices now", responses=answers(Quoted))
def quotes(request: Request, caller: AnyCaller, symbols: Annotated[str, Query()] = "") -> Response:
    """Return one quote a symbol, in the order asked for; what nobody knows is left out."""
    texts = [text for text in symbols.split(",") if text.strip()]
    if not texts:
        raise HttpError(400, "symbols: none is given; use symbols=AAPL,MSFT")
    if len(texts) > _MOST:
        raise HttpError(400, f"symbols: at most {_MOST} at once")
    tickers = list(dict.fromkeys(required_symbol(text) for text in texts))
    state = state_of(request)
    told = state.quote_desk.quotes(tickers)
    _note_trades(state, told)
    rest = [ticker for ticker in tickers if ticker not in told or not _is_whole(told[ticker])]
    stored = {}
    if rest:
        with state.pool.transaction(caller) as connection:
            stored = {quote.symbol: quote for quote in stored_quotes(connection, rest)}
    found = [
        body | {"source": _NAME if ticker in told else "stored_bars"}
        for ticker in tickers
        if (body := shown(told.get(ticker), stored.get(ticker)))
    ]
    now = state.settings.clock.now()
    market, sentence = market_state(state.calendar.now(), now)
    return Json(
        {
            "success": True,
            "market_state": market,
            "market_description": sentence,
            "timestamp": iso(now),
            "count": len(found),
            "quotes": found,
        }
    )


def _note_trades(state: ApiState, told: Mapping[str, Quote]) -> None:
    """Have symbols kept current again that were thought to trade no more."""
    traded = {
        ticker: quote.traded_at.astimezone(NEW_YORK).date()
        for ticker, quote in told.items()
        if quote.traded_at is not None
    }
    if traded:
        with state.pool.transaction() as connection:
            end_traded(connection, traded)


def shown(told: Quote | None, stored: Quote | None) -> dict[str, Any] | None:
    """Return a quote as clients decode it: every number is one, and none is made up.

    What Tradier does not tell comes from stored bars; a bid, an ask and a range without either is
    the last price, a mean volume the day's. On a symbol's first day the change is that since its
    open.

    Args:
        told: Tradier's quote.
        stored: what stored bars tell.

    Returns:
        None where there is neither, or nobody tells a volume.

    """
    newest = told or stored
    if newest is None:
        return None
    last = newest.last
    volume = _first(told, stored, "volume")
    average = _first(told, stored, "average_volume")
    if volume is None and average is None:
        return None
    day = {name: _price(told, stored, name) or last for name in ("open", "high", "low")}
    before = _price(told, stored, "previous_close") or day["open"]
    traded_at = _first(told, stored, "traded_at")
    return {
        "symbol": newest.symbol,
        "last": last,
        "bid": _price(told, None, "bid") or last,
        "ask": _price(told, None, "ask") or last,
        **day,
        "close": newest.close or last,
        "volume": average if volume is None else volume,
        "change": round(last - before, max(4, decimals(before))),
        "change_percentage": round(100 * (last - before) / before, 4),
        "average_volume": volume if average is None else average,
        "week_52_high": _price(told, stored, "year_high") or day["high"],
        "week_52_low": _price(told, stored, "year_low") or day["low"],
        "last_trade_time": iso(traded_at) or "",
    }


def _is_whole(quote: Quote) -> bool:
    """Return whether a quote of Tradier's needs nothing from stored bars."""
    prices = (quote.open, quote.high, quote.low, quote.previous_close)
    return (
        all((*prices, quote.year_high, quote.year_low))
        and None not in {quote.volume, quote.average_volume}
        and quote.traded_at is not None
    )


def _first(told: Quote | None, stored: Quote | None, name: str) -> Any:  # noqa: ANN401 - a field
    """Return a field of the first quote that tells it."""
    values = (getattr(quote, name) for quote in (told, stored) if quote is not None)
    return next((value for value in values if value is not None), None)


def _price(told: Quote | None, stored: Quote | None, name: str) -> float | None:
    """Return a price of the first quote that tells it; 0 tells none."""
    values = (getattr(quote, name) for quote in (told, stored) if quote is not None)
    return next((value for value in values if value), None)


def market_state(calendar: Calendar, now: datetime) -> tuple[str, str]:
    """Return the market's state in one word, and in one sentence."""
    local = now.astimezone(NEW_YORK)
    session = calendar.session(local.date())
    if session is None:
        return "closed", "The market is closed today"
    if session.opens <= now < session.closes:
        return "open", f"The market is open until {session.closes.astimezone(NEW_YORK):%H:%M}"
    if now < session.opens:
        state = "premarket" if local.hour >= _PREMARKET else "closed"
        return state, f"The market opens at {session.opens.astimezone(NEW_YORK):%H:%M}"
    return "postmarket" if local.hour < _EVENING else "closed", "The market has closed for today"


def _transport(settings: Settings, database: Database) -> Transport | None:
    """Return the way to Tradier, None where it is off or no simulator runs."""
    if settings.tradier_token is None and not (settings.simulated and settings.tradier_url):
        return None
    return Transport(
        settings.tradier_url or TRADIER_URL,
        name=_NAME,
        key=Secret(settings.tradier_token or _ANY_KEY, "TRADIER_TOKEN"),
        limiter=limiter(database.connect, _NAME, settings.tradier_per_minute),
        record=Ledger(database).record_request,
        bounds=Bounds(connect_s=2.0, read_s=3.0, total_s=4.0, refusals=1),
    )
