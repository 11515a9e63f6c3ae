"""Tradier's quotes: prices now, many symbols to a request.

What belongs here: one request and its reply. What does not: bars (`bars.py`), transport and
retries (`providers/http.py`).

Wire facts: docs.tradier.com (quotes) and recorded replies: one quote is an object, several are a
list, unknown symbols are named apart; dates are epoch milliseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from resources.providers.contract import Quote
from resources.providers.replies import Parsed, Reply, Request, decoded, number, whole
from resources.providers.tradier.capabilities import CAPABILITIES
from resources.providers.tradier.reply import judge
from swiftbolt_assets.errors import MalformedReplyError
from swiftbolt_assets.market.symbols import is_symbol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.providers.http import Transport

#: Tradier takes hundreds; the API's callers ask for 50 at most.
_MOST_MS = 4_102_444_800_000  # 2100
#: Somebody looks at it: before bars that are merely due.
_PRIORITY = 300


def quotes_request(tickers: Sequence[str]) -> Request:
    """Return the request for some canonical tickers, but for those that Tradier cannot spell."""
    symbols = ",".join(spelled for ticker in tickers if (spelled := CAPABILITIES.spelled(ticker)))
    return Request("/v1/markets/quotes", (("symbols", symbols), ("greeks", "false")))


class TradierQuotes:
    """Quotes over Tradier's transport and budget.

    Args:
        transport: to Tradier.

    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def quotes(self, tickers: Sequence[str]) -> list[Quote]:
        """Return the quotes of those tickers that Tradier knows.

        Raises:
            ProviderError: no usable reply came.
            StorageError: the request budget cannot be reached.

        """
        if not any(CAPABILITIES.spelled(ticker) for ticker in tickers):
            return []
        conversation = self._transport.conversation(None, priority=_PRIORITY)
        return conversation.get(quotes_request(tickers), _check).value


def parse_quotes(reply: Reply) -> list[Quote]:
    """Return the quotes of a reply; one without a usable last price is left out.

    Raises:
        MalformedReplyError: it is none of the shapes that Tradier answers.

    """
    body = decoded(reply.body)
    held = body.get("quotes") if isinstance(body, dict) else None
    if held is None or not isinstance(held, dict):
        raise MalformedReplyError("the reply has no quotes")
    given = held.get("quote", [])
    found = [_quote(one) for one in (given if isinstance(given, list) else [given])]
    return [quote for quote in found if quote is not None]


def canonical(text: str) -> str | None:
    """Return the canonical symbol of Tradier's spelling; None where it is none."""
    symbol = text.replace(CAPABILITIES.class_separator, ".")
    return symbol if is_symbol(symbol) and CAPABILITIES.spelled(symbol) is not None else None


def _check(reply: Reply) -> Parsed[list[Quote]]:
    if error := judge(reply):
        raise error
    return Parsed(parse_quotes(reply))


def _quote(given: object) -> Quote | None:
    if not isinstance(given, dict):
        raise MalformedReplyError("a quote is no object")
    symbol = canonical(str(given.get("symbol", "")))
    last = number(given.get("last"))
    if symbol is None or last is None or last <= 0:
        return None
    return Quote(
        symbol=symbol,
        last=last,
        bid=number(given.get("bid")),
        ask=number(given.get("ask")),
        open=number(given.get("open")),
        high=number(given.get("high")),
        low=number(given.get("low")),
        close=number(given.get("close")),
        previous_close=number(given.get("prevclose")),
        volume=number(given.get("volume")),
        average_volume=number(given.get("average_volume")),
        year_high=number(given.get("week_52_high")),
        year_low=number(given.get("week_52_low")),
        traded_at=_instant(given.get("trade_date")),
    )


def _instant(value: object) -> datetime | None:
    ms = whole(value)
    if ms is None or not 0 < ms < _MOST_MS:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC)
