"""Polygon's aggregates: GET /v2/aggs/ticker/{t}/range/{mult}/{timespan}/{from}/{to} and /prev.

The rules that bite: `limit` counts stored one-minute bars (daily ones for day and longer), not
results; a window that the limit cuts is dropped; windows are anchored at `from`; `next_url` names
the first window not shown, carries no key and does not carry `adjusted`; no bars means no
`results` key. Not known of the real service, and chosen here: `limit` above 50000 counts as 50000;
a limit smaller than one window gives no bar and no next page; `queryCount` includes the dropped
part.

What belongs here: the plan's limits, paging, the page's text. What does not: the request
(`polygon_query.py`), other endpoints (`polygon_reference.py`), folding (`windows.py`), keys and
request limits (`gate.py`).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np

from swiftbolt_assets.simulator import polygon_errors as errors
from swiftbolt_assets.simulator.calendar import (
    MINUTE_MS,
    from_ms,
    midnight_ms,
    previous_session,
    sessions,
    to_ms,
)
from swiftbolt_assets.simulator.config import Recency
from swiftbolt_assets.simulator.polygon_query import SPANS, Query, parse
from swiftbolt_assets.simulator.prices import Bars, join
from swiftbolt_assets.simulator.unreliable import Delivery
from swiftbolt_assets.simulator.windows import UNITS, daily, fold, is_bare
from swiftbolt_assets.simulator.wire import (
    BarPage,
    Reply,
    Row,
    go_number,
    json_row,
    json_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from swiftbolt_assets.simulator.config import SimulatorConfig
    from swiftbolt_assets.simulator.listings import Listing, Listings
    from swiftbolt_assets.simulator.prices import Market
    from swiftbolt_assets.simulator.wire import Ask

_DELAY_MS = 15 * MINUTE_MS
_PRICES = ("o", "h", "l", "c")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan shows at one instant: dates from `first`, minutes before `end_ms`."""

    today: date
    first: date
    end_ms: int

    def refusal(self, recency: Recency, first: date, last: date) -> Reply | None:
        """Return the 403 for a range of dates, or None when some of it may be shown."""
        closed = recency is Recency.END_OF_DAY
        if last < self.first or first > self.today or (closed and last > self.today):
            return errors.BEYOND_PLAN
        return errors.NOT_YET if closed and last == self.today else None


def plan_at(config: SimulatorConfig, now: datetime) -> Plan:
    """Return what the configured plan shows at an instant."""
    now_ms = to_ms(now)
    today = from_ms(now_ms).date()
    first = date.min
    if config.horizon_years is not None:
        # 29 February minus a year is the 28th.
        day = 28 if (today.month, today.day) == (2, 29) else today.day
        first = today.replace(year=today.year - config.horizon_years, day=day)
    ends = {
        Recency.END_OF_DAY: midnight_ms(today),
        Recency.DELAYED: now_ms - _DELAY_MS,
        Recency.REAL_TIME: now_ms,
    }
    return Plan(today, first, ends[config.polygon_recency])


class Aggregates:
    """The aggregate endpoints of one simulator."""

    def __init__(
        self,
        config: SimulatorConfig,
        market: Market,
        listings: Listings,
        delivery: Delivery | None = None,
    ) -> None:
        self._config = config
        self._market = market
        self._listings = listings
        self._delivery = delivery or Delivery(config.unreliable)

    def range(self, ask: Ask, values: Mapping[str, str]) -> Reply | BarPage:
        """Answer a range; `values` are the parts of the path."""
        query = parse(values, ask.params)
        if isinstance(query, Reply):
            return query
        plan = plan_at(self._config, self._config.now())
        refusal = plan.refusal(self._config.polygon_recency, query.first, query.last)
        if refusal is not None:
            return refusal
        if query.timespan not in SPANS and query.timespan not in UNITS:
            return errors.NOT_ENTITLED
        return self._page(ask, query, plan)

    def previous(self, ask: Ask, values: Mapping[str, str]) -> Reply | BarPage:
        """Answer with the daily bar of the last whole session."""
        today = from_ms(to_ms(self._config.now())).date()
        day = previous_session(today)
        fixed = {"multiplier": "1", "timespan": "day", "from": f"{day}", "to": f"{day}"}
        query = parse({**values, **fixed}, ask.params)
        if isinstance(query, Reply):
            return query
        page = self._page(ask, query, plan_at(self._config, self._config.now()))
        echo = json_text(query.ticker)
        return replace(page, rows=[{"T": echo, **row} for row in page.rows])

    def _page(self, ask: Ask, query: Query, plan: Plan) -> BarPage:
        base, beyond = self._base_bars(query, plan)
        folded, next_ms = _cut(query, base, beyond)
        rows = _rows(query.ticker, folded)
        status = "OK"
        if self._config.polygon_recency is not Recency.REAL_TIME:
            # Plans without real time mark what reaches into the last session.
            status = "DELAYED" if query.last >= previous_session(plan.today) else "OK"
        return BarPage(
            rows=rows[::-1] if query.descending else rows,
            prices=_PRICES,
            volume="v",
            moved=_moved,
            print_page=lambda page: _print(page, adjusted=query.adjusted, status=status),
            ticker=query.ticker,
            next_url=None if next_ms is None else _next_url(ask, query, next_ms),
            own_url=ask.origin + ask.path + _suffix(ask.params),
            base_count=len(base),
        )

    def _base_bars(self, query: Query, plan: Plan) -> tuple[Bars, int | None]:
        """Return the base bars that the limit lets through, and the first one it leaves out."""
        listing = self._listings.find(query.ticker)
        if listing is None:
            return join([]), None
        parts: list[Bars] = []
        count = 0
        for part in self._days(query, plan, listing):
            parts.append(part)
            count += len(part)
            if count > query.limit:
                break
        if count <= query.limit:
            return join(parts[::-1] if query.descending else parts), None
        if query.descending:
            base = join(parts[::-1])
            return base.take(slice(-query.limit, None)), int(base.t[-query.limit - 1])
        base = join(parts)
        return base.take(slice(query.limit)), int(base.t[query.limit])

    def _days(self, query: Query, plan: Plan, listing: Listing) -> Iterator[Bars]:
        """Yield the base bars day by day, in the order in which the limit counts them."""
        last, now = min(query.last, from_ms(plan.end_ms).date()), self._config.now()
        for found in sessions(max(query.first, plan.first), last, newest_first=query.descending):
            bars = self._market.until(listing, found.day, plan.end_ms)
            bars = self._delivery.of(bars, listing.symbol, now)
            if query.adjusted:
                bars = self._market.adjusted(bars, listing, found.day, plan.today)
            if query.timespan in SPANS:
                bars = bars.take((bars.t >= query.first_ms) & (bars.t <= query.last_ms))
            else:
                bars = daily(bars, found.day)
            if len(bars):
                yield bars


