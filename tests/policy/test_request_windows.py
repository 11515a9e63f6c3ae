"""Request windows: few, never too wide, and together everything once."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swiftbolt_assets.market.sessions import Session, xnys
from swiftbolt_assets.policy.request_windows import (
    GUARANTEED_SESSIONS,
    REQUEST_BASE_MINUTES,
    Density,
    next_window,
    requests_expected,
    theoretical_minimum,
    with_neighbours,
)

TWO_YEARS = xnys().between(date(2024, 11, 20), date(2026, 11, 19))
DENSE = Density()


def taken(pending: list[Session], density: Density = DENSE) -> list[tuple[date, date]]:
    """Return the windows that are asked for until nothing is pending."""
    windows = []
    while pending:
        first, last = next_window(pending, xnys(), density)
        windows.append((first, last))
        pending = [s for s in pending if not first <= s.day <= last]
    return windows


def test_two_dense_years_take_ten_requests_newest_first() -> None:
    windows = taken(TWO_YEARS)
    assert len(windows) == 10 == requests_expected(len(TWO_YEARS), DENSE)
    assert windows[0][1] == date(2026, 11, 19)
    assert windows[-1][0] == date(2024, 11, 20)
    assert windows == sorted(windows, reverse=True)
    assert [len(xnys().between(*window)) for window in windows] == [52] * 9 + [33]


def test_the_ninth_window_of_a_dense_year_still_fits_the_limit() -> None:
    assert GUARANTEED_SESSIONS * 960 <= REQUEST_BASE_MINUTES < (GUARANTEED_SESSIONS + 1) * 960


def test_fewer_base_minutes_let_more_sessions_into_a_request() -> None:
    regular_hours_only = DENSE.seen(52 * 390, 52)
    assert regular_hours_only.sessions_a_request == 116
    assert len(taken(TWO_YEARS, regular_hours_only)) == 5
    assert DENSE.seen(52 * 30, 52).sessions_a_request == 1515


def test_the_densest_reply_counts_and_less_than_52_never() -> None:
    density = DENSE.seen(52 * 390, 52).seen(52 * 700, 52).seen(52 * 10, 52)
    assert density.per_session == 700
    assert density.sessions_a_request == 64
    assert DENSE.seen(52 * 960, 52).sessions_a_request == 52
    assert DENSE.seen(50_000, 1).sessions_a_request == 52
    assert density.seen(0, 0) == density


def test_two_long_empty_replies_let_the_rest_go_in_one_request() -> None:
    once = DENSE.seen(0, 52)
    assert once.sessions_a_request == 52
    assert len(taken(TWO_YEARS, once.seen(0, 52))) == 1
    halted = DENSE.seen(0, 3).seen(0, 3).seen(0, 3)
    assert halted.sessions_a_request == 52
    assert once.seen(52, 52).empty_in_a_row == 0
    assert once.seen(52, 52).seen(0, 52).per_session == 1


def test_a_window_shrinks_to_what_is_pending() -> None:
    holes = [TWO_YEARS[480], TWO_YEARS[500], TWO_YEARS[3]]
    assert taken(holes) == [
        (TWO_YEARS[480].day, TWO_YEARS[500].day),
        (TWO_YEARS[3].day, TWO_YEARS[3].day),
    ]


_pending = st.sets(st.integers(0, len(TWO_YEARS) - 1), min_size=1).map(
    lambda at: [TWO_YEARS[i] for i in at]
)
_densities = st.lists(st.tuples(st.integers(0, 50_000), st.integers(0, 60)), max_size=4).map(
    lambda replies: _after(replies)  # noqa: PLW0108 - defined below
)


def _after(replies: list[tuple[int, int]]) -> Density:
    density = DENSE
    for base_minutes, sessions in replies:
        density = density.seen(base_minutes, sessions)
    return density


@settings(deadline=None)
@given(_pending, _densities)
def test_windows_never_exceed_a_request_and_cover_what_is_pending_exactly_once(
    pending: list[Session], density: Density
) -> None:
    assert density.sessions_a_request >= GUARANTEED_SESSIONS
    windows = taken(pending, density)
    covered: list[date] = []
    for first, last in windows:
        assert len(xnys().between(first, last)) <= density.sessions_a_request
        assert {first, last} <= {s.day for s in pending}
        covered += [s.day for s in pending if first <= s.day <= last]
    assert sorted(covered) == sorted(s.day for s in pending)
    assert [last for _, last in windows] == sorted((last for _, last in windows), reverse=True)


@settings(deadline=None)
@given(_pending, _densities, st.integers(0, 20))
def test_neighbours_widen_a_window_by_one_session_each_at_most_and_stay_history(
    pending: list[Session], density: Density, days_later: int
) -> None:
    window = next_window(pending, xnys(), density)
    before = window[1] + timedelta(days=1 + days_later)
    wider = with_neighbours(window, xnys(), density, before=before)
    inside, around = xnys().between(*window), xnys().between(*wider)
    assert set(inside) <= set(around)
    assert len(around) <= min(len(inside) + 2, max(density.sessions_a_request, len(inside)))
    assert wider[1] < before
    assert {wider[0], wider[1]} <= {s.day for s in around}


def test_an_empty_session_is_asked_for_again_with_those_beside_it() -> None:
    hole = date(2026, 11, 18)
    wider = with_neighbours((hole, hole), xnys(), DENSE, before=date(2026, 11, 20))
    assert wider == (date(2026, 11, 17), date(2026, 11, 19))


def test_neighbours_skip_weekends_and_holidays_and_leave_today_alone() -> None:
    friday = date(2025, 11, 28)
    wider = with_neighbours((friday, friday), xnys(), DENSE, before=date(2025, 12, 1))
    assert wider == (date(2025, 11, 26), friday)


def test_a_full_window_has_no_room_for_neighbours() -> None:
    full = (TWO_YEARS[100].day, TWO_YEARS[151].day)
    assert with_neighbours(full, xnys(), DENSE, before=date(2026, 11, 20)) == full
    nearly = (TWO_YEARS[101].day, TWO_YEARS[151].day)
    wider = with_neighbours(nearly, xnys(), DENSE, before=date(2026, 11, 20))
    assert wider == (TWO_YEARS[101].day, TWO_YEARS[152].day)


def test_the_first_session_of_the_calendar_has_no_earlier_neighbour() -> None:
    first = xnys().sessions[0].day
    wider = with_neighbours((first, first), xnys(), DENSE, before=date(2026, 11, 20))
    assert wider == (first, xnys().sessions[1].day)


@pytest.mark.parametrize(
    ("base_minutes", "requests"), [(0, 0), (1, 1), (50_000, 1), (50_001, 2), (480_960, 10)]
)
def test_the_theoretical_minimum_counts_base_minutes_only(base_minutes: int, requests: int) -> None:
    assert theoretical_minimum(base_minutes) == requests
