"""Tradier's replies: what a series says, and what errors mean.

What belongs here: pure reading of one reply. Bars stay as they were delivered, with null where a
field is unusable; `swiftbolt_assets/market/validation.py` decides which are good. What does not:
requests (`bars.py`). Same shape as `providers/polygon/reply.py`.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

import msgspec
import polars as pl

from resources.providers.replies import (
    FIRST_S,
    LAST_S,
    Reply,
    decoded,
    http_date,
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
    PermissionDeniedError,
    ProviderError,
    RateLimitedError,
    UnavailableError,
)
from swiftbolt_assets.market.bars import TS, empty_bars

_TOO_OLD = re.compile(r"must be on or after\s+(\d{4}-\d{2}-\d{2})")
#: A minute's budget is renewed after one; a header that says more than two is not believed.
_WINDOW_S, _LONGEST_WINDOW_S = 60.0, 120.0
#: An instant in seconds has no more digits before the year 2286, one in milliseconds since 2001.
_DIGITS_OF_SECONDS = 10
#: Tradier writes the name "null" where it means nothing.
_NOTHING = (None, "null")

_Stamp = Annotated[int, msgspec.Meta(ge=FIRST_S, lt=LAST_S)]


class _Bar(msgspec.Struct, gc=False):
    """A bar as nearly all are; any other sends its reply down the slow way.

    `price` is left out: it is (high + low) / 2, whatever its documentation says.
    """

    time: str
    timestamp: _Stamp
    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    volume: float | None = None
    vwap: float | None = None


class _Series(msgspec.Struct):
    data: list[_Bar]


class _Body(msgspec.Struct):
    series: _Series


_fast_body = msgspec.json.Decoder(_Body)


class TooOldError(BeyondPlanError):
    """The start lies before what Tradier keeps; `oldest` is the date that it names."""

    def __init__(self, message: str, oldest: date) -> None:
        super().__init__(message)
        self.oldest = oldest


def judge(reply: Reply) -> ProviderError | None:
    """Return the error that a reply stands for: by its status, its fault or its `errors`.

    Faults come with several statuses (a quota with 429 or 500), so the fault's code goes first.
    """
    status = reply.status
    said, code = _said(reply)
    ok = status == 200  # noqa: PLR2004 - HTTP
    if ok and said is None:
        return None
    text = f"HTTP {status}{f': {said}' if said else ''}"
    if status == 429 or "quotaviolation" in code or "quota violation" in (said or "").lower():  # noqa: PLR2004
        return RateLimitedError(text, retry_after(reply, until_expiry(reply)))
    if status in {401, 403} or "access_token" in code:
        return _denied(status, text)
    # A fault or an error below 200 comes from behind the gateway and passes.
    if ok or status >= 500 or status in {408, 413, 499}:  # noqa: PLR2004
        return _too_old(said) or UnavailableError(text)
    if status >= 400:  # noqa: PLR2004
        return _too_old(said) or BadRequestError(text)
    return MalformedReplyError(text)


def _denied(status: int, text: str) -> PermissionDeniedError:
    if status == 403:  # noqa: PLR2004
        return PermissionDeniedError(f"the token may not see this ({text})")
    return KeyRefusedError(f"the token was refused ({text}); check TRADIER_TOKEN")


def parse_series(reply: Reply) -> pl.DataFrame:
    """Return the bars of a reply: columns of `BAR_SCHEMA`, in the order of the wire.

    A bar's instant is its `timestamp`; where `time`, the same in New York, contradicts it, `ts` is
    null.

    Raises:
        ProviderError: the body is no series, or none of its bars has a time.

    """
    bars = _series(reply.body)
    if bars.height and bars["ts"].null_count() == bars.height:
        raise MalformedReplyError(
            f"none of its {bars.height:,} bars has a time: `time` and `timestamp` contradict"
        )
    return bars


def _series(body: bytes) -> pl.DataFrame:
    try:
        bars = _fast_body.decode(body).series.data
    except msgspec.MsgspecError:
        return _slow_series(body)
    return _frame(
        [b.timestamp for b in bars],
        [b.time for b in bars],
        {
            "open": [b.open for b in bars],
            "high": [b.high for b in bars],
            "low": [b.low for b in bars],
            "close": [b.close for b in bars],
            "volume": [b.volume for b in bars],
            "vwap": [b.vwap for b in bars],
        },
    )


def until_expiry(reply: Reply) -> float:
    """Return the seconds until the budget is renewed, as the headers say; 60 if they do not.

    `X-Ratelimit-Expiry` is in epoch milliseconds of Tradier's clock, or, by its documents, in
    seconds, so it is compared with the reply's own Date, in whole seconds: one more is waited.
    """
    expiry = reply.headers.get("x-ratelimit-expiry", "")
    if not (expiry.isascii() and expiry.isdigit()):
        return _WINDOW_S
    sent = http_date(reply.headers.get("date", "")) or reply.received
    instant = int(expiry[:16]) / (1 if len(expiry) <= _DIGITS_OF_SECONDS else 1000)
    seconds = instant - sent.timestamp() + 1
    return seconds if 0 < seconds <= _LONGEST_WINDOW_S else _WINDOW_S


def _said(reply: Reply) -> tuple[str | None, str]:
    """Return the message and the code of a fault or error; None and nothing for a good body."""
    if reply.status == 200 and not re.search(rb'"(fault|errors)"', reply.body[:4096]):  # noqa: PLR2004
        return None, ""
    try:
        content = decoded(reply.body)
    except MalformedReplyError:
        return _plain(reply), ""
    if not isinstance(content, dict):
        return None, ""
    fault, errors = content.get("fault"), content.get("errors")
    if isinstance(fault, dict):
        detail = fault.get("detail")
        code = detail.get("errorcode") if isinstance(detail, dict) else ""
        return shown(fault.get("faultstring")), shown(code).lower()
    if errors is not None:
        error = errors.get("error") if isinstance(errors, dict) else errors
        return shown("; ".join(map(str, error)) if isinstance(error, list) else error), ""
    return None, ""


def _plain(reply: Reply) -> str | None:
    """Return the text of an error that is no JSON: Tradier has plain ones, gateways have XML."""
    if reply.status == 200:  # noqa: PLR2004
        return None
    text = re.sub(r"<[^>]*>", " ", reply.body[:4096].decode("utf-8", "replace"))
    return shown(text) or None


def _too_old(said: str | None) -> TooOldError | None:
    match = _TOO_OLD.search(said or "")
    if match is None:
        return None
    try:
        oldest = date.fromisoformat(match[1])
    except ValueError:
        return None
    return TooOldError(f"Tradier keeps bars from {oldest} on", oldest)


def _slow_series(body: bytes) -> pl.DataFrame:
    """Return a series that is empty, a single bar, or has unusable fields: those become null."""
    content = decoded(body)
    if not isinstance(content, dict) or "series" not in content:
        raise MalformedReplyError("the body holds no series")
    series = content["series"]
    if series in _NOTHING:
        return empty_bars()
    data = series.get("data") if isinstance(series, dict) else None
    if isinstance(data, dict):
        data = [data]
    if not isinstance(data, list):
        raise MalformedReplyError(f"the series holds no bars: {shown(series)}")
    rows: list[dict[str, Any]] = [row if isinstance(row, dict) else {} for row in data]
    stamps = [
        s if (s := whole(row.get("timestamp"))) and FIRST_S <= s < LAST_S else None for row in rows
    ]
    if rows and stamps.count(None) == len(rows):
        looks = unit_of(row.get("timestamp") for row in rows)
        raise MalformedReplyError(f"none of its {len(rows):,} bars has a time: {looks}")
    return _frame(
        stamps,
        [text if isinstance(text := row.get("time"), str) else None for row in rows],
        {
            column: [number(row.get(column)) for row in rows]
            for column in ("open", "high", "low", "close", "volume", "vwap")
        },
    )


def _frame(
    stamps: list[int] | list[int | None],
    times: list[str] | list[str | None],
    numbers: dict[str, list[float | None]],
) -> pl.DataFrame:
    ts = (pl.Series("ts", stamps, pl.Int64) * 1_000_000).cast(TS)
    said = pl.Series("said", times, pl.String).str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False)
    # Compared on New York's wall clock: the way there is unique, the way back is not in autumn.
    wall = ts.dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)
    return pl.DataFrame(
        [ts, said, wall.alias("wall")],
    ).select(
        pl.when(pl.col("said") == pl.col("wall")).then("ts").alias("ts"),
        *(pl.Series(column, values, pl.Float64) for column, values in numbers.items()),
        pl.Series("trade_count", [None] * len(stamps), pl.Int64),
    )
