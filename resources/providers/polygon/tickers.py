"""Massive's list of tickers: every share that trades, and its name.

What belongs here: what is asked, and what a page says. What does not: transport
(`providers/http.py`), where the list is kept and how far it has come (`bars/listed_tickers.py`).
Same headings in the same order as `bars.py`.

A page is a request; the next one may be sent by another process weeks later, so what leads there is
the bare cursor of the provider's link, never the link: that might carry a key. Wire facts:
massive.com/docs/rest/stocks/tickers/all-tickers, and the official client's OpenAPI file. A list
may hold a ticker twice.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from resources.providers.http import without_retries
from resources.providers.lists import TickersPage
from resources.providers.polygon.bars import NAME, next_page
from resources.providers.polygon.reply import check_status, judge
from resources.providers.replies import Parsed, Reply, Request, decoded, shown
from swiftbolt_assets.errors import MalformedReplyError
from swiftbolt_assets.market.symbols import is_symbol

if TYPE_CHECKING:
    from resources.providers.http import Transport

# --- limits -------------------------------------------------------------------------------------

#: The most that a page may hold; some 12,500 shares make 13 pages.
_LIMIT = 1000
_LONGEST_NAME, _LONGEST_CURSOR = 200, 4000

# --- request (pure) -----------------------------------------------------------------------------

_PATH = "/v3/reference/tickers"
#: What trades on exchanges now. Delisted tickers are left out: another company may have them today.
#: Over-the-counter shares, currencies, coins and indices are other markets, without bars here.
_PARAMS = (
    ("market", "stocks"),
    ("active", "true"),
    ("sort", "ticker"),
    ("order", "asc"),
    ("limit", str(_LIMIT)),
)


def tickers_request(cursor: str | None) -> Request:
    """Return the request of the first page, or of the one that a cursor leads to."""
    if cursor is None:
        return Request(_PATH, _PARAMS)
    return Request(_PATH, (("cursor", cursor), ("limit", str(_LIMIT))))


# --- parse (pure) -------------------------------------------------------------------------------


def parse_tickers(reply: Reply, base_url: str) -> TickersPage:
    """Return a page of the list.

    Raises:
        ProviderError: the body is no page of it, or its link leads elsewhere.

    """
    content = decoded(reply.body)
    if not isinstance(content, dict):
        raise MalformedReplyError(f"the body is a JSON {type(content).__name__}, not an object")
    said = content.get("message") or content.get("error")
    check_status(str(content.get("status")), said if isinstance(said, str) else None, reply)
    results = content.get("results")
    if not isinstance(results, list):
        raise MalformedReplyError("it holds no list of tickers")
    named = [found for one in results if (found := _named(one)) is not None]
    request_id = content.get("request_id")
    return TickersPage(
        dict(named),
        len(results) - len(named),
        _cursor(content.get("next_url"), base_url),
        shown(request_id) if isinstance(request_id, str) and request_id else None,
    )


def _named(row: object) -> tuple[str, str] | None:
    """Return ticker and name; None for what is no share that trades, or cannot be written here."""
    if not isinstance(row, dict):
        return None
    ticker, name = row.get("ticker"), row.get("name")
    if not isinstance(ticker, str) or not is_symbol(ticker):
        return None
    if row.get("market", "stocks") != "stocks" or row.get("active", True) is not True:
        return None
    return ticker, _printed(name) if isinstance(name, str) else ""


def _printed(name: str) -> str:
    """Return a name in one line, of characters that can be stored and shown."""
    words = "".join(one if one.isprintable() else " " for one in name).split()
    return " ".join(words)[:_LONGEST_NAME]


def _cursor(link: object, base_url: str) -> str | None:
    """Return what a link to the next page carries, None without a link.

    Raises:
        MalformedReplyError: the list goes on, but nobody can say where.

    """
    if link is None or link == "":
        return None
    path, cursors = next_page(str(link), base_url)
    if path != _PATH or len(cursors) != 1 or not 0 < len(cursors[0][1]) <= _LONGEST_CURSOR:
        raise MalformedReplyError(f"the next page is of something else: {shown(path)}")
    return cursors[0][1]


# --- client -------------------------------------------------------------------------------------


class PolygonTickers:
    """The list of tickers, a page at a time.

    Args:
        transport: to Polygon; its limiter holds the plan's requests a minute.

    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def page(self, cursor: str | None, *, priority: int) -> TickersPage:
        """Return the first page, or the one that a cursor leads to. Nothing is tried twice.

        Raises:
            ProviderError: it did not come or cannot be trusted.
            StorageError: the request budget cannot be reached.

        """
        # Without a symbol in the record: this request is no symbol's bars.
        conversation = self._transport.conversation(None, priority=priority)
        check = partial(_check, base_url=self._transport.base_url)
        with without_retries():
            page = conversation.get(tickers_request(cursor), check).value
        # It is kept: nothing that might hold the key is.
        if page.cursor is not None and self._transport.key.redact(page.cursor) != page.cursor:
            raise MalformedReplyError(f"{NAME}: the link to the next page holds the key")
        return page


def _check(reply: Reply, base_url: str) -> Parsed[TickersPage]:
    if error := judge(reply):
        raise error
    page = parse_tickers(reply, base_url)
    return Parsed(page, request_id=page.request_id)
