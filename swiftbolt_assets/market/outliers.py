"""Which bars are far from the symbol's own: sound by every rule, and still not to be believed.

A price is far when it lies outside what the prices before it and after it span, by more than a
factor of two and more than four times what the symbol's restless quarter hours move; of a calm
symbol a factor of 1.4 is enough, if it is sixty times that. Both sides
count, so that what moves and stays is not far: a split, news at the open, a listing, a slow climb.
Closes that leap away together and back are one stretch, up to three sessions long, held against
medians of at least as many bars on each side; then opens, highs, lows and vwaps are held against
the closes that are left. At the ends of a window there is one side only: there a factor of four
within one session is needed that no known split explains. Longer stretches are far when their
prices leap away by four or more and back by the same factor, with no known split at either end: so
does another unit of money, and no market. Prices below some cents step by ticks:
ten of them are not far. A volume is far from ten thousand times the symbol's upper quartile on.

What cannot be told: a wrong price within such a factor (four at the ends), or between the levels
of both sides; which of two sessions is wrong that have no others beside them: both are named; and
a real spike that was traded: what is far is to be asked for again and kept when a second answer
agrees (`agrees`).

What belongs here: judgement by the symbol's own prices. What does not: what cannot be for any
symbol (`validation.py`), and the asking (`filling/filler.py`).
"""

from __future__ import annotations

from itertools import pairwise
from math import exp, isclose, log
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from swiftbolt_assets.market.bars import BAR_SCHEMA
from swiftbolt_assets.market.resample import session_bounds, starts_us
from swiftbolt_assets.market.validation import REJECT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from swiftbolt_assets.market.sessions import Session
    from swiftbolt_assets.market.splits import Split

    Floats = NDArray[np.float64]

FAR_FROM_NEIGHBOURS = "far_from_neighbours"
_PRICES = ("open", "high", "low", "close")

#: How far is far, both sides known, and at the ends of a window.
_FACTOR, _FACTOR_AT_END = 2.0, 4.0
#: In the symbol's own measure: so many times the quarter hour's move that one in ten exceeds.
_RESTLESS, _TIMES = 0.9, 4.0
#: Where so many times that is less than the factor, no less than this one is far.
_MANY_TIMES, _FACTOR_IF_CALM = 60.0, 1.4
#: Ten ticks of the cheapest shares.
_TICKS = 10 * 0.0001
#: A stretch is held against at least so many bars on each side and spans at most so many sessions.
_BESIDE, _SESSIONS = 26, 3
#: A longer stretch leaps away and back by the same factor, but for a share of it.
_SAME_LEAP = log(1.3)
#: Fewer bars on a side of a leap tell no level.
_LEVEL = 4
#: A split may be listed some days off.
_SPLIT_US = 5 * 24 * 3600 * 1_000_000
#: A night's hours before the open.
_MORNING_US = 38 * 15 * 60 * 1_000_000
#: How far a volume is, against the quarter of the bars that have most, or a thousand shares.
_VOLUME, _SHARES, _BUSY = 1e4, 1e3, 0.75


def far(
    bars: pl.DataFrame, sessions: Sequence[Session], splits: Iterable[Split] = ()
) -> pl.DataFrame:
    """Return the bars that are far from their neighbours, as `REJECT_SCHEMA`, ascending.

    Args:
        bars: validated ones of one symbol (`BAR_SCHEMA`), ascending, of regular or of all hours.
        sessions: that hold them, ascending.
        splits: known ones of the symbol, in any order; only those near the ends matter.

    """
    if bars.height < 2:  # noqa: PLR2004 - nothing is beside it
        return pl.DataFrame(schema=REJECT_SCHEMA)
    prices = {name: bars[name].to_numpy() for name in (*_PRICES, "vwap")}
    found = _far_volumes(bars["volume"].to_numpy())
    if _may_be_far(prices):
        found |= _far_prices(bars, prices, sessions, list(splits))
    if not found:
        return pl.DataFrame(schema=REJECT_SCHEMA)
    rows = sorted(found)
    return bars[rows].select(
        "ts",
        rule=pl.lit(FAR_FROM_NEIGHBOURS),
        value=pl.Series([found[row] for row in rows]),
        bar=pl.struct(*BAR_SCHEMA).struct.json_encode(),
    )


