"""Polygon's replies: what a page of aggregates says, and what its errors mean.

What belongs here: pure reading of one reply. Bars stay as they were delivered, with null where a
field is unusable; `swiftbolt_assets/market/validation.py` decides which are good. What does not:
requests, pages after pages (`bars.py`). Same shape as `providers/tradier/reply.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import polars as pl

from resources.providers.replies import (
    FIRST_S,
    LAST_S,
    Reply,
    decoded,
    number,
    retry_after,
    shown,
    unit_of,
    whole,
)
from swiftbolt_assets.errors import (
    BadRequestError,
    BeyondPlanError,
    KeyRefusedError,
    MalformedReplyError,
    NotYetAvailableError,
    PermissionDeniedError,
    ProviderError,
    RateLimitedError,
    UnavailableError,
)
from swiftbolt_assets.market.bars import TS, empty_bars

#: Stamps outside are no milliseconds: seconds lie in 1970, micro- and nanoseconds beyond 2100.
FIRST_MS = FIRST_S * 1000
LAST_MS = LAST_S * 1000
#: More stored minutes than this no page can have used: twice the limit that is asked for.
_MOST_MINUTES = 100_000

_Stamp = Annotated[int, msgspec.Meta(ge=FIRST_MS, lt=LAST_MS)]
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Bar(msgspec.Struct, gc=False):
    """A bar as nearly all are; any other sends its page down the slow way."""

    t: _Stamp
    o: float | None = None
    h: float | None = None
    l: float | None = None  # noqa: E741 - the name on the wire
    c: float | None = None
    v: float | None = None
    vw: float | None = None
    n: _Int64 | None = None


class _Envelope(msgspec.Struct):
    """A page around its bars; unknown keys are ignored."""

    status: str
    ticker: str | None = None
    adjusted: bool | None = None
    queryCount: int | None = None  # noqa: N815 - the names on the wire
    resultsCount: int | None = None  # noqa: N815
    count: int | None = None
    request_id: str | None = None
    next_url: str | None = None
    error: str | None = None
    message: str | None = None


class _Fast(_Envelope):
    results: list[_Bar] | None = None


_fast_page = msgspec.json.Decoder(_Fast)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of bars.

    Attributes:
        bars: columns of `BAR_SCHEMA`, in the order of the wire.
        base_minutes: `queryCount`; 0 when absent.
        next_url: the link to the next page, or None.
        request_id: the provider's id of the reply, or None.

    """

    bars: pl.DataFrame
    base_minutes: int
    next_url: str | None
    request_id: str | None


def judge(reply: Reply) -> ProviderError | None:
    """Return the error that a status other than 200 stands for."""
    status = reply.status
    if status == 200:  # noqa: PLR2004 - HTTP
        return None
    said = _said(reply.body)
    text = f"HTTP {status}{f': {said}' if said else ''}"
    if status in {401, 403}:
        return _key_refused(text) if status == 401 else _denied(text, said)  # noqa: PLR2004
    if status == 429:  # noqa: PLR2004
        return RateLimitedError(text, retry_after(reply))
    # 408, 413 and 499 are retried by the official client too.
    if status >= 500 or status in {408, 413, 499}:  # noqa: PLR2004
        return UnavailableError(text)
    if status >= 400:  # noqa: PLR2004
        return BadRequestError(text)
    return MalformedReplyError(text)


def parse_page(reply: Reply, symbol: str) -> Page:
    """Return a page of bars.

    Raises:
        ProviderError: the body is no page of raw 15-minute bars of this symbol, or none of its
            bars has a time.

    """
    try:
        page = _fast_page.decode(reply.body)
        bars = None if page.results is None else _fast_frame(page.results)
        head: _Envelope = page
    except msgspec.MsgspecError:
        head, bars = _slow_page(reply.body)
    check_status(head.status, head.message or head.error, reply)
    count = 0 if bars is None else bars.height
    for promised in (head.resultsCount, head.count):
        if promised is not None and promised != count:
            raise MalformedReplyError(f"it promises {promised} bars and holds {count}")
    base_minutes = head.queryCount or 0
    if count == 0:
        _check_empty(head)
    if head.ticker != symbol and (count or head.ticker is not None):
        raise MalformedReplyError(f"it answers for {shown(head.ticker)}")
    if head.adjusted is not False and (count or head.adjusted is not None):
        raise MalformedReplyError("its prices are adjusted for splits, raw ones were asked for")
    if not 0 <= base_minutes <= _MOST_MINUTES:
        raise MalformedReplyError(f"queryCount is {shown(base_minutes)}")
    request_id = shown(head.request_id) if head.request_id else None
    return Page(
        empty_bars() if bars is None else bars, base_minutes, head.next_url or None, request_id
    )


