"""Requests and replies as plain values, and the readers of values that nobody can trust.

What belongs here: records and pure readers that both wire formats share. What does not: sending
(`http.py`), one provider's format (its folder).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from swiftbolt_assets.errors import MalformedReplyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")

#: More than a day is not believed.
LONGEST_RETRY_AFTER_S = 86_400.0
#: No bar is older or younger: 1980 to 2100, in seconds.
FIRST_S = 315_532_800
LAST_S = 4_102_444_800
_UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_SHOWN = 200
_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Request:
    """A GET below the provider's base URL.

    Attributes:
        path: from `/` on, each segment percent-encoded.
        params: the query, not yet encoded; never a key.

    """

    path: str
    params: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        status: the HTTP status.
        headers: names in lower case.
        body: decompressed.
        received: real time, UTC.

    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    received: datetime


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """A reply that was understood, with what the request's record keeps of it.

    Attributes:
        value: what the caller wants.
        bars: bars in the reply.
        base_minutes: stored one-minute bars behind it; 0 where they are not told.
        request_id: the provider's own id, or None.

    """

    value: T
    bars: int = 0
    base_minutes: int = 0
    request_id: str | None = None


def segment(text: str) -> str:
    """Return a text as one path segment: nothing in it can leave its place.

    Raises:
        UsageError: it is empty or stands for a folder.

    """
    if text in {"", ".", ".."}:
        raise UsageError(f"symbol: {text!r} cannot stand in a request; give a ticker such as AAPL")
    return quote(text, safe="")


def decoded(body: bytes) -> Any:  # noqa: ANN401 - JSON may be anything
    """Return a JSON body; unlike the standard, NaN and Infinity are read.

    Raises:
        MalformedReplyError: it is no JSON; the message says what it looks like.

    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        start = body[:64].lstrip().lower()
        kind = (
            "is empty" if not start else "is HTML or XML" if start[:1] == b"<" else "is no JSON"
        )  # fmt: skip
        raise MalformedReplyError(f"the body {kind} ({len(body)} bytes)") from None


def number(value: object) -> float | None:
    """Return a JSON number as a finite float; None for anything else, numeric text included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def whole(value: object) -> int | None:
    """Return a JSON number as an int of 64 bits; None for fractions and anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -_INT64 <= value < _INT64 else None


def unit_of(stamps: Iterable[object]) -> str:
    """Return how the first number among stamps that are no times looks, such as `t: seconds`.

    The units of the years 1980 to 2100 lie so far apart that none can be another.
    """
    stamp = next((found for one in stamps if (found := whole(one)) is not None), None)
    if stamp is None:
        return "no stamp is a whole number"
    for unit, a_second in _UNITS.items():
        if FIRST_S * a_second <= stamp < LAST_S * a_second:
            return f"{stamp} looks like {unit}"
    return f"{stamp} is a time in no unit"


def shown(value: object) -> str:
    """Return a text from outside as one short printable line."""
    text = " ".join(str(value).split())
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def retry_after(reply: Reply, default: float | None = None) -> float | None:
    """Return how many seconds a refusing reply asks to wait, from 1 s to a day.

    The header holds seconds or an HTTP date (RFC 9110, 10.2.3); a date is compared with the
    reply's own Date, because the provider's clock wrote both. Garbage counts as `default`.
    """
    text = reply.headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        until = http_date(text)
        sent = http_date(reply.headers.get("date", "")) or reply.received
        seconds = -1.0 if until is None else (until - sent).total_seconds()
    if not math.isfinite(seconds) or seconds < 0:
        return default
    return min(max(seconds, 1.0), LONGEST_RETRY_AFTER_S)


def http_date(text: str) -> datetime | None:
    """Return an HTTP date, or None."""
    try:
        instant = parsedate_to_datetime(text)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
