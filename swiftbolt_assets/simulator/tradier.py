"""Tradier's GET /v1/markets/timesales.

The rules that bite: XML unless JSON is asked for, ticks unless an interval is asked for, times
are naive New York times, `end` is inclusive on a bar's start, a start that is too old is refused,
one bar is an object instead of a list and none is `series: null`. `price` is (high + low) / 2.
Volumes are whole. Not known of the real service, and chosen here: without `start` today's bars are
served; a date-only `end` means the end of that day; `session_filter=open` keeps the auction print
at the close; ticks are one a minute; about one minute in 500 lacks the late trades that Polygon's
bar of the same minute has (a tenth of the volume, and its high and low).

What belongs here: the request, the bars, the page's text. What does not: the other endpoints
(`tradier_markets.py`), tokens and quotas (`gate.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import numpy as np

from swiftbolt_assets.simulator import tradier_errors as errors
from swiftbolt_assets.simulator.calendar import (
    MINUTE_MS,
    NEW_YORK,
    REGULAR_OPEN,
    from_ms,
    sessions,
    to_ms,
)
from swiftbolt_assets.simulator.prices import Bars, join
from swiftbolt_assets.simulator.windows import fold
from swiftbolt_assets.simulator.wire import BarPage, Reply, Row, plain_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swiftbolt_assets.simulator.calendar import Session
    from swiftbolt_assets.simulator.config import SimulatorConfig
    from swiftbolt_assets.simulator.listings import Listing, Listings
    from swiftbolt_assets.simulator.prices import Market
    from swiftbolt_assets.simulator.wire import Ask

_INTERVALS = {"tick": 1, "1min": 1, "5min": 5, "15min": 15}
# How many weekdays back `start` may lie, by interval: regular hours alone, all hours.
_HISTORY = {"tick": (5, 5), "1min": (20, 10), "5min": (41, 41), "15min": (41, 41)}
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?")
_PRICES = ("open", "high", "low", "close")
_SATURDAY = 5
_LATE_ONE_IN = 500
_LATE_SHARE = 0.9
_PLAIN_DATE = 10


@dataclass(frozen=True, slots=True)
class _Query:
    """One understood request; both instants are included."""

    symbol: str
    interval: str
    is_regular: bool
    start: datetime
    end: datetime


class Timesales:
    """The bars of one simulator, in Tradier's words."""

    def __init__(self, config: SimulatorConfig, market: Market, listings: Listings) -> None:
        self._config = config
        self._market = market
        self._listings = listings

    def answer(self, ask: Ask, _values: Mapping[str, str]) -> Reply | BarPage:
        """Answer a window of bars."""
        now = self._config.now()
        query = _parse(ask.params, now.astimezone(NEW_YORK).date())
        if isinstance(query, str):
            return errors.bad_request(query)
        listing = self._listings.find(spelled(query.symbol))
        bars = join([]) if listing is None else self._bars(listing, query, to_ms(now))
        is_tick = query.interval == "tick"
        return BarPage(
            rows=_ticks(bars) if is_tick else _rows(bars),
            prices=("price",) * 4 if is_tick else _PRICES,
            volume="volume",
            moved=_moved,
            print_page=lambda page: _print(page, ask.accept),
        )

    def _bars(self, listing: Listing, query: _Query, now_ms: int) -> Bars:
        """Return the bars that start inside the window, both ends included."""
        span = _INTERVALS[query.interval] * MINUTE_MS
        last = min(query.end.date(), from_ms(now_ms).date())
        parts = []
        for found in sessions(query.start.date(), last):
            bars = without_late_trades(self._market.until(listing, found.day, now_ms))
            if query.is_regular:
                bars = bars.take(_is_regular(bars, found))
            offset = bars.t - found.midnight_ms
            parts.append(fold(bars, offset // span * span + found.midnight_ms))
        bars = join(parts)
        return bars.take((bars.t >= to_ms(query.start)) & (bars.t <= to_ms(query.end)))


def _parse(params: Mapping[str, str], today: date) -> _Query | str:
    """Return the understood request, or the text of the 400."""
    interval = params.get("interval", "tick")
    hours = params.get("session_filter", "all")
    symbol = params.get("symbol", "")
    start = _local(params.get("start", f"{today}"), is_end=False)
    end = _local(params.get("end", f"{today}"), is_end=True)
    wrong = {
        "symbol": not symbol,
        "interval": interval not in _INTERVALS,
        "session_filter": hours not in {"all", "open"},
        "start": start is None,
        "end": end is None or (start is not None and end < start),
    }
    name = next((name for name, is_wrong in wrong.items() if is_wrong), None)
    if name is not None or start is None or end is None:
        return f"Invalid Parameter: {name}"
    oldest = _weekdays_before(today, _HISTORY[interval][hours == "all"])
    if start.date() < oldest:
        return f"Invalid parameter, start: must be on or after {oldest} 00:00:00."
    return _Query(symbol, interval, hours == "open", start, end)


def spelled(symbol: str) -> str:
    """Return the table's spelling of a Tradier symbol: `BRK/B` is `BRK.B`, a dot is unknown.

    Case is folded because Tradier knows none: who asks for `BCpC` is told of `BCPC`.
    """
    return "" if "." in symbol else symbol.upper().replace("/", ".")


def without_late_trades(bars: Bars) -> Bars:
    """Return minute bars as they stood before late trades were added to some of them."""
    late = bars.t // MINUTE_MS * 7919 % _LATE_ONE_IN == 0
    return replace(
        bars,
        h=np.where(late, np.maximum(bars.o, bars.c), bars.h),
        l=np.where(late, np.minimum(bars.o, bars.c), bars.l),
        v=np.where(late, np.maximum(1.0, np.floor(bars.v * _LATE_SHARE)), bars.v),
    )


def _is_regular(bars: Bars, found: Session) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which minutes are regular, the auction print at the close included."""
    opens, closes = found.at(REGULAR_OPEN), found.at(found.closes)
    regular: np.ndarray[tuple[int], np.dtype[np.bool_]] = (bars.t >= opens) & (bars.t <= closes)
    return regular


def _local(text: str, *, is_end: bool) -> datetime | None:
    """Return a naive New York time as an instant, or None when it is none."""
    if not _TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if is_end and len(text) == _PLAIN_DATE:
        moment = datetime.combine(moment.date(), time(23, 59))
    return moment.replace(tzinfo=NEW_YORK)


def _weekdays_before(day: date, count: int) -> date:
    """Return the date so many weekdays before another one."""
    while count:
        day -= timedelta(days=1)
        count -= day.weekday() < _SATURDAY
    return day


def _stamp(milliseconds: int) -> dict[str, str]:
    local = from_ms(milliseconds).replace(tzinfo=None).isoformat()
    return {"time": f'"{local}"', "timestamp": str(milliseconds // 1000)}


def _rows(bars: Bars) -> list[Row]:
    """Return bars as printed."""
    columns = (bars.t, bars.o, bars.h, bars.l, bars.c, bars.v, bars.vw)
    return [
        {
            **_stamp(t),
            "price": plain_number((high + low) / 2),
            "open": plain_number(o),
            "high": plain_number(high),
            "low": plain_number(low),
            "close": plain_number(c),
            "volume": str(max(1, int(v))),
            "vwap": plain_number(vw),
        }
        for t, o, high, low, c, v, vw in zip(*(col.tolist() for col in columns), strict=True)
    ]


def _ticks(bars: Bars) -> list[Row]:
    """Return one trade a minute, with the minute's last price."""
    columns = (bars.t, bars.c, bars.v)
    return [
        {**_stamp(t), "price": plain_number(c), "volume": str(max(1, int(v)))}
        for t, c, v in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _moved(row: Row, minutes: int) -> Row:
    return {**row, **_stamp(int(row["timestamp"]) * 1000 + minutes * MINUTE_MS)}


def _print(page: BarPage, accept: str) -> Reply:
    """Return the page's text: null for no bar, an object for one, a list for more."""
    if "application/json" in accept:
        objects = ["{" + ",".join(f'"{k}":{v}' for k, v in row.items()) + "}" for row in page.rows]
        data = objects[0] if len(objects) == 1 else "[" + ",".join(objects) + "]"
        series = f'{{"data":{"null" if page.null_rows else data}}}' if objects else "null"
        return Reply(200, f'{{"series":{series}}}'.encode(), errors.JSON_TYPE)
    rows = [{key: token.strip('"') for key, token in row.items()} for row in page.rows]
    if page.null_rows:
        return errors.spoken({"series": {"data": None}}, accept)
    return errors.spoken({"series": {"data": rows} if rows else None}, accept)
