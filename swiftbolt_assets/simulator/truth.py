"""The simulator's own truth: a session's bars from its minutes, for tests to compare with.

Buckets start at the open (09:30): 26 of 15 minutes, 7 of an hour, 2 of four hours; on a half day
14, 4 and 1. Minutes before the open and from the close on, the auction print included, do not
count. Raw prices. 15-minute bars equal those of Polygon's wire to the last digit. Longer bars take
open, high, low and close from the minutes, the volume as the sum of the 15-minute volumes, and
`vwap` and `n` from the 15-minute bars that carry them.

The truth is the provider's last word: what is late counts as delivered, what is wrong as put right.
Asked for an instant, it is what Polygon delivers then.

What belongs here: this. What does not: the wire (`polygon.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from swiftbolt_assets.simulator.calendar import MINUTE_MS, REGULAR_OPEN, sessions, to_ms
from swiftbolt_assets.simulator.polygon import plan_at
from swiftbolt_assets.simulator.unreliable import LAST_WORD, Delivery
from swiftbolt_assets.simulator.windows import fold, is_bare

if TYPE_CHECKING:
    from datetime import date

    from swiftbolt_assets.simulator.calendar import Session
    from swiftbolt_assets.simulator.config import SimulatorConfig
    from swiftbolt_assets.simulator.listings import Listing, Listings
    from swiftbolt_assets.simulator.prices import Bars, Market

#: Minutes of a bucket by timeframe.
TIMEFRAMES = {"m15": 15, "h1": 60, "h4": 240}

TruthRow = dict[str, str | float | int | None]


class Truth:
    """What every client of one simulator should end up with."""

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

    def bars(
        self, symbol: str, timeframe: str, first: date, last: date, at: datetime | None = None
    ) -> list[TruthRow]:
        """Return the bars of the dates `first`..`last`, both included, oldest first.

        Rows: `ts` (start, ISO 8601, Z), `open`, `high`, `low`, `close`, `volume`, `vwap` or null,
        `n` or null. Today's bars are those of the minutes so far. An unknown symbol has none.

        Args:
            symbol: the ticker.
            timeframe: one of `TIMEFRAMES`.
            first: date of the first session.
            last: date of the last one.
            at: as Polygon delivers them at this instant; None is its last word.

        Raises:
            KeyError: the timeframe is none of `TIMEFRAMES`.

        """
        span = TIMEFRAMES[timeframe] * MINUTE_MS
        listing = self._listings.find(symbol)
        if listing is None:
            return []
        now_ms = to_ms(self._config.now()) if at is None else plan_at(self._config, at).end_ms
        rows: list[TruthRow] = []
        for found in sessions(first, last):
            minutes = _regular(self._market.until(listing, found.day, now_ms), found)
            minutes = self._delivery.of(minutes, symbol, at or LAST_WORD)
            rows += _session_rows(listing, found, minutes, span)
        return rows


def _regular(minutes: Bars, found: Session) -> Bars:
    opens, closes = found.at(REGULAR_OPEN), found.at(found.closes)
    return minutes.take((minutes.t >= opens) & (minutes.t < closes))


def _session_rows(listing: Listing, found: Session, minutes: Bars, span: int) -> list[TruthRow]:
    """Return one session's bars of a span in milliseconds."""
    if not len(minutes):
        return []
    opens = found.at(REGULAR_OPEN)
    quarter = TIMEFRAMES["m15"] * MINUTE_MS
    longer = fold(minutes, opens + (minutes.t - opens) // span * span)
    m15 = fold(minutes, opens + (minutes.t - opens) // quarter * quarter)
    carries = ~is_bare(listing.symbol, m15.t)
    rows: list[TruthRow] = []
    for at, start in enumerate(longer.t.tolist()):
        inside = (m15.t >= start) & (m15.t < start + span)
        told = m15.take(inside & carries)
        vwap: float | None = None
        if len(told) == 1:
            vwap = float(told.vw[0])
        elif len(told):
            vwap = float(np.sum(told.vw * told.v) / np.sum(told.v))
        rows.append(
            {
                "ts": datetime.fromtimestamp(start // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "open": float(longer.o[at]),
                "high": float(longer.h[at]),
                "low": float(longer.l[at]),
                "close": float(longer.c[at]),
                "volume": float(np.sum(m15.v[inside])),
                "vwap": vwap,
                "n": int(told.n.sum()) if len(told) else None,
            }
        )
    return rows
