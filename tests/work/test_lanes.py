"""Who may be taken on next: always room for what is looked at, never more than may be at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftbolt_assets.policy.admission import PEOPLE, SEEDED, URGENT, least_priority, shared_slots

TAKEN = st.lists(st.integers(0, 1000), max_size=12)
MOST = st.integers(1, 12)


@pytest.mark.parametrize(
    ("taken", "most", "background", "needed"),
    [
        ([], 5, True, 0),
        ([], 5, False, SEEDED),
        ([], 1, True, 0),
        ([300], 1, True, None),
        ([60], 5, True, PEOPLE),
        ([90], 5, False, PEOPLE),
        ([60, 100], 5, True, PEOPLE),
        ([100, 100], 5, True, 0),
        ([100, 100, 199], 5, True, URGENT),
        ([60, 100, 100], 5, True, URGENT),
        ([200, 300, 300], 5, True, 0),
        ([200, 300, 300, 300], 5, False, SEEDED),
        ([100, 100, 100, 300], 5, True, URGENT),
        ([100, 100, 100, 300, 300], 5, True, None),
        ([300] * 5, 5, True, None),
        ([300] * 7, 5, True, None),
        ([100], 2, True, URGENT),
        ([200], 2, True, 0),
    ],
)
def test_what_a_symbol_needs_to_be_taken_on(
    taken: list[int], most: int, *, background: bool, needed: int | None
) -> None:
    assert least_priority(taken, most, background=background) == needed


@pytest.mark.parametrize(("most", "shared"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 3), (50, 48)])
def test_two_slots_are_kept_for_urgent_symbols_where_there_are_enough(
    most: int, shared: int
) -> None:
    assert shared_slots(most) == shared


@given(taken=TAKEN, most=MOST, background=st.booleans())
def test_nobody_is_taken_on_beyond_the_limit_and_urgent_symbols_always_below_it(
    taken: list[int], most: int, *, background: bool
) -> None:
    needed = least_priority(taken, most, background=background)
    assert (needed is None) == (len(taken) >= most)
    if needed is not None:
        assert needed <= URGENT


@given(waiting=st.lists(st.integers(0, 400), max_size=20), most=MOST, background=st.booleans())
def test_filling_up_leaves_urgent_slots_and_takes_one_background_symbol_at_a_time(
    waiting: list[int], most: int, *, background: bool
) -> None:
    waiting = sorted(waiting, reverse=True)
    taken: list[int] = []
    while (needed := least_priority(taken, most, background=background)) is not None:
        wanted = [priority for priority in waiting if priority >= needed]
        if not wanted:
            break
        waiting.remove(wanted[0])
        taken.append(wanted[0])
    assert len(taken) <= most
    assert sum(priority < URGENT for priority in taken) <= shared_slots(most)
    own = sum(priority < PEOPLE for priority in taken)
    assert own <= 1
    assert background or all(priority >= SEEDED for priority in taken)


@given(taken=TAKEN, most=MOST, background=st.booleans(), more=st.integers(0, 1000))
def test_more_work_at_hand_never_lowers_what_is_needed(
    taken: list[int], most: int, more: int, *, background: bool
) -> None:
    def height(needed: int | None) -> float:
        return float("inf") if needed is None else needed

    before = height(least_priority(taken, most, background=background))
    after = height(least_priority([*taken, more], most, background=background))
    assert after >= before
