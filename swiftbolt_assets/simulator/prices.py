"""Minute bars from a seed: the one truth that both wire formats serve.

A day's bars depend on (seed, symbol, day) alone, never on the range that is asked, and are made
without the days before: the level is a sum of seeded waves of 1 to 512 days (a walk with a daily
deviation of about 1.5 %), and the day's path is a bridge from the last session's level to its own.

What belongs here: prices, volumes, absent minutes, split adjustment, the cut at "now". What does
not: bars longer than a minute (`windows.py`), spelling on the wire.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from math import log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from swiftbolt_assets.simulator.calendar import (
    EXTENDED_OPEN,
    MINUTE_MS,
    REGULAR_OPEN,
    Session,
    previous_session,
    session,
)
from swiftbolt_assets.simulator.listings import number_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swiftbolt_assets.simulator.listings import Listing

    Floats = NDArray[np.float64]

#: From here on raw volumes carry fractions of shares (the industry's change of reporting).
FRACTIONS_SINCE = date(2026, 2, 23)
QUARTER = 15

_DAILY_DEVIATION = 0.015
_OCTAVES = 10
_AUCTION_SHARE = 0.08  # of a day's volume, printed in the minute of the close
_FOUR_DECIMALS = 0.08  # of prices; the others are whole cents
_FRACTIONAL = 0.012  # of minutes, about one quarter hour in six
_ODD_VWAP = 0.004  # of quarter hours: odd lots count in vw, but set no price
_KEPT_DAYS = 384  # 62 kB each: two years of one symbol take at most 24 MB


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars, oldest first, as parallel arrays.

    `t` is the start in epoch milliseconds; prices in dollars; `v` in shares; `n` trades.
    """

    t: NDArray[np.int64]
    o: Floats
    h: Floats
    l: Floats  # noqa: E741 - the wire's own name
    c: Floats
    v: Floats
    vw: Floats
    n: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.t)

    def take(self, chosen: NDArray[np.bool_] | slice) -> Bars:
        """Return the bars that a mask or a slice chooses."""
        return Bars(*(getattr(self, name)[chosen] for name in _COLUMNS))


_COLUMNS = ("t", "o", "h", "l", "c", "v", "vw", "n")


def join(parts: list[Bars]) -> Bars:
    """Return the bars of several parts, in the order given."""
    if not parts:
        none = np.empty(0)
        no_int = np.empty(0, np.int64)
        return Bars(no_int, none, none, none, none, none, none, no_int)
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS)
    return Bars(*columns)


class Market:
    """All minute bars of one seed; keeps the days made last."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._days: OrderedDict[tuple[Listing, date], Bars] = OrderedDict()

    def day(self, listing: Listing, day: date) -> Bars:
        """Return the raw bars of a whole day; none where there was no session or no trade."""
        key = (listing, day)
        found = self._days.get(key)
        if found is None:
            found = self._days[key] = _make_day(self._seed, listing, day)
            if len(self._days) > _KEPT_DAYS:
                self._days.popitem(last=False)
        else:
            self._days.move_to_end(key)
        return found

    def until(self, listing: Listing, day: date, now_ms: int) -> Bars:
        """Return the raw bars of a day that exist at an instant; the last one may be partial."""
        bars = self.day(listing, day)
        if not len(bars) or bars.t[-1] + MINUTE_MS <= now_ms:
            return bars
        bars = bars.take(bars.t < now_ms)
        part = (now_ms - bars.t[-1]) / MINUTE_MS if len(bars) else 1.0
        return bars if part >= 1.0 else _form_last(bars, part)

    def adjusted(self, bars: Bars, listing: Listing, day: date, today: date) -> Bars:
        """Return a day's bars as they are shown `today`, after the splits since."""
        factor = listing.adjustment(day, today)
        if factor == 1.0:
            return bars
        o, h, low, c, vw = (
            np.round(prices / factor, 4) for prices in (bars.o, bars.h, bars.l, bars.c, bars.vw)
        )
        return Bars(bars.t, o, h, low, c, np.round(bars.v * factor, 6), vw, bars.n)


def _form_last(bars: Bars, part: float) -> Bars:
    """Return the bars with the last one only `part` of a minute old."""
    o, h, low, c, v, n = (getattr(bars, name).copy() for name in ("o", "h", "l", "c", "v", "n"))
    c[-1] = round(o[-1] + (c[-1] - o[-1]) * part, 2)
    h[-1], low[-1] = max(o[-1], c[-1]), min(o[-1], c[-1])
    v[-1] = max(1.0, np.floor(v[-1] * part))
    n[-1] = max(1, int(n[-1] * part))
    return Bars(bars.t, o, h, low, c, v, bars.vw, n)


