"""Prices now: `quotes`, from their provider while it answers, else from stored bars.

What belongs here: the reply. What does not: asking it (`api/quote_desk.py`), stored prices
(`resources/bars/quotes.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from resources.bars.delisted import end_traded
from resources.bars.quotes import stored_quotes
from resources.providers.registry import TODAY
from swiftbolt_assets.api.auth import AnyCaller
from swiftbolt_assets.api.description import answers
from swiftbolt_assets.api.fields import required_symbol
from swiftbolt_assets.api.replies import HttpError, Json, iso
from swiftbolt_assets.api.shapes import Quoted
from swiftbolt_assets.api.state import state_of
from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.market.prices import decimals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from resources.providers.contract import Quote
    from swiftbolt_assets.api.state import ApiState
    from swiftbolt_assets.market.sessions import Calendar

router = APIRouter()
_MOST = 50
#: New York hours of trading before the open and after the close.
_PREMARKET, _EVENING = 4, 20


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
        body | {"source": TODAY.name if ticker in told else "stored_bars"}
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

    What the provider does not tell comes from stored bars; a bid, an ask and a range without either
    is the last price, a mean volume the day's. On a symbol's first day the change is that since its
    open.

    Args:
        told: the provider's quote.
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
    """Return whether a provider's quote needs nothing from stored bars."""
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