def check_status(status: str, message: str | None, reply: Reply) -> None:
    """Raise what the status in the body of a 200 stands for, as the HTTP status would."""
    said = shown(message or "")
    text = f"status {shown(status)}{f': {said}' if said else ''}"
    match status:
        case "OK" | "DELAYED":
            return
        case "NOT_AUTHORIZED":
            raise _denied(text, said)
        case "NOT_FOUND":
            raise BadRequestError(text)
        case "ERROR" if re.search("maximum requests", said, re.IGNORECASE):
            raise RateLimitedError(text, retry_after(reply))
        case "ERROR" if re.search("api key", said, re.IGNORECASE):
            raise _key_refused(text)
        case "ERROR":
            raise UnavailableError(text)
        case _:
            raise MalformedReplyError(text)


def _check_empty(head: _Envelope) -> None:
    """Raise unless a page without bars says itself that it is empty."""
    if not (head.resultsCount == 0 or head.count == 0 or head.queryCount == 0):
        raise MalformedReplyError("it holds neither bars nor a count of 0")
    if head.queryCount:
        raise MalformedReplyError(f"it holds no bars of {head.queryCount} minutes")


def _denied(text: str, said: str) -> ProviderError:
    """Return which of the situations that share 403 this is: only the message tells."""
    if re.search("before end of day", said, re.IGNORECASE):
        return NotYetAvailableError(text)
    if re.search("data timeframe", said, re.IGNORECASE):
        return BeyondPlanError(text)
    if re.search("not entitled|upgrade your plan", said, re.IGNORECASE):
        return PermissionDeniedError(f"the key's plan does not include this ({text})")
    if re.search("api key", said, re.IGNORECASE):
        return _key_refused(text)
    return PermissionDeniedError(f"the key may not see this ({text})")


def _key_refused(text: str) -> KeyRefusedError:
    return KeyRefusedError(f"the key was refused ({text}); check POLYGON_API_KEY (MASSIVE_API_KEY)")


def _said(body: bytes) -> str:
    """Return the message of an error's body, or nothing."""
    try:
        content = decoded(body)
    except MalformedReplyError:
        return ""
    if not isinstance(content, dict):
        return ""
    return shown(content.get("error") or content.get("message") or "")


def _fast_frame(bars: list[_Bar]) -> pl.DataFrame:
    return _frame(
        [b.t for b in bars],
        {
            "open": [b.o for b in bars],
            "high": [b.h for b in bars],
            "low": [b.l for b in bars],
            "close": [b.c for b in bars],
            "volume": [b.v for b in bars],
            "vwap": [b.vw for b in bars],
        },
        [b.n for b in bars],
    )


def _slow_page(body: bytes) -> tuple[_Envelope, pl.DataFrame | None]:
    """Return a page some of whose fields are unusable: those become null, the page is kept."""
    content = decoded(body)
    if not isinstance(content, dict):
        raise MalformedReplyError(f"the body is a JSON {type(content).__name__}, not an object")
    results = content.pop("results", None)
    try:
        head = msgspec.convert(content, _Envelope)
    except msgspec.ValidationError as error:
        raise MalformedReplyError(f"the body is no page: {shown(error)}") from None
    if results is None:
        return head, None
    if not isinstance(results, list):
        raise MalformedReplyError(f"results is a JSON {type(results).__name__}, not a list")
    rows: list[dict[str, Any]] = [row if isinstance(row, dict) else {} for row in results]
    stamps = [t if (t := whole(row.get("t"))) and FIRST_MS <= t < LAST_MS else None for row in rows]
    if rows and stamps.count(None) == len(rows):
        looks = unit_of(row.get("t") for row in rows)
        raise MalformedReplyError(f"none of its {len(rows):,} bars has a time: {looks}")
    fields = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "vwap": "vw"}
    return head, _frame(
        stamps,
        {column: [number(row.get(key)) for row in rows] for column, key in fields.items()},
        [whole(row.get("n")) for row in rows],
    )


def _frame(
    stamps: list[int] | list[int | None],
    numbers: dict[str, list[float | None]],
    trades: list[int | None],
) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (pl.Series("ts", stamps, pl.Int64) * 1000).cast(TS),
            *(pl.Series(column, values, pl.Float64) for column, values in numbers.items()),
            pl.Series("trade_count", trades, pl.Int64),
        ]
    )
