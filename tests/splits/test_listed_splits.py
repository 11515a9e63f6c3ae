"""A listed split counts on the day on which the prices show it, and once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swiftbolt_assets.market.listed_splits import Doubt, Judged, ListedState, findings, judge
from swiftbolt_assets.market.nights import Edges
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.splits import Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swiftbolt_assets.market.listed_splits import Finding

#: Two months with Thanksgiving and an early close among them.
SESSIONS = xnys().between(date(2025, 10, 20), date(2025, 12, 19))
DAYS = [session.day for session in SESSIONS]
LISTED, SHOWN, MOVED, REPEATED, DOUBTFUL = ListedState


def walk(*real: tuple[date, float], seed: int = 5, night: float = 0.012) -> list[Edges]:
    """Return sessions of a fat-tailed walk; from each day on a share is `ratio` ones."""
    rng = np.random.default_rng(seed)
    price, sessions = 240.0, []
    for day in DAYS:
        opens = price * np.exp(rng.standard_t(3) * night)
        closes = opens * np.exp(rng.standard_t(3) * night)
        shares = float(np.prod([ratio for since, ratio in real if since <= day]))
        sessions.append(Edges(day, opens / shares, closes / shares, 1e6 * shares))
        price = closes
    return sessions


def judged_by_prices(listed: Sequence[Split], sessions: Sequence[Edges]) -> list[Judged]:
    return judge(listed, sessions, xnys())


def misfits(sessions: Sequence[Edges], judged: Sequence[Judged]) -> list[Finding]:
    return findings(sessions, judged, xnys())


def told(*listed: Split, sessions: list[Edges]) -> list[tuple[str, date | None]]:
    return [(str(one.state), one.effective) for one in judged_by_prices(listed, sessions)]


NOV_12, NOV_13, NOV_14, NOV_17 = (date(2025, 11, day) for day in (12, 13, 14, 17))
FRIDAY, SATURDAY, SUNDAY = NOV_14, date(2025, 11, 15), date(2025, 11, 16)
THANKSGIVING, BLACK_FRIDAY = date(2025, 11, 27), date(2025, 11, 28)


@pytest.mark.parametrize(
    ("ratio", "shares"), [(5.0, (1, 5)), (3.5, (2, 7)), (1 / 45, (45, 1)), (1.5, (2, 3))]
)
@pytest.mark.parametrize(
    ("listed", "shown", "state"),
    [
        (NOV_13, NOV_13, SHOWN),
        (NOV_12, NOV_13, MOVED),
        (NOV_14, NOV_13, MOVED),
        # A weekend off, either way; on a day of the weekend itself.
        (FRIDAY, NOV_17, MOVED),
        (NOV_17, FRIDAY, MOVED),
        (SATURDAY, NOV_17, MOVED),
        # Around a holiday.
        (THANKSGIVING, BLACK_FRIDAY, MOVED),
        (BLACK_FRIDAY, date(2025, 11, 26), MOVED),
        # Three sessions, the most.
        (NOV_12, NOV_17, MOVED),
    ],
)
def test_a_split_counts_on_the_day_that_shows_it(
    ratio: float, shares: tuple[int, int], listed: date, shown: date, state: ListedState
) -> None:
    sessions = walk((shown, ratio))
    split = Split(listed, *shares)
    assert told(split, sessions=sessions) == [(state, shown)]
    (one,) = judged_by_prices([split], sessions)
    assert one.ratio == pytest.approx(ratio, rel=0.12)
    assert one.folds == Split(shown, *shares)
    assert misfits(sessions, [one]) == []


def test_a_split_listed_on_two_neighbouring_days_is_folded_once() -> None:
    sessions = walk((NOV_13, 3.0))
    early, right, late = (Split(day, 1, 3) for day in (NOV_12, NOV_13, NOV_17))
    assert told(early, right, sessions=sessions) == [(REPEATED, None), (SHOWN, NOV_13)]
    assert told(late, right, sessions=sessions) == [(REPEATED, None), (SHOWN, NOV_13)]
    # Both beside the day: one of them is moved there.
    assert sorted(told(early, late, sessions=sessions), key=str) == [
        (MOVED, NOV_13),
        (REPEATED, None),
    ]
    assert misfits(sessions, judged_by_prices([early, right, late], sessions)) == []


def test_two_splits_of_two_days_are_both_folded() -> None:
    sessions = walk((NOV_12, 2.0), (NOV_14, 1.5))
    assert told(Split(NOV_12, 1, 2), Split(NOV_14, 2, 3), sessions=sessions) == [
        (SHOWN, NOV_12),
        (SHOWN, NOV_14),
    ]
    # Of the same ratio, too, where the prices show both.
    twice = walk((NOV_12, 2.0), (NOV_13, 2.0))
    assert told(Split(NOV_12, 1, 2), Split(NOV_13, 1, 2), sessions=twice) == [
        (SHOWN, NOV_12),
        (SHOWN, NOV_13),
    ]


def test_a_split_that_never_happened_is_doubtful_and_found() -> None:
    sessions = walk()
    judged = judged_by_prices([Split(NOV_13, 1, 4)], sessions)
    assert [(one.state, one.effective, one.folds) for one in judged] == [(DOUBTFUL, None, None)]
    (found,) = misfits(sessions, judged)
    assert (found.day, found.doubt, found.expected) == (NOV_13, Doubt.NOT_SHOWN, 4.0)
    assert found.ratio == pytest.approx(1.0, abs=0.2)


def test_of_two_ratios_for_one_day_the_prices_choose() -> None:
    two, three = Split(NOV_13, 1, 2), Split(NOV_13, 1, 3)
    assert told(two, three, sessions=walk((NOV_13, 3.0))) == [(DOUBTFUL, None), (SHOWN, NOV_13)]
    assert told(two, three, sessions=walk((NOV_13, 6.0))) == [(SHOWN, NOV_13), (SHOWN, NOV_13)]
    # Without prices nobody can.
    assert told(two, three, sessions=[]) == [(DOUBTFUL, None)] * 2


def test_a_split_of_another_symbols_direction_is_none() -> None:
    # Listed the wrong way round: the list and the price contradict each other.
    sessions = walk((NOV_13, 10.0))
    judged = judged_by_prices([Split(NOV_13, 10, 1)], sessions)
    assert judged[0].state is DOUBTFUL
    assert {one.doubt for one in misfits(sessions, judged)} == set(Doubt)


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(slice(0, DAYS.index(NOV_13)), id="announced: no bar of the day or later"),
        pytest.param(slice(DAYS.index(NOV_13), None), id="no bar before the day"),
        pytest.param(slice(0, 0), id="no bar at all"),
    ],
)
def test_where_no_price_tells_the_list_counts(kept: slice) -> None:
    sessions = walk((NOV_13, 4.0))[kept]
    assert told(Split(NOV_13, 1, 4), sessions=sessions) == [(LISTED, NOV_13)]
    # Listed twice it counts once even so, as it was listed last.
    assert told(Split(NOV_12, 1, 4), Split(NOV_13, 1, 4), sessions=sessions[:5]) == [
        (REPEATED, None),
        (LISTED, NOV_13),
    ]


def test_an_early_listing_is_moved_once_a_later_session_shows_it() -> None:
    sessions = walk((NOV_14, 4.0))
    split, at = Split(NOV_12, 1, 4), DAYS.index(NOV_14)
    assert told(split, sessions=sessions[: at - 2]) == [(LISTED, NOV_12)]
    assert told(split, sessions=sessions[: at - 1]) == [(DOUBTFUL, None)]
    assert told(split, sessions=sessions[: at + 1]) == [(MOVED, NOV_14)]


def test_a_split_in_a_stretch_without_bars_is_folded_on_its_day() -> None:
    sessions = walk((NOV_13, 7.0))
    first, last = DAYS.index(NOV_12), DAYS.index(NOV_17)
    holey = [*sessions[:first], *sessions[last:]]
    assert told(Split(NOV_13, 1, 7), sessions=holey) == [(SHOWN, NOV_13)]


def test_a_small_split_cannot_be_disproved_and_counts_as_listed() -> None:
    sessions = walk()
    stock_dividend = Split(NOV_13, 20, 21)
    assert told(stock_dividend, sessions=sessions) == [(LISTED, NOV_13)]
    assert told(stock_dividend, Split(NOV_14, 20, 21), sessions=sessions) == [
        (REPEATED, None),
        (LISTED, NOV_14),
    ]
    assert misfits(sessions, judged_by_prices([stock_dividend], sessions)) == []


def test_a_long_list_of_one_split_folds_once() -> None:
    sessions = walk((NOV_13, 8.0))
    day = [NOV_13 + timedelta(days=away) for away in range(-5, 6)]
    judged = judged_by_prices([Split(one, 1, 8) for one in day], sessions)
    assert [one.effective for one in judged if one.effective is not None] == [NOV_13]


@settings(max_examples=40)
@given(
    st.integers(0, 10_000),
    st.sampled_from([(1, 2), (2, 3), (1, 7), (4, 1), (30, 1), (1000, 1), (2, 13)]),
    st.integers(-3, 3),
    st.integers(8, len(DAYS) - 8),
    st.booleans(),
)
def test_whatever_the_walk_the_split_counts_where_it_happened(
    seed: int,
    shares: tuple[int, int],
    off: int,
    at: int,
    again: bool,  # noqa: FBT001
) -> None:
    sessions = walk((DAYS[at], shares[1] / shares[0]), seed=seed, night=0.007)
    listed = [Split(DAYS[at + off], *shares)]
    if again:
        listed.append(Split(DAYS[at + (1 if off < 1 else -1)], *shares))
    judged = judged_by_prices(listed, sessions)
    assert [one.effective for one in judged if one.effective] == [DAYS[at]]
    # The order of the list says nothing.
    turned: list[Judged] = judged_by_prices(listed[::-1], sessions)
    assert [one.effective for one in turned if one.effective] == [DAYS[at]]


@pytest.mark.parametrize("shares", [(4, 5), (5, 6), (5, 4), (7, 8)])
@pytest.mark.parametrize("seed", [5, 8, 21])
def test_a_small_split_that_never_happened_is_doubtful_where_nights_are_quieter(
    shares: tuple[int, int], seed: int
) -> None:
    split = Split(NOV_13, *shares)
    quiet = walk(seed=seed, night=0.005)
    assert told(split, sessions=quiet) == [(DOUBTFUL, None)]
    assert [one.doubt for one in misfits(quiet, judged_by_prices([split], quiet))] == [
        Doubt.NOT_SHOWN
    ]
    real = walk((NOV_13, shares[1] / shares[0]), seed=seed, night=0.005)
    assert told(split, sessions=real) == [(SHOWN, NOV_13)]


def test_a_small_split_listed_on_a_wrong_day_is_folded_where_prices_show_it() -> None:
    sessions = walk((NOV_13, 1.2), night=0.006)
    assert told(Split(NOV_17, 5, 6), sessions=sessions) == [(MOVED, NOV_13)]


def test_a_split_of_five_to_four_is_looked_for_in_any_symbols_nights() -> None:
    assert told(Split(NOV_13, 4, 5), sessions=walk(night=0.02)) == [(DOUBTFUL, None)]
    # One of 21:20 drowns in them, and counts as listed.
    assert told(Split(NOV_13, 20, 21), sessions=walk(night=0.02)) == [(LISTED, NOV_13)]