def _make_day(seed: int, listing: Listing, day: date) -> Bars:
    """Return the raw bars of one day."""
    found = session(day)
    if found is None or not listing.trades_on(day):
        return join([])
    key = number_of(f"{seed}:{listing.symbol}")
    draw = np.random.Generator(np.random.PCG64([key, day.toordinal()]))
    regular, shape = _hours(found)
    low_high = _path(draw, listing, key, day, shape)
    o, h, low, c = _round_prices(draw, low_high)
    volume = _volumes(draw, listing, day, shape)
    vw = np.round(low + (h - low) * draw.uniform(0.25, 0.75, len(o)), 4)
    quarter_high = np.repeat(h.reshape(-1, QUARTER).max(axis=1), QUARTER)
    odd = np.repeat(draw.random(len(o) // QUARTER) < _ODD_VWAP, QUARTER)
    vw = np.where(odd, np.round(quarter_high * 1.0004 + 0.01, 4), vw)

    # The closing auction is the first print after the close: one price, much volume.
    auction = found.closes - EXTENDED_OPEN
    h[auction] = low[auction] = c[auction] = vw[auction] = o[auction]
    volume[auction] = max(1.0, np.floor(volume.sum() * _AUCTION_SHARE))

    trades = np.maximum(1, volume / draw.uniform(60, 140, len(o))).astype(np.int64)
    t = found.at(EXTENDED_OPEN) + np.arange(len(o), dtype=np.int64) * MINUTE_MS
    present = _present(draw, listing, found, regular)
    return Bars(t, o, h, low, c, volume, vw, trades).take(present)


@lru_cache(maxsize=2)
def _shape(minutes: int, closes: int) -> tuple[NDArray[np.bool_], Floats]:
    """Return which minutes are regular, and each minute's share of a day's activity."""
    index = np.arange(minutes) + EXTENDED_OPEN
    regular = (index >= REGULAR_OPEN) & (index < closes)
    across = (index - REGULAR_OPEN) / (closes - REGULAR_OPEN) * 2 - 1
    share = np.where(regular, 1 + 2.5 * across**2, 0.03)
    return regular, share / share.sum()


def _hours(found: Session) -> tuple[NDArray[np.bool_], Floats]:
    return _shape(found.minutes, found.closes)


def _path(
    draw: np.random.Generator, listing: Listing, key: int, day: date, shape: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return open, high, low and close of every minute of a day, not yet rounded."""
    minutes = len(shape)
    steps = draw.standard_normal(minutes) * np.sqrt(shape) * _DAILY_DEVIATION * 0.7
    share = np.cumsum(shape)
    walk = np.cumsum(steps)
    start, end = _level(key, previous_session(day)), _level(key, day)
    path = np.empty(minutes + 1)
    path[0] = start
    path[1:] = start + walk - share * walk[-1] + share * (end - start)
    base = log(listing.price * listing.raw_factor(day))
    price = np.exp(base + path)
    wick = np.sqrt(shape) * _DAILY_DEVIATION * 0.5
    o = price[:-1] * (1 + draw.standard_normal(minutes) * 5e-5)
    c = price[1:]
    h = np.maximum(o, c) * (1 + np.abs(draw.standard_normal(minutes)) * wick)
    low = np.minimum(o, c) * (1 - np.abs(draw.standard_normal(minutes)) * wick)
    return o, h, low, c


def _round_prices(
    draw: np.random.Generator, prices: tuple[Floats, Floats, Floats, Floats]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return prices in cents, some in hundredths of a cent, with low <= open, close <= high."""
    o, h, low, c = (
        np.where(draw.random(len(values)) < _FOUR_DECIMALS, np.round(values, 4), cents)
        for values, cents in ((values, np.round(values, 2)) for values in prices)
    )
    return o, np.maximum(h, np.maximum(o, c)), np.minimum(low, np.minimum(o, c)), c


def _volumes(draw: np.random.Generator, listing: Listing, day: date, shape: Floats) -> Floats:
    """Return shares per minute: whole, but for some fractions since 2026-02-23."""
    # Before a forward split there were fewer shares, each of them dearer.
    mean = listing.daily_shares / listing.raw_factor(day)
    density = listing.density.regular
    day_factor = np.exp(draw.standard_normal() * 0.25)
    noise = np.exp(draw.standard_normal(len(shape)) * 0.4)
    shares: Floats = np.maximum(1.0, np.floor(mean * day_factor / density * shape * noise))
    fractional = draw.random(len(shape)) < _FRACTIONAL
    if day >= FRACTIONS_SINCE:
        parts = np.round(draw.uniform(0.001, 0.999, len(shape)), 6)
        shares = np.where(fractional, np.round(shares + parts, 6), shares)
    return shares


def _present(
    draw: np.random.Generator, listing: Listing, found: Session, regular: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which minutes of a day have a bar."""
    chance = np.where(regular, listing.density.regular, listing.density.extended)
    present = draw.random(len(regular)) < chance
    if listing.empty_one_in and draw.random() < 1 / listing.empty_one_in:
        present[:] = False
    halt = listing.halt_on(found.day)
    if halt is not None:
        minute = np.arange(len(regular)) + EXTENDED_OPEN
        present &= (minute < halt[0]) | (minute >= halt[1])
    return present


@lru_cache(maxsize=8192)
def _level(key: int, day: date) -> float:
    """Return the logarithm of a day's closing level, relative to the listing's price.

    Octave k has a period of 2**k days; its amplitude grows with the root of the period, so that
    the sum moves like a random walk over days to a year and stays within about a third.
    """
    total = 0.0
    for octave in range(_OCTAVES):
        period = 1 << octave
        knot, offset = divmod(day.toordinal(), period)
        part = offset / period
        amplitude = 0.5 * _DAILY_DEVIATION * sqrt(period)
        left, right = _noise(key, octave, knot), _noise(key, octave, knot + 1)
        total += amplitude * (left + (right - left) * part)
    return total


def _noise(key: int, octave: int, knot: int) -> float:
    """Return a seeded number of deviation one (splitmix64, uniform)."""
    mask = (1 << 64) - 1
    mixed = (key + (knot * 64 + octave) * 0x9E3779B97F4A7C15) & mask
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & mask
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
    return ((mixed ^ (mixed >> 31)) / mask * 2 - 1) * sqrt(3)
