"""Polygon's aggregates: the 15-minute history.

What belongs here: what is asked of Polygon, page after page. What does not: what one reply says
(`reply.py`), transport and retries (`providers/http.py`), what makes a bar good
(`swiftbolt_assets/market/validation.py`). Same headings in the same order as
`providers/tradier/bars.py`.

Wire facts: massive.com/docs/rest/stocks/aggregates/custom-bars (Polygon was renamed Massive), the
official client's OpenAPI file, and recorded replies.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import polars as pl

from resources.providers.contract import Answer
from resources.providers.polygon.capabilities import CAPABILITIES
from resources.providers.polygon.reply import LAST_MS, Page, judge, parse_page
from resources.providers.replies import Parsed, Reply, Request, segment, shown
from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.errors import MalformedReplyError, ProviderError
from swiftbolt_assets.market.symbols import parse_symbol

if TYPE_CHECKING:
    from resources.providers.http import Transport

# --- limits -------------------------------------------------------------------------------------

NAME = CAPABILITIES.name
MINUTES = 15
#: The most that a request may ask for. It counts stored one-minute bars, not results.
BASE_LIMIT = CAPABILITIES.most_base_minutes
#: A plan of 52 sessions needs one page; more than this many are a loop.
MAX_PAGES = 30
#: The company was renamed; both hosts serve both names.
_HOSTS = frozenset({"api.polygon.io", "api.massive.com"})

# --- request (pure) -----------------------------------------------------------------------------

_RANGE = re.compile(r"/v2/aggs/ticker/(?P<ticker>[^/]+)/range/15/minute/(?P<start>[^/]+)/[^/]+")
#: Whether a cursor carries `adjusted` is not documented, so every request says it.
_PARAMS = (("adjusted", "false"), ("sort", "asc"), ("limit", str(BASE_LIMIT)))


def bars_request(symbol: str, first: date, last: date) -> Request:
    """Return the request of the New York dates `first`..`last`.

    Plain dates keep the 15-minute windows aligned: they are counted from the start that is asked.
    """
    path = (
        f"/v2/aggs/ticker/{segment(symbol)}/range/{MINUTES}/minute/"
        f"{first.isoformat()}/{last.isoformat()}"
    )
    return Request(path, _PARAMS)


def next_request(next_url: str, base_url: str, symbol: str) -> Request:
    """Return the request of a next page, which goes to `base_url` whatever the link says.

    Raises:
        MalformedReplyError: the link leads to another host or to something else than this series.

    """
    path, cursor = next_page(next_url, base_url)
    match = _RANGE.fullmatch(path)
    if match is None or match["ticker"] != segment(symbol):
        raise MalformedReplyError(f"the next page is of something else: {shown(path)}")
    return Request(path, (*cursor, *_PARAMS))


def next_page(next_url: str, base_url: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the path of a next page, below `base_url`, and the cursor of its query.

    Raises:
        MalformedReplyError: the link leads to another host.

    """
    base = urlsplit(base_url)
    try:
        link = urlsplit(next_url)
        host, port = link.hostname, link.port
    except ValueError:
        raise MalformedReplyError("the link to the next page is no URL") from None
    # The base may be a proxy of either.
    if (host, port) != (base.hostname, base.port) and host not in _HOSTS:
        raise MalformedReplyError(f"the next page is on another host: {shown(host)}")
    cursor = tuple((k, v) for k, v in parse_qsl(link.query) if k == "cursor")
    return link.path.removeprefix(base.path), cursor


def start_ms(request: Request) -> int:
    """Return where a request's range starts, in epoch milliseconds.

    Raises:
        MalformedReplyError: it is neither milliseconds nor a date.

    """
    match = _RANGE.fullmatch(request.path)
    text = match["start"] if match else ""
    if text.isascii() and text.isdigit() and len(text) <= len(str(LAST_MS)):
        return int(text)
    try:
        midnight = datetime.combine(date.fromisoformat(text), time(), NEW_YORK)
    except ValueError:
        raise MalformedReplyError(f"the next page starts at {shown(text)!r}") from None
    return int(midnight.timestamp()) * 1000


# --- client -------------------------------------------------------------------------------------


class PolygonClient:
    """The history of 15-minute bars, as traded (not adjusted), all hours.

    Args:
        transport: to Polygon; its limiter holds the plan's requests a minute.

    """

    name = NAME

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        """Return the 15-minute bars of the New York dates `first`..`last`, both included.

        Next pages are followed. If one fails or its link cannot be trusted, the answer is broken
        off there and keeps the pages before.

        Raises:
            UsageError: the symbol is none.
            ProviderError: the first page did not come.
            StorageError: the request budget cannot be reached.

        """
        symbol = parse_symbol(symbol)
        conversation = self._transport.conversation(symbol, priority=priority)
        request = bars_request(symbol, first, last)
        pages: list[Page] = []
        request_ids: list[str] = []
        broken_off: ProviderError | None = None
        following: Request | None = request
        while following is not None and broken_off is None:
            request = following
            try:
                parsed = conversation.get(request, partial(_check, symbol=symbol))
            except ProviderError as error:
                if not pages:
                    raise
                broken_off = error
                break
            page = parsed.value
            pages.append(page)
            if parsed.request_id:
                request_ids.append(parsed.request_id)
            try:
                following = self._following(page, request, symbol, len(pages))
            except MalformedReplyError as error:
                broken_off = MalformedReplyError(self._transport.key.redact(f"{NAME}: {error}"))
        return Answer(
            provider=NAME,
            symbol=symbol,
            first=first,
            last=last,
            bars=pl.concat([page.bars for page in pages]),
            base_minutes=sum(page.base_minutes for page in pages),
            requests=conversation.requests,
            request_ids=tuple(request_ids),
            broken_off=broken_off,
        )

    def _following(self, page: Page, request: Request, symbol: str, pages: int) -> Request | None:
        """Return the request of the next page, or None after the last.

        Raises:
            MalformedReplyError: the series goes on, but nobody can say where.

        """
        if page.next_url is None:
            # A window that the limit cuts is left out, so up to 14 minutes may be missing.
            if page.base_minutes >= BASE_LIMIT - MINUTES:
                raise MalformedReplyError("the limit is reached, but no next page is named")
            return None
        following = next_request(page.next_url, self._transport.base_url, symbol)
        # A loop is refused by this too.
        if start_ms(following) <= start_ms(request):
            raise MalformedReplyError("the next page does not start later")
        if pages >= MAX_PAGES:
            raise MalformedReplyError(f"there are more than {MAX_PAGES} pages")
        return following


def _check(reply: Reply, symbol: str) -> Parsed[Page]:
    if error := judge(reply):
        raise error
    page = parse_page(reply, symbol)
    return Parsed(page, page.bars.height, page.base_minutes, page.request_id)
