"""A jump is judged by how unlikely it is for its symbol: rates on generated symbol-years.

A symbol-year has fat-tailed nights (t with three or four degrees of freedom), four nights of 20 %
of news, as many again that are half of that, and volume that wanders; of half of them volume knows
nothing of splits. Seeds are stated; `-s` shows the rates.
"""

from __future__ import annotations

from datetime import date
from math import log
from typing import TYPE_CHECKING

import numpy as np
import pytest

from swiftbolt_assets.market.nights import Edges, jumps, usual
from swiftbolt_assets.market.sessions import xnys

if TYPE_CHECKING:
    from collections.abc import Sequence

Table = np.ndarray[tuple[int, int], np.dtype[np.float64]]

DAYS = [one.day for one in xnys().between(date(2024, 1, 2), date(2025, 1, 8))][:252]
#: Scales of the overnight t: from a utility to a small company; deviation 0.7 % to 2.4 %.
SCALES = (0.004, 0.008, 0.011, 0.014)
#: Whole and broken ratios of shares, 3 and more; each stands for its inverse, too.
RATIOS = (3, 3.1, 3.5, 4, 5.5, 7, 9, 11, 14, 16, 22, 33, 45, 70, 125, 180, 333, 1000, 2500)


def shown(sessions: Sequence[Edges], expected: Sequence[float]) -> list[int]:
    return jumps(sessions, expected, xnys())


def year(rng: np.random.Generator, scale: float, freedom: int, *, surges: bool) -> Table:
    """Return opens, closes and volumes of a year, a row a session."""
    n = len(DAYS)
    nights, days = rng.standard_t(freedom, (2, n)) * scale
    news = rng.choice(n, 8, replace=False)
    nights[news] += np.log(1 + np.repeat([0.2, 0.1], 4) * rng.choice([-1, 1], 8))
    swell = np.zeros(n)
    for at in range(1, n):
        swell[at] = 0.6 * swell[at - 1] + rng.normal(0, 0.35)
    swell[news] += 1.4 * surges
    closes = 80 * np.exp(np.cumsum(nights + days))
    return np.column_stack([closes / np.exp(days), closes, 2e6 * np.exp(swell)])


def sessions(values: Table) -> list[Edges]:
    return [Edges(day, *map(float, row)) for day, row in zip(DAYS, values, strict=True)]


def split(values: Table, at: int, ratio: float, *, with_volume: bool) -> Table:
    raw = values.copy()
    raw[:at, :2] *= ratio
    if with_volume:
        raw[:at, 2] /= ratio
    return raw


def none() -> list[float]:
    return [0.0] * (len(DAYS) - 1)


@pytest.mark.parametrize("freedom", [3, 4])
@pytest.mark.parametrize("seed", [20261129, 7, 1312])
def test_news_raise_no_alarm_and_missing_splits_are_named(seed: int, freedom: int) -> None:
    rng = np.random.default_rng(seed)
    years, alarms, named = 320, 0, 0
    for number in range(years):
        values = year(rng, SCALES[number % 4], freedom, surges=number % 3 == 0)
        alarms += len(shown(sessions(values), none()))
        ratio = float(rng.choice(RATIOS)) ** rng.choice([-1, 1])
        at = int(rng.integers(1, len(DAYS)))
        raw = split(values, at, ratio, with_volume=number % 2 == 0)
        named += at - 1 in shown(sessions(raw), none())
    in_250 = alarms * 250 / years
    print(  # noqa: T201 - `-s` shows it
        f"seed {seed}, t{freedom}: {in_250:.2f} false alarms in 250 symbol-years, "
        f"{named / years:.1%} of missing splits named"
    )
    assert in_250 <= 1
    assert named / years >= 0.95


@pytest.mark.parametrize("ratio", [180, 9, 16, 45, 125, 1000, 1 / 3, 2 / 7, 1 / 6.5])
def test_every_ratio_is_named_with_a_usual_night_on_top(ratio: float) -> None:
    rng = np.random.default_rng(42)
    for number in range(20):
        values = year(rng, 0.01, 3, surges=False)
        at = 30 + 10 * number
        raw = split(values, at, 1 / ratio, with_volume=number % 2 == 0)
        assert at - 1 in shown(sessions(raw), none())
        # Known, it is no jump.
        known = none()
        known[at - 1] = -log(ratio)
        assert at - 1 not in shown(sessions(raw), known)


def calm(*prices: tuple[float, float, float]) -> list[Edges]:
    """Return sessions of open, close and volume on neighbouring days."""
    return [Edges(day, *row) for day, row in zip(DAYS, prices, strict=False)]


def test_a_symbol_without_a_history_is_held_against_an_ordinary_one() -> None:
    assert shown(calm((60, 60, 0), (20, 20, 0)), [0.0]) == [0]
    assert shown(calm((60, 60, 0), (48, 48, 0)), [0.0]) == []
    assert shown(calm((60, 60, 0)), []) == []
    assert usual([]) == pytest.approx(0.01)


def test_what_is_usual_for_a_symbol_is_no_jump() -> None:
    wild = [(100.0 * 1.7 ** (n % 2), 100.0 * 1.7 ** (n % 2), 0.0) for n in range(60)]
    assert shown(calm(*wild), [0.0] * 59) == []
    quiet = [(100.0 + n % 2 / 4, 100.0 + n % 2 / 4, 0.0) for n in range(30)]
    assert shown(calm(*quiet, (60.0, 60.0, 0.0)), [0.0] * 30) == [29]


def test_volume_that_follows_the_price_betrays_a_smaller_split() -> None:
    before, after = [(90.0, 90.0, 1e6)] * 20, [(60.0, 60.0, 1.5e6)] * 20
    assert shown(calm(*before, *after), [0.0] * 39) == [19]
    loud = [(60.0, 60.0, 1e6)] * 20
    assert shown(calm(*before, *loud), [0.0] * 39) == []


def test_a_day_on_which_shares_and_dollars_swell_was_one_of_news() -> None:
    before = [(90.0, 90.0, 1e6)] * 20
    crash = [(36.0, 34.0, 2e7), (35.0, 35.0, 6e6), *[(35.0, 35.0, 2e6)] * 10]
    assert shown(calm(*before, *crash), [0.0] * 31) == []
    # At a split one of the two stays as it was.
    for volume in (1e6, 3e6):
        later = [(30.0, 30.0, volume)] * 12
        assert shown(calm(*before, *later), [0.0] * 31) == [19]


@pytest.mark.parametrize(
    ("ratio", "shares"), [(1 / 7, 6.0), (1 / 25, 30.0), (8.0, 4.0), (3.0, 9.0)]
)
def test_a_split_on_a_busy_day_is_named_however_many_shares_trade(
    ratio: float, shares: float
) -> None:
    before = [(90.0, 90.0, 1e6)] * 20
    later = [(90.0 / ratio, 90.0 / ratio, 1e6 * ratio * busy) for busy in (shares, *[1.0] * 11)]
    assert shown(calm(*before, *later), [0.0] * 31) == [19]


def test_a_hole_of_weeks_may_hide_a_large_move_and_no_split() -> None:
    days = [DAYS[0], DAYS[1], DAYS[40], DAYS[41]]
    held = [Edges(day, price, price) for day, price in zip(days, (50, 50, 25, 25), strict=True)]
    assert shown(held, [0.0] * 3) == []
    assert shown([*held[:2], *(Edges(one.day, 5, 5) for one in held[2:])], [0.0] * 3) == [1]
