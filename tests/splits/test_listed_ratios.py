"""A listed split counts with the ratio that its night shows, as far as this symbol's nights go."""

from __future__ import annotations

from datetime import date
from math import exp

import numpy as np
import pytest

from swiftbolt_assets.market.listed_splits import Doubt, ListedState, findings, judge
from swiftbolt_assets.market.nights import Edges
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.splits import Split
from tests.splits.test_listed_splits import DAYS, walk
from tests.splits.test_nights import DAYS as YEAR
from tests.splits.test_nights import SCALES, year

DAY = date(2025, 11, 13)
SHOWN, DOUBTFUL = ListedState.SHOWN, ListedState.DOUBTFUL


@pytest.mark.parametrize("seed", [5, 8, 21])
@pytest.mark.parametrize(
    ("shares", "real"),
    [
        ((1, 5), 3.0),
        ((15, 1), 1 / 10),
        ((1, 4), 3.0),
        ((1, 2), 3.0),
        ((1, 3), 2.0),
        ((2, 3), 2.0),
        ((1, 10), 20.0),
        ((20, 1), 1 / 25),
        ((7, 1), 1 / 11),
        # None that is common.
        ((1, 9), 6.3),
    ],
)
def test_a_ratio_that_is_not_the_one_shown_is_doubtful_and_found(
    shares: tuple[int, int], real: float, seed: int
) -> None:
    split = Split(DAY, *shares)
    sessions = walk((DAY, real), seed=seed, night=0.005)
    (judged,) = judge([split], sessions, xnys())
    assert (judged.state, judged.folds) == (DOUBTFUL, None)
    assert judged.ratio == pytest.approx(real, rel=0.1)
    assert Doubt.NOT_SHOWN in {one.doubt for one in findings(sessions, [judged], xnys())}
    # With a right listing beside it that one counts.
    right = Split(DAY, 1000, round(1000 * real))
    assert [one.state for one in judge([split, right], sessions, xnys())] == [DOUBTFUL, SHOWN]


def moved(sessions: list[Edges], move: float) -> list[Edges]:
    """Return sessions whose prices are moved from the day on."""
    factor = [exp(move) if one.day >= DAY else 1.0 for one in sessions]
    return [
        Edges(one.day, one.first_open * by, one.last_close * by, one.volume)
        for one, by in zip(sessions, factor, strict=True)
    ]


@pytest.mark.parametrize("move", [-0.12, -0.08, 0.08, 0.13])
@pytest.mark.parametrize("shares", [(1, 4), (1, 2), (10, 1), (1, 30)])
def test_a_real_split_with_a_large_move_on_top_counts(shares: tuple[int, int], move: float) -> None:
    split = Split(DAY, *shares)
    sessions = moved(walk((DAY, shares[1] / shares[0]), night=0.008), move)
    assert [one.effective for one in judge([split], sessions, xnys())] == [DAY]


@pytest.mark.parametrize("seed", [11, 2026])
def test_in_fat_tailed_years_real_ratios_count_and_wrong_ones_do_not(seed: int) -> None:
    """Each year has four nights of 20 %, and each real split one of up to 20 % on top."""
    rng = np.random.default_rng(seed)
    years, real, wrong = 120, 0, 0
    for number in range(years):
        values = year(rng, SCALES[number % 4], 3, surges=False)
        at = int(rng.integers(20, len(YEAR) - 20))
        ratio = float(rng.choice([3, 4, 5, 10, 0.1, 1 / 8, 1 / 25]))
        shares = (1, round(ratio)) if ratio > 1 else (round(1 / ratio), 1)
        move = float(rng.uniform(-0.2, 0.2))
        values[:at, :2] *= ratio * exp(move)
        sessions = [Edges(day, *map(float, row)) for day, row in zip(YEAR, values, strict=True)]
        (judged,) = judge([Split(YEAR[at], *shares)], sessions, xnys())
        real += judged.effective == YEAR[at]
        # Twice what happened, or half of it.
        other = (shares[0], shares[1] * 2) if number % 2 else (shares[0] * 2, shares[1])
        (judged,) = judge([Split(YEAR[at], *other)], sessions, xnys())
        wrong += judged.folds is not None
    print(f"seed {seed}: {real / years:.1%} real, {wrong / years:.1%} wrong")  # noqa: T201
    assert real / years >= 0.98
    assert wrong / years <= 0.02


def test_a_ratio_of_a_wild_symbol_is_doubtful_only_where_its_nights_do_not_explain_it() -> None:
    wild = walk((DAY, 3.0), seed=3, night=0.06)
    assert judge([Split(DAY, 1, 3)], wild, xnys())[0].folds == Split(DAY, 1, 3)
    assert len(wild) == len(DAYS)
