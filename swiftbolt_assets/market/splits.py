"""Share splits: how they fold prices.

Stored prices are raw, as they were traded. A split from `f` to `t` shares multiplies every price
before its day by `f / t` and divides the volume by the same, so that price x volume stays what it
was. The day is a New York date: its midnight is the edge. A split that is only announced folds
nothing. `get_chart_bars` folds by the same rule in SQL, to the same numbers.

What is folded is rounded, since a product of floats has a tail that nobody traded
(162.38800000000003). A raw price has 4 decimals; the ratio adds those of its own, or, where it is
no short decimal (1:3), as many as keep two neighbouring raw prices apart. A raw price of more
decimals counts as one of 8, a volume as one of 6. What no split touches is not rounded.

What belongs here: pure arithmetic over frames. What does not: which listed splits count, and on
which day (`listed_splits.py`), where splits live (`resources/bars/splits.py`), how a provider
spells them (its folder).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from swiftbolt_assets.clock import midnight
from swiftbolt_assets.market.resample import starts_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

Column = np.ndarray[tuple[int], np.dtype[np.float64]]

_PRICES = ("open", "high", "low", "close", "vwap")
#: Decimals of a raw price, of one that has more, and of a volume; SQL `fold_digits` has the rest.
PRICE_DIGITS, FINE_DIGITS, VOLUME_DIGITS = 4, 8, 6
#: A ratio of more decimals is no short one.
_SHORT = 6


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


def fold(bars: pl.DataFrame, splits: Iterable[Split], *, today: date) -> pl.DataFrame:
    """Return raw bars in the shares of `today`: one price basis.

    Args:
        bars: `BAR_SCHEMA`, raw.
        splits: those that count, on the day on which they do, in any order.
        today: the New York date; later splits are only announced.

    """
    executed = sorted((split for split in splits if split.day <= today), reverse=True)
    if not executed or bars.is_empty():
        return bars
    # The newest first: position 0 is what lies after all of them, and stays.
    edges = [int(midnight(split.day).timestamp()) * 1_000_000 for split in executed[::-1]]
    ups = _products([split.split_from for split in executed])
    downs = _products([split.split_to for split in executed])
    at = len(executed) - np.searchsorted(edges, starts_us(bars), side="right")
    is_folded = np.not_equal(ups, downs)[at]

    def folded(raw: Column, digits: int, *, is_volume: bool = False) -> Column:
        pairs = zip(downs, ups, strict=True) if is_volume else zip(ups, downs, strict=True)
        given = [(10.0 ** (digits + fold_digits(up, down)), up, down) for up, down in pairs]
        factors = np.array([up * scale / down for scale, up, down in given])
        found: Column = np.rint(raw * factors[at]) / np.array([scale for scale, *_ in given])[at]
        return found

    def price(name: str) -> pl.Series:
        raw: Column = bars[name].to_numpy()
        is_plain = np.rint(raw * 10.0**PRICE_DIGITS) / 10.0**PRICE_DIGITS == raw
        later = np.where(is_plain, folded(raw, PRICE_DIGITS), folded(raw, FINE_DIGITS))
        return pl.Series(name, np.where(is_folded, later, raw)).fill_nan(None)

    shares: Column = bars["volume"].to_numpy()
    later = np.where(is_folded, folded(shares, VOLUME_DIGITS, is_volume=True), shares)
    return bars.with_columns(*(price(name) for name in _PRICES), volume=pl.Series(later))


def fold_digits(up: float, down: float) -> int:
    """Return how many decimals a factor `up / down` adds to a number that it is multiplied with."""
    for digits in range(_SHORT + 1):
        whole = up * 10.0**digits / down
        if whole == np.rint(whole):
            return digits
    digits = 0
    while up * 10.0**digits < down:
        digits += 1
    return digits


def _products(shares: Sequence[float]) -> list[float]:
    products = [1.0]
    for count in shares:
        products.append(products[-1] * count)
    return products
