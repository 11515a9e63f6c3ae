"""Share splits: how they fold prices, and which of them the prices do not show.

Stored prices are raw, as they were traded. A split from `f` to `t` shares multiplies every price
before its execution date by `f / t` and divides the volume by the same, so that price x volume
stays what it was. The execution date is a New York date: its midnight is the edge. A split that is
only announced folds nothing. `get_chart_data_v2` folds by the same rule in SQL.

What belongs here: pure arithmetic over frames and sessions. What does not: where splits live
(`resources/splits.py`), how a provider spells them (`resources/polygon_splits.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import exp, log
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from swiftbolt_assets.clock import midnight
from swiftbolt_assets.market.resample import starts_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

_PRICES = ("open", "high", "low", "close", "vwap")

#: Ratios of shares that companies choose; each stands for its inverse, too.
_RATIOS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0,
           50.0, 60.0, 75.0, 100.0)  # fmt: skip
#: A night's own change of price comes on top of the ratio.
_NEAR = log(1.04)
#: A smaller split, such as a stock dividend of 5 %, drowns in an ordinary night.
_VISIBLE = log(1.25)


@dataclass(frozen=True, slots=True, order=True)
class Split:
    """From `day` on, `split_to` shares stand for `split_from` older ones.

    Attributes:
        day: the execution date, in New York.
        split_from: shares before.
        split_to: shares after.

    """

    day: date
    split_from: float
    split_to: float

    @property
    def factor(self) -> float:
        """Return what older prices are multiplied by."""
        return self.split_from / self.split_to


@dataclass(frozen=True, slots=True)
class Edges:
    """The raw prices at both ends of a session.

    Attributes:
        day: the session's New York date.
        first_open: the open of its first bar, dollars.
        last_close: the close of its last bar, dollars.

    """

    day: date
    first_open: float
    last_close: float


class Doubt(StrEnum):
    """What does not fit between the prices and the table."""

    UNEXPLAINED = "the price jumps like a split, but no split is known"
    NOT_SHOWN = "a split is known, but the price does not show it"


@dataclass(frozen=True, slots=True)
class Finding:
    """A night whose prices and splits do not fit.

    Attributes:
        day: the session before which it happened.
        doubt: what does not fit.
        ratio: the last close before divided by the open after.
        expected: what the known splits make of it; 1 without any.

    """

    day: date
    doubt: Doubt
    ratio: float
    expected: float


def fold(bars: pl.DataFrame, splits: Iterable[Split], *, today: date) -> pl.DataFrame:
    """Return raw bars in the shares of `today`: one price basis.

    Args:
        bars: `BAR_SCHEMA`, raw.
        splits: of the symbol, in any order, at most one a day.
        today: the New York date; later splits are only announced.

    """
    executed = sorted(split for split in splits if split.day <= today)
    if not executed or bars.is_empty():
        return bars
    edges = [int(midnight(split.day).timestamp()) * 1_000_000 for split in executed]
    # factors[i] holds before edges[i]; after the last one it is 1.
    factors = np.cumprod([1.0, *(split.factor for split in reversed(executed))])[::-1]
    factor = pl.Series(factors[np.searchsorted(edges, starts_us(bars), side="right")])
    return bars.with_columns(
        *(pl.col(name) * factor for name in _PRICES), volume=pl.col("volume") / factor
    )


def findings(sessions: Sequence[Edges], splits: Iterable[Split]) -> list[Finding]:
    """Return the nights whose prices and splits do not fit, ascending.

    Args:
        sessions: those with bars, ascending; a night lies between each and the next.
        splits: of the symbol, in any order.

    """
    known = sorted(splits)
    found = []
    for before, after in pairwise(sessions):
        shift = log(before.last_close / after.first_open)
        expected = -sum(log(s.factor) for s in known if before.day < s.day <= after.day)
        doubt = _doubt(shift, expected)
        if doubt is not None:
            found.append(Finding(after.day, doubt, exp(shift), exp(expected)))
    return found


def _doubt(shift: float, expected: float) -> Doubt | None:
    """Compare a night's shift with the known one, both logarithms."""
    if abs(expected) >= _VISIBLE:
        # Nearer to no split at all, or to one twice as strong, than to the known one.
        return Doubt.NOT_SHOWN if abs(shift - expected) > abs(expected) / 2 else None
    is_near = min(abs(abs(shift) - log(ratio)) for ratio in _RATIOS) <= _NEAR
    return Doubt.UNEXPLAINED if is_near else None