def _cut(query: Query, base: Bars, beyond: int | None) -> tuple[Bars, int | None]:
    """Return the whole windows of a page, and where the next page starts (or ends).

    `beyond` is the first base bar that the limit left out; a window that holds it is dropped.
    """
    starts = query.starts(base.t)
    if beyond is None:
        return fold(base, starts), None
    kept = starts != query.starts(np.array([beyond]))[0]
    folded = fold(base.take(kept), starts[kept])
    if not len(folded):
        return folded, None
    if query.descending:
        return folded, int(folded.t[0]) - 1
    return folded, query.after(int(folded.t[-1]))


def _rows(symbol: str, bars: Bars) -> list[Row]:
    """Return bars as printed, in the key order of real replies."""
    columns = [
        [go_number(value) for value in column.tolist()]
        for column in (bars.v, bars.vw, bars.o, bars.c, bars.h, bars.l)
    ]
    bare = is_bare(symbol, bars.t).tolist()
    stamps, trades = map(str, bars.t.tolist()), map(str, bars.n.tolist())
    rows: list[Row] = []
    for v, vw, o, c, h, low, t, n, is_short in zip(*columns, stamps, trades, bare, strict=True):
        row = {"v": v, "vw": vw, "o": o, "c": c, "h": h, "l": low, "t": t, "n": n}
        if is_short:
            del row["vw"], row["n"]
        rows.append(row)
    return rows


def _moved(row: Row, minutes: int) -> Row:
    return {**row, "t": str(int(row["t"]) + minutes * MINUTE_MS)}


def _print(page: BarPage, *, adjusted: bool, status: str) -> Reply:
    """Return the page's text; `results` is absent when there are none."""
    parts = [
        f'"ticker":{json_text(page.ticker)}',
        f'"queryCount":{page.base_count}',
        f'"resultsCount":{len(page.rows)}',
        f'"adjusted":{json_text(adjusted)}',
    ]
    if page.null_rows:
        parts.append('"results":null')
    elif page.rows:
        parts.append('"results":[' + ",".join(map(json_row, page.rows)) + "]")
    parts += [
        f'"status":"{status}"',
        f'"request_id":"{errors.BLANK_ID}"',
        f'"count":{len(page.rows)}',
    ]
    if page.next_url is not None:
        parts.append(f'"next_url":{json_text(page.next_url)}')
    body = "{" + ",".join(parts) + "}"
    return Reply(200, body.encode())


def _next_url(ask: Ask, query: Query, stamp: int) -> str:
    """Return the link to the next page: one end in milliseconds, a cursor, and no key."""
    head, first, last = ask.path.rsplit("/", 2)
    first, last = (first, str(stamp)) if query.descending else (str(stamp), last)
    sort = "desc" if query.descending else "asc"
    cursor = base64.b64encode(f"limit={query.limit}&sort={sort}".encode()).decode().rstrip("=")
    return f"{ask.origin}{head}/{first}/{last}?cursor={cursor}"


def _suffix(params: Mapping[str, str]) -> str:
    return "?" + urlencode(params) if params else ""
