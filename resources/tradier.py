"""Tradier's time and sales: today's 15-minute bars, and the market's clock.

What belongs here: what is asked of Tradier. What does not: what one reply says
(`tradier_reply.py`), transport and retries (`http.py`), what makes a bar good
(`swiftbolt_assets/market/validation.py`). Same headings in the same order as `polygon.py`.

Wire facts: docs.tradier.com (timesale, clock, rate limiting) and recorded replies.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from resources.contract import Answer
from resources.replies import Parsed, Reply, Request
from resources.tradier_reply import (
    MarketClock,
    TooOldError,
    judge,
    parse_clock,
    parse_series,
    until_expiry,
)
from swiftbolt_assets.errors import BeyondPlanError, LeftAloneError, StorageError
from swiftbolt_assets.market.symbols import parse_symbol, tradier_symbol

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    import polars as pl

    from resources.http import Transport

T = TypeVar("T")

# --- limits -------------------------------------------------------------------------------------

NAME = "tradier"
#: So many weekdays before today Tradier's 15-minute bars begin, closures not counted out.
WEEKDAYS_KEPT = 41
#: A limit that a header names is believed within these bounds (60, 120 and 200 have been seen).
_MOST_PER_MINUTE = 1000
#: A ticker that it cannot spell today it cannot spell tomorrow.
_NEVER_S = 86_400.0

_LOG = logging.getLogger(__name__)

# --- request (pure) -----------------------------------------------------------------------------


def bars_request(symbol: str, first: date, last: date) -> Request:
    """Return the request of the New York dates `first`..`last`; Tradier reads exchange time.

    The interval's default is a tick and the filter's is all hours, so both are always said.
    """
    return Request(
        "/v1/markets/timesales",
        (
            ("symbol", _spelled(symbol)),
            ("interval", "15min"),
            ("start", f"{first.isoformat()} 00:00"),
            ("end", f"{last.isoformat()} 23:59"),
            ("session_filter", "open"),
        ),
    )


def _spelled(symbol: str) -> str:
    """Return Tradier's spelling.

    Raises:
        LeftAloneError: it has none, and what it would answer is another company's.

    """
    spelled = tradier_symbol(symbol)
    if spelled is None:
        raise LeftAloneError(
            f"{NAME}: not asked for {symbol}: it knows no small letters in a ticker", _NEVER_S
        )
    return spelled


CLOCK_REQUEST = Request("/v1/markets/clock", ())

# --- client -------------------------------------------------------------------------------------


class TradierClient:
    """Today's 15-minute bars, as traded, and the market's clock.

    Args:
        transport: to Tradier; its limiter holds the token's requests a minute, which the headers
            of the replies correct.

    """

    name = NAME

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        """Return the 15-minute bars of the New York dates `first`..`last`, both included.

        If `first` is older than what Tradier keeps, the window is cut to what it names, once; the
        answer's `first` says so. A bar that starts at the close (the auction) may be among them.

        Raises:
            UsageError: the symbol is none.
            LeftAloneError: Tradier has no spelling for it; nothing was sent.
            BeyondPlanError: the whole window is older than what Tradier keeps.
            ProviderError: no usable reply came.
            StorageError: the request budget cannot be reached.

        """
        symbol = parse_symbol(symbol)
        conversation = self._transport.conversation(symbol, priority=priority)

        def ask(start: date) -> pl.DataFrame:
            request = bars_request(symbol, start, last)
            return conversation.get(request, partial(self._check, parse=_series)).value

        try:
            bars = ask(first)
        except TooOldError as error:
            if not first < error.oldest <= last:
                raise BeyondPlanError(str(error)) from None
            first = error.oldest
            bars = ask(first)
        return Answer(
            provider=NAME,
            symbol=symbol,
            first=first,
            last=last,
            bars=bars,
            base_minutes=0,
            requests=conversation.requests,
            request_ids=(),
            broken_off=None,
        )

    def clock(self, *, priority: int) -> MarketClock:
        """Return what Tradier says about the market now.

        Raises:
            ProviderError: no usable reply came.
            StorageError: the request budget cannot be reached.

        """
        conversation = self._transport.conversation(None, priority=priority)
        return conversation.get(CLOCK_REQUEST, partial(self._check, parse=_clock)).value

    def _check(self, reply: Reply, parse: Callable[[Reply], Parsed[T]]) -> Parsed[T]:
        self._learn(reply)
        if error := judge(reply):
            raise error
        return parse(reply)

    def _learn(self, reply: Reply) -> None:
        """Obey the budget that the headers name; a reply is never lost over it."""
        limiter = self._transport.limiter
        allowed = reply.headers.get("x-ratelimit-allowed", "")
        available = reply.headers.get("x-ratelimit-available", "")
        try:
            if allowed.isascii() and allowed.isdigit():
                per_minute = int(allowed)
                if 0 < per_minute <= _MOST_PER_MINUTE and per_minute != limiter.per_minute:
                    limiter.configure(per_minute)
            if available == "0":
                limiter.push(until_expiry(reply))
        except StorageError as error:
            _LOG.warning("tradier: the budget that it names was not noted: %s", error)


def _series(reply: Reply) -> Parsed[pl.DataFrame]:
    bars = parse_series(reply)
    return Parsed(bars, bars.height)


def _clock(reply: Reply) -> Parsed[MarketClock]:
    return Parsed(parse_clock(reply))