def agrees(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Return whether two answers' bars of one time have the same prices and volume."""
    return all(isclose(first[n], second[n], rel_tol=1e-9) for n in (*_PRICES, "volume"))


def _may_be_far(prices: Mapping[str, Floats]) -> bool:
    """Return whether any price leaps or stands out: of nearly all replies none does."""
    close = prices["close"]
    before, after = close[:-1], close[1:]
    leaps = (after > before * _FACTOR_IF_CALM) | (before > after * _FACTOR_IF_CALM)
    return bool(leaps.any()) or any(
        over.any() for _, over, _ in _beside(prices, log(_FACTOR_IF_CALM))
    )


def _beside(
    prices: Mapping[str, Floats], limit: float
) -> Iterator[tuple[str, NDArray[np.bool_], Floats]]:
    """Yield each price's name, where it is far from the closes of its bar and the two beside it.

    The third is what it is held against. The vwap is held against high and low: null is NaN, and
    no more than 0 is far from anything.
    """
    close = prices["close"]
    top, bottom = close.copy(), close.copy()
    for beside, own in ((close[:-1], slice(1, None)), (close[1:], slice(None, -1))):
        np.maximum(top[own], beside, out=top[own])
        np.minimum(bottom[own], beside, out=bottom[own])
    factor = exp(limit)
    for name, most, least in (
        ("open", top, bottom),
        ("high", top, None),
        ("low", None, bottom),
        ("vwap", prices["high"], prices["low"]),
    ):
        price = prices[name]
        if most is not None:
            yield name, (price > most * factor) & (price > most + _TICKS), most
        if least is not None:
            low = (price < least / factor) & (price < least - _TICKS) & (price > 0)
            yield name, low, least


def _far_prices(
    bars: pl.DataFrame,
    prices: Mapping[str, Floats],
    sessions: Sequence[Session],
    splits: Sequence[Split],
) -> dict[int, str]:
    closes = np.log(prices["close"])
    moves = np.abs(np.diff(closes))
    restless = float(np.quantile(moves, _RESTLESS))
    limit = max(log(_FACTOR_IF_CALM), min(log(_FACTOR), _MANY_TIMES * restless), _TIMES * restless)
    found: dict[int, str] = {}
    edges = [0, *(np.flatnonzero(moves > limit) + 1).tolist(), len(closes)]
    ts = starts_us(bars)
    if len(edges) > 2:  # noqa: PLR2004 - one stretch
        opens, _ = session_bounds(sessions)
        place = np.searchsorted(opens - _MORNING_US, ts, side="right")
        for first, end in pairwise(edges):
            level = _level_beside(closes, first, end, limit, ts, splits)
            lasts = place[end - 1] - place[first]
            if level is not None and lasts < (_SESSIONS if first > 0 and end < len(ts) else 1):
                found |= {
                    row: f"close={prices['close'][row]:.10g} against {exp(level):.6g}"
                    for row in range(first, end)
                }
    kept = np.setdiff1d(np.arange(len(closes)), list(found))
    for stretch, level in _in_another_unit(closes[kept], ts[kept], limit, splits):
        found |= {
            row: f"close={prices['close'][row]:.10g} against {exp(level):.6g}"
            for row in kept[stretch].tolist()
        }
    kept = np.setdiff1d(kept, list(found))
    if len(kept):
        for name, over, held in _beside({n: p[kept] for n, p in prices.items()}, limit):
            for at in np.flatnonzero(over).tolist():
                row = int(kept[at])
                found.setdefault(row, f"{name}={prices[name][row]:.10g} against {held[at]:.6g}")
    return found


def _in_another_unit(
    closes: Floats, ts: NDArray[np.int64], limit: float, splits: Sequence[Split]
) -> list[tuple[slice, float]]:
    """Return stretches of any length that leap away and back by one factor, each with its level."""
    limit = max(limit, log(_FACTOR_AT_END))
    leaps = (np.flatnonzero(np.abs(np.diff(closes)) > limit) + 1).tolist()
    found: list[tuple[slice, float]] = []
    for first, end in pairwise(leaps):
        sides = (
            closes[max(0, first - _BESIDE) : first],
            closes[first : min(end, first + _BESIDE)],
            closes[max(first, end - _BESIDE) : end],
            closes[end : end + _BESIDE],
        )
        before, began, ended, after = (float(np.median(side)) for side in sides)
        away, back = began - before, after - ended
        if min(map(len, sides)) < _LEVEL or abs(away) <= limit or abs(away + back) > _SAME_LEAP:
            continue
        if not (_is_split(away, int(ts[first]), splits) or _is_split(back, int(ts[end]), splits)):
            found.append((slice(first, end), before))
    return found


def _is_split(shift: float, at_us: int, splits: Sequence[Split]) -> bool:
    """Return whether a known split near an instant moves prices about as much."""
    near = (split for split in splits if abs(_day_us(split) - at_us) < _SPLIT_US)
    return any(abs(shift - log(split.factor)) <= log(_FACTOR) for split in near)


def _level_beside(
    closes: Floats,
    first: int,
    end: int,
    limit: float,
    ts: NDArray[np.int64],
    splits: Sequence[Split],
) -> float | None:
    """Return the level that a stretch of closes is far from, as a logarithm; None if it is not."""
    beside = max(_BESIDE, 2 * (end - first) + 1)
    sides = [closes[max(0, first - beside) : first], closes[end : end + beside]]
    levels = [float(np.median(side)) for side in sides if len(side)]
    own = float(np.median(closes[first:end]))
    level = min(max(own, min(levels)), max(levels))
    if len(levels) == 1:
        limit = max(limit, log(_FACTOR_AT_END))
        edge, shift = (first, own - level) if first else (end, level - own)
        near = [s for s in splits if abs(_day_us(s) - int(ts[edge])) < _SPLIT_US]
        if any(abs(shift - log(split.factor)) <= limit for split in near):
            return None
    is_far = abs(own - level) > limit and abs(exp(own) - exp(level)) > _TICKS
    return level if is_far else None


def _day_us(split: Split) -> int:
    return int(np.datetime64(split.day, "us").astype(np.int64))


def _far_volumes(volume: Floats) -> dict[int, str]:
    at = int(_BUSY * len(volume))
    usual = max(float(np.partition(volume, at)[at]), _SHARES)
    rows = np.flatnonzero(volume > _VOLUME * usual).tolist()
    return {row: f"volume={volume[row]:.10g} against {usual:.6g}" for row in rows}
