"""Tradier's time and sales: today's 15-minute bars.

What belongs here: what is asked of Tradier. What does not: what one reply says
(`reply.py`), transport and retries (`providers/http.py`), what makes a bar good
(`swiftbolt_assets/market/validation.py`). Same headings in the same order as
`providers/polygon/bars.py`.

Wire facts: docs.tradier.com (timesale, rate limiting) and recorded replies.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from resources.providers.contract import Answer
from resources.providers.replies import Parsed, Reply, Request
from resources.providers.tradier.capabilities import CAPABILITIES
from resources.providers.tradier.reply import (
    TooOldError,
    judge,
    parse_series,
    until_expiry,
)
from swiftbolt_assets.errors import BeyondPlanError, LeftAloneError, StorageError
from swiftbolt_assets.market.symbols import parse_symbol

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from resources.providers.http import Transport

# --- limits -------------------------------------------------------------------------------------

NAME = CAPABILITIES.name
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
    spelled = CAPABILITIES.spelled(symbol)
    if spelled is None:
        raise LeftAloneError(
            f"{NAME}: not asked for {symbol}: it knows no small letters in a ticker", _NEVER_S
        )
    return spelled


# --- client -------------------------------------------------------------------------------------


class TradierClient:
    """Today's 15-minute bars, as traded.

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
            return conversation.get(request, self._check).value

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

    def _check(self, reply: Reply) -> Parsed[pl.DataFrame]:
        self._learn(reply)
        if error := judge(reply):
            raise error
        bars = parse_series(reply)
        return Parsed(bars, bars.height)

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
