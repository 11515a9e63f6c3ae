"""Polygon's list of share splits.

What belongs here: what is asked, page after page, and what a page says. What does not: transport
and retries (`providers/http.py`), where splits are kept (`bars/splits.py`), what they do to prices
(`swiftbolt_assets/market/splits.py`). What it tells is a record of
`providers/lists.py`. Same headings in the same order as `bars.py`.

An answer is whole or none: what it leaves out may be removed here. A split is known by its event
(symbol, day, kind, ratio); the provider's id and factor change from pull to pull and are only kept.
Two ratios for one day are two splits: prices tell which happened. Wire facts:
massive.com/docs/rest/stocks/corporate-actions/splits, and the official client's `StockSplit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from resources.providers.http import without_retries
from resources.providers.lists import SplitRow, SplitsAnswer
from resources.providers.polygon.bars import NAME, next_page
from resources.providers.polygon.reply import check_status, judge
from resources.providers.replies import Parsed, Reply, Request, decoded, number, shown
from swiftbolt_assets.errors import MalformedReplyError
from swiftbolt_assets.market.splits import Split

if TYPE_CHECKING:
    from resources.providers.http import Transport
    from resources.providers.lists import SplitsAsked

# --- limits -------------------------------------------------------------------------------------

#: The most that a page may hold; all companies together split some 1,500 times in a year.
_LIMIT = 5000
#: More than this many pages are a loop.
_MAX_PAGES = 10

# --- request (pure) -----------------------------------------------------------------------------

_PATH = "/stocks/v1/splits"


def splits_request(asked: SplitsAsked) -> Request:
    """Return the request of the first page."""
    whose = () if asked.symbol is None else (("ticker", asked.symbol),)
    return Request(
        _PATH,
        (
            *whose,
            ("execution_date.gte", asked.first.isoformat()),
            ("sort", "execution_date.asc"),
            ("limit", str(_LIMIT)),
        ),
    )


# --- parse (pure) -------------------------------------------------------------------------------


#: Beyond these no company goes, and a product of some would be no number.
_LEAST_RATIO, _MOST_RATIO = 1e-6, 1e6
_KINDS = frozenset({"forward_split", "reverse_split", "stock_dividend"})


@dataclass(frozen=True, slots=True)
class SplitsPage:
    """One page.

    Attributes:
        rows: usable splits in the order of the wire.
        refused: one line for each split that is unusable.
        next_url: the link to the next page, or None.
        request_id: the provider's id of the reply, or None.

    """

    rows: tuple[SplitRow, ...]
    refused: tuple[str, ...]
    next_url: str | None
    request_id: str | None


def parse_splits(reply: Reply, asked: SplitsAsked) -> SplitsPage:
    """Return a page of splits.

    Raises:
        ProviderError: the body is no page of the splits that were asked for.

    """
    content = decoded(reply.body)
    if not isinstance(content, dict):
        raise MalformedReplyError(f"the body is a JSON {type(content).__name__}, not an object")
    check_status(str(content.get("status")), _text(content, "message", "error"), reply)
    # Unlike a range of bars without a bar, an empty list of splits is written as one.
    results = content.get("results")
    if not isinstance(results, list):
        raise MalformedReplyError("it holds no list of splits")
    rows: list[SplitRow] = []
    refused: list[str] = []
    for item in results:
        row = _row(item)
        if row is None:
            refused.append(shown(item))
            continue
        if row.split.day < asked.first or asked.symbol not in {None, row.symbol}:
            raise MalformedReplyError(f"it answers for {shown(row.symbol)} on {row.split.day}")
        rows.append(row)
    # A text, or a bare integer.
    request_id = content.get("request_id")
    return SplitsPage(
        tuple(rows),
        tuple(refused),
        _text(content, "next_url"),
        shown(request_id) if request_id and isinstance(request_id, str | int) else None,
    )


def _row(item: object) -> SplitRow | None:
    """Return one split, None when a field of it is unusable."""
    if not isinstance(item, dict):
        return None
    symbol, day = item.get("ticker"), _day(item.get("execution_date"))
    before, after = number(item.get("split_from")), number(item.get("split_to"))
    if not isinstance(symbol, str) or not symbol or day is None:
        return None
    if before is None or after is None or not (before > 0 and after > 0):
        return None
    if not _LEAST_RATIO <= after / before <= _MOST_RATIO:
        return None
    kind, found = item.get("adjustment_type"), item.get("id")
    if not isinstance(kind, str) or kind not in _KINDS:
        kind = "forward_split" if after > before else "reverse_split"
    provider_id = shown(found) if isinstance(found, str) and found else None
    factor = number(item.get("historical_adjustment_factor"))
    return SplitRow(symbol, Split(day, before, after), kind, provider_id, factor)


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _text(content: dict[str, Any], *names: str) -> str | None:
    for name in names:
        if isinstance(value := content.get(name), str) and value:
            return value
    return None


# --- client -------------------------------------------------------------------------------------


class PolygonSplits:
    """The list of splits.

    Args:
        transport: to Polygon; its limiter holds the plan's requests a minute.

    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def fetch(self, asked: SplitsAsked, *, priority: int) -> SplitsAnswer:
        """Return the whole answer. Nothing is tried twice: bars need the budget more.

        Raises:
            ProviderError: a page did not come or cannot be trusted.
            StorageError: the request budget cannot be reached.

        """
        # Without a symbol in the record: these requests are no symbol's bars.
        conversation = self._transport.conversation(None, priority=priority)
        following: Request | None = splits_request(asked)
        pages: list[SplitsPage] = []
        seen: set[Request] = set()
        while following is not None:
            seen.add(following)
            with without_retries():
                page = conversation.get(following, partial(_check, asked=asked)).value
            pages.append(page)
            following = self._following(page, seen)
        rows = {row.event: row for page in pages for row in page.rows}
        return SplitsAnswer(
            asked=asked,
            rows=tuple(rows.values()),
            refused=tuple(text for page in pages for text in page.refused),
            requests=conversation.requests,
            request_id=pages[0].request_id,
        )

    def _following(self, page: SplitsPage, seen: set[Request]) -> Request | None:
        """Return the request of the next page, or None after the last.

        Raises:
            MalformedReplyError: the list goes on, but nobody can say where.

        """
        if page.next_url is None:
            return None
        try:
            path, cursor = next_page(page.next_url, self._transport.base_url)
        except MalformedReplyError as error:
            raise self._untrusted(str(error)) from None
        following = Request(_PATH, (*cursor, ("limit", str(_LIMIT))))
        if path != _PATH or not cursor:
            raise self._untrusted(f"the next page is of something else: {shown(path)}")
        if following in seen or len(seen) >= _MAX_PAGES:
            raise self._untrusted("the pages do not end")
        return following

    def _untrusted(self, why: str) -> MalformedReplyError:
        return MalformedReplyError(self._transport.key.redact(f"{NAME}: {why}"))


def _check(reply: Reply, asked: SplitsAsked) -> Parsed[SplitsPage]:
    if error := judge(reply):
        raise error
    page = parse_splits(reply, asked)
    return Parsed(page, request_id=page.request_id)
