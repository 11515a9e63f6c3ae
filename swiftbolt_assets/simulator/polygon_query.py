"""One request for Polygon's aggregates: path and query, understood or refused.

What belongs here: the parts of the path, `limit` and `sort` from the query or the cursor, the
windows that the range and the timespan define. What does not: the answer (`polygon.py`).
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import numpy as np

from swiftbolt_assets.simulator import polygon_errors as errors
from swiftbolt_assets.simulator.calendar import MINUTE_MS, from_ms, midnight_ms
from swiftbolt_assets.simulator.windows import UNITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from swiftbolt_assets.simulator.wire import Reply

DEFAULT_LIMIT, MAX_LIMIT = 5000, 50_000
SPANS = {"minute": MINUTE_MS, "hour": 60 * MINUTE_MS}

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_STAMP = re.compile(r"-?\d{1,14}")
_COUNT = re.compile(r"\d{1,9}")
_DAY = timedelta(days=1)
_FIRST_YEAR, _LAST_YEAR = 1900, 2199


@dataclass(frozen=True, slots=True)
class Query:
    """One understood request; `first_ms` is the anchor, both ends are included."""

    ticker: str
    multiplier: int
    timespan: str
    first_ms: int
    last_ms: int
    first: date
    last: date
    adjusted: bool
    limit: int
    descending: bool

    def starts(self, stamps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the start of the window of each base bar; windows are counted from `from`."""
        span = SPANS.get(self.timespan)
        if span is not None:
            span *= self.multiplier
            return (stamps - self.first_ms) // span * span + self.first_ms
        unit = UNITS[self.timespan]
        anchor = unit.number(self.first)
        windows = ((unit.number(from_ms(stamp).date()) - anchor) for stamp in stamps.tolist())
        return np.array(
            [
                midnight_ms(unit.start(anchor + number // self.multiplier * self.multiplier))
                for number in windows
            ],
            np.int64,
        )

    def after(self, start: int) -> int:
        """Return the start of the window that follows one."""
        if self.timespan in SPANS:
            return start + SPANS[self.timespan] * self.multiplier
        unit = UNITS[self.timespan]
        return midnight_ms(unit.start(unit.number(from_ms(start).date()) + self.multiplier))


def parse(values: Mapping[str, str], params: Mapping[str, str]) -> Query | Reply:
    """Return the understood request, or the 400 that names what is wrong."""
    timespan = values["timespan"].lower()
    ends = [_instant(values[name], is_end=name == "to") for name in ("from", "to")]
    if ends[0] is None or ends[1] is None:
        return errors.bad_time("from" if ends[0] is None else "to")
    first_ms, last_ms = ends[0], ends[1]
    if last_ms < first_ms:
        return errors.REVERSED
    cursor = dict(parse_qsl(_unpadded(params.get("cursor", ""))))
    multiplier = values["multiplier"]
    limit = cursor.get("limit") or params.get("limit") or str(DEFAULT_LIMIT)
    sort = cursor.get("sort") or params.get("sort") or "asc"
    for name, text in (("multiplier", multiplier), ("limit", limit)):
        if not _COUNT.fullmatch(text) or (name == "multiplier" and int(text) == 0):
            return errors.bad_parameter(name)
    if sort not in {"asc", "desc"}:
        return errors.bad_parameter("sort")
    first, last = from_ms(first_ms).date(), from_ms(last_ms).date()
    first_ms, last_ms = _snapped(timespan, first_ms, last_ms)
    return Query(
        ticker=values["ticker"],
        multiplier=int(multiplier),
        timespan=timespan,
        first_ms=first_ms,
        last_ms=last_ms,
        first=from_ms(first_ms).date(),
        last=last if timespan in SPANS else max(first, from_ms(last_ms).date()),
        adjusted=params.get("adjusted", "true").lower() != "false",
        limit=min(int(limit) or DEFAULT_LIMIT, MAX_LIMIT),
        descending=sort == "desc",
    )


def _instant(text: str, *, is_end: bool) -> int | None:
    """Return the epoch milliseconds of a date (its end, for `to`) or of milliseconds."""
    if _DATE.fullmatch(text):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return None
        if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            return None
        return midnight_ms(day + _DAY) - 1 if is_end else midnight_ms(day)
    if not _STAMP.fullmatch(text):
        return None
    stamp = int(text)
    inside = midnight_ms(date(_FIRST_YEAR, 1, 1)) <= stamp < midnight_ms(date(_LAST_YEAR, 1, 1))
    return stamp if inside else None


def _snapped(timespan: str, first_ms: int, last_ms: int) -> tuple[int, int]:
    """Return the range widened to whole units: `from` down, `to` up."""
    if timespan in SPANS:
        span = SPANS[timespan]
        return first_ms // span * span, (last_ms // span + 1) * span - 1
    unit = UNITS.get(timespan, UNITS["day"])
    first = unit.start(unit.number(from_ms(first_ms).date()))
    after = unit.start(unit.number(from_ms(last_ms).date()) + 1)
    return midnight_ms(first), midnight_ms(after) - 1


def _unpadded(cursor: str) -> str:
    """Return the text of an unpadded base64 cursor; one that is none counts as absent."""
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError:
        return ""
