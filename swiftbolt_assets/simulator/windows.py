"""Longer bars from minute bars, as the providers fold them.

What belongs here: folding bars into windows, the calendar units of Polygon's timespans, and daily
bars. What does not: which windows a request covers (`polygon.py`, `tradier.py`) and the session's
own buckets (`truth.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from swiftbolt_assets.simulator.calendar import MINUTE_MS, REGULAR_OPEN, session
from swiftbolt_assets.simulator.listings import number_of
from swiftbolt_assets.simulator.prices import Bars, join

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# A day's volume counts trades that no minute bar shows.
_UNSEEN_VOLUME = 1.003
# About one bar in a hundred comes without the optional `vw` and `n`.
_BARE_ONE_IN = 97
_MIXER = 2_654_435_761


@dataclass(frozen=True, slots=True)
class Unit:
    """A calendar unit of at least a day: its number on a date, and the first date of a number."""

    number: Callable[[date], int]
    start: Callable[[int], date]


UNITS = {
    "day": Unit(date.toordinal, date.fromordinal),
    # Ordinal 7 is a Sunday, on which Polygon's weeks start.
    "week": Unit(lambda day: day.toordinal() // 7, lambda number: date.fromordinal(number * 7)),
    "month": Unit(
        lambda day: day.year * 12 + day.month - 1,
        lambda number: date(number // 12, number % 12 + 1, 1),
    ),
    "quarter": Unit(
        lambda day: day.year * 4 + (day.month - 1) // 3,
        lambda number: date(number // 4, number % 4 * 3 + 1, 1),
    ),
    "year": Unit(lambda day: day.year, lambda number: date(number, 1, 1)),
}


def fold(bars: Bars, starts: NDArray[np.int64]) -> Bars:
    """Return one bar for each run of equal `starts`, the windows of `bars`.

    Volume is the sum to 6 decimals, `vw` weighted by volume to 4 decimals, `n` the sum.
    """
    if not len(bars):
        return bars
    first = np.concatenate(([0], np.flatnonzero(np.diff(starts)) + 1))
    last = np.concatenate((first[1:], [len(bars)])) - 1
    volume: NDArray[np.float64] = np.add.reduceat(bars.v, first)
    return Bars(
        t=starts[first],
        o=bars.o[first],
        h=np.maximum.reduceat(bars.h, first),
        l=np.minimum.reduceat(bars.l, first),
        c=bars.c[last],
        v=np.asarray(np.round(volume, 6), np.float64),
        vw=np.round(np.add.reduceat(bars.vw * bars.v, first) / volume, 4),
        n=np.add.reduceat(bars.n, first),
    )


def is_bare(symbol: str, stamps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which bars of a symbol Polygon sends without `vw` and `n`."""
    mixed = (stamps // MINUTE_MS + number_of(symbol) % 2**30) * _MIXER % 2**31
    bare: NDArray[np.bool_] = mixed % _BARE_ONE_IN == 0
    return bare


def daily(bars: Bars, day: date) -> Bars:
    """Return the daily bar of one day's minute bars, or none without a regular trade.

    Prices are those of the regular session and the closing auction: trades before the open and
    after the close never set them. `t` is midnight in New York.
    """
    found = session(day)
    if found is None or not len(bars):
        return join([])
    regular = bars.take((bars.t >= found.at(REGULAR_OPEN)) & (bars.t <= found.at(found.closes)))
    folded = fold(regular, np.full(len(regular), found.midnight_ms, np.int64))
    if not len(folded):
        return folded
    volume = np.round(np.array([bars.v.sum()]) * _UNSEEN_VOLUME, 6)
    return Bars(folded.t, folded.o, folded.h, folded.l, folded.c, volume, folded.vw, folded.n)
