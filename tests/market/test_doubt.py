"""Which absences are unlikely for a symbol: by its own sessions around, thin, bursty and dense."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftbolt_assets.market.doubt import (
    LADDER,
    Elsewhere,
    doubted_slots,
    next_ask,
    pattern,
    runs,
    traded_from,
    unlikely,
    weigh,
)
from swiftbolt_assets.market.sessions import xnys

if TYPE_CHECKING:
    from swiftbolt_assets.market.doubt import Pattern

SESSIONS = xnys().between(date(2026, 2, 2), date(2026, 11, 13))
FULL = np.zeros(26, np.bool_)


def lacking(*slots: int) -> Pattern:
    absent = FULL.copy()
    absent[list(slots)] = True
    return absent


def silent(presence: float, sessions: int, seed: int) -> list[Pattern]:
    """Return sessions of a symbol that trades in so many of its quarter hours."""
    return list(np.random.default_rng(seed).random((sessions, 26)) > presence)


@pytest.mark.parametrize(
    "lost", [range(20, 26), range(6), range(8, 12), range(26), range(0, 26, 3)]
)
@pytest.mark.parametrize("around", [1, 4, 19, 60])
def test_an_afternoon_a_morning_an_hour_a_day_or_every_third_bar_is_missed_of_a_dense_symbol(
    lost: range, around: int
) -> None:
    found = unlikely(lacking(*lost), [FULL] * around)
    assert found.tolist() == lacking(*lost).tolist()


def test_a_single_quarter_hour_is_missed_only_where_many_sessions_have_it() -> None:
    assert not unlikely(lacking(7), [FULL] * 9).any()
    assert unlikely(lacking(7), [FULL] * 60).any()


@pytest.mark.parametrize("presence", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97])
def test_a_naturally_thin_symbol_is_hardly_ever_doubted(presence: float) -> None:
    sessions = silent(presence, 250, seed=7)
    doubted = [
        unlikely(one, [*sessions[max(0, at - 30) : at], *sessions[at + 1 : at + 31]]).any()
        for at, one in enumerate(sessions)
    ]
    assert sum(doubted) <= 5


def test_whole_days_without_a_trade_are_usual_for_a_symbol_that_has_some() -> None:
    sessions = silent(0.68, 60, seed=3)
    for at in (5, 22, 41, 55):
        sessions[at] = ~FULL
    for at in (5, 22, 41, 55):
        assert not unlikely(sessions[at], sessions[:at] + sessions[at + 1 :]).any()


@pytest.mark.parametrize("presence", [0.95, 0.98, 1.0])
def test_several_lost_afternoons_do_not_excuse_each_other(presence: float) -> None:
    sessions = silent(presence, 40, seed=11)
    for at in (4, 11, 12, 13, 30, 37):
        sessions[at] = sessions[at] | lacking(*range(18, 26))
    for at in (4, 11, 12, 13, 30, 37):
        found = unlikely(sessions[at], sessions[:at] + sessions[at + 1 :])
        assert found[18:].all()


def test_a_symbol_that_was_never_seen_is_doubted_wholly() -> None:
    assert unlikely(~FULL, []).all()
    assert unlikely(~FULL, [~FULL] * 30).all()
    # Its only session tells by itself.
    assert not unlikely(lacking(*range(1, 26, 2)), []).any()
    assert unlikely(lacking(*range(16, 26)), []).any()


def test_lunch_is_quiet_for_a_symbol_that_is_always_quiet_then() -> None:
    quiet = [lacking(*range(10, 16))] * 20
    assert not unlikely(lacking(*range(10, 16)), quiet).any()
    assert unlikely(lacking(*range(16, 26)), quiet).any()


def test_an_early_close_is_held_against_the_same_quarter_hours() -> None:
    short = np.zeros(14, np.bool_)
    assert not unlikely(short, [FULL] * 30).any()
    short[8:] = True
    assert unlikely(short, [FULL] * 30).tolist() == short.tolist()


@given(st.lists(st.booleans(), min_size=1, max_size=26))
def test_runs_are_the_stretches_of_true(flags: list[bool]) -> None:
    absent = np.array(flags, np.bool_)
    again = np.zeros_like(absent)
    found = runs(absent)
    for first, last in found:
        assert first < last
        assert not again[first:last].any()
        again[first:last] = True
    assert again.tolist() == flags
    assert all(before[1] < after[0] for before, after in pairwise(found))


@pytest.mark.parametrize("count", [1, 5, 6, 25])
def test_sessions_before_the_first_bar_of_a_dense_symbol_are_in_doubt(count: int) -> None:
    around = {s: FULL if at >= count else ~FULL for at, s in enumerate(SESSIONS[:40])}
    missing = {s: s.slot_starts() for s in SESSIONS[:count]}
    found = doubted_slots(missing, around, earliest_known=SESSIONS[count].opens)
    assert all(len(found[s]) == s.slots for s in missing)


def test_an_illiquid_symbols_first_bar_may_come_days_into_its_window() -> None:
    patterns = silent(0.03, 80, seed=9)
    first = next(at for at, one in enumerate(patterns) if not one.all()) + 7
    around = {s: ~FULL if at < first else patterns[at] for at, s in enumerate(SESSIONS[:80])}
    missing = {s: s.slot_starts() for s in SESSIONS[:first]}
    found = doubted_slots(missing, around, earliest_known=SESSIONS[first].opens)
    assert not any(found.values())


@pytest.mark.parametrize("count", [3, 12, 24, 50])
@pytest.mark.parametrize("presence", [0.5, 0.9, 1.0])
def test_weeks_lost_at_a_stretch_do_not_excuse_each_other(presence: float, count: int) -> None:
    patterns = silent(presence, 100, seed=41)
    around = {
        s: ~FULL if 30 <= at < 30 + count else patterns[at] for at, s in enumerate(SESSIONS[:100])
    }
    missing = {s: s.slot_starts() for s in SESSIONS[30 : 30 + count]}
    found = doubted_slots(missing, around, earliest_known=SESSIONS[0].opens)
    assert all(len(found[s]) == s.slots for s in missing)


@pytest.mark.parametrize("presence", [0.002, 0.01, 0.03])
def test_a_symbol_that_trades_once_a_week_is_hardly_ever_doubted(presence: float) -> None:
    patterns = silent(presence, 190, seed=5)
    around = dict(zip(SESSIONS, patterns, strict=False))
    missing = {
        s: {slot for slot, no in zip(s.slot_starts(), one, strict=False) if no}
        for s, one in around.items()
    }
    first = next(s for s, one in around.items() if not one.all())
    found = doubted_slots(missing, around, earliest_known=first.opens)
    assert sum(bool(slots) for slots in found.values()) <= 4


@pytest.mark.parametrize("presence", [0.3, 0.5, 0.75])
@pytest.mark.parametrize("lost", [(20, 33), (11, 12, 13), (24, 25)])
def test_lost_days_of_a_thin_symbol_do_not_excuse_each_other(
    presence: float, lost: tuple[int, ...]
) -> None:
    sessions = silent(presence, 50, seed=17)
    for at in lost:
        sessions[at] = ~FULL
    for at in lost:
        assert unlikely(sessions[at], sessions[:at] + sessions[at + 1 :]).all()


def test_two_lost_afternoons_of_a_half_dense_symbol_do_not_excuse_each_other() -> None:
    sessions = silent(0.55, 50, seed=29)
    for at in (15, 31):
        sessions[at] = sessions[at] | lacking(*range(11, 26))
    for at in (15, 31):
        assert unlikely(sessions[at], sessions[:at] + sessions[at + 1 :])[11:].all()


def test_each_step_of_asking_again_comes_once_and_late_ones_are_skipped() -> None:
    since = SESSIONS[0].closes
    assert next_ask(since, since) == since + LADDER[0]
    assert next_ask(since, since + timedelta(days=6)) == since + timedelta(days=20)
    assert next_ask(since, since + timedelta(days=30)) is None


def test_most_of_a_silence_must_be_covered_by_others_and_by_another_provider_all_of_it() -> None:
    session = SESSIONS[0]
    slots = session.slot_starts()
    hour, bars = slots[8:12], [*slots[:8], *slots[12:]]
    for seen, kind in [(slots[8:12], "halted"), (slots[8:10], "open")]:
        found = weigh(session, bars, hour, Elsewhere(traded=seen), is_over=False)
        assert getattr(found, kind) == frozenset(hour)
    for agreed, kind in [(hour, "no_trade"), (hour[:3], "open")]:
        found = weigh(session, bars, hour, Elsewhere(agreed=agreed), is_over=False)
        assert getattr(found, kind) == frozenset(hour)


def test_every_other_bar_lost_is_no_dozen_of_halts() -> None:
    session = SESSIONS[0]
    slots = session.slot_starts()
    for lost, kind in [(slots[1:24:2], "open"), ([slots[4], slots[9], slots[15]], "halted")]:
        bars = [slot for slot in slots if slot not in lost]
        found = weigh(session, bars, lost, Elsewhere(traded=slots), is_over=False)
        assert getattr(found, kind) == frozenset(lost)


def test_where_the_provider_once_had_a_bar_nothing_was_halted() -> None:
    session = SESSIONS[0]
    slots = session.slot_starts()
    bars, lost = [*slots[:8], *slots[10:]], slots[8:10]
    elsewhere = Elsewhere(traded=slots, delivered=slots[8:9])
    for is_over, kind in [(False, "open"), (True, "no_trade")]:
        found = weigh(session, bars, lost, elsewhere, is_over=is_over)
        assert getattr(found, kind) == frozenset(lost)


def test_where_another_provider_saw_some_shares_nothing_was_halted() -> None:
    session = SESSIONS[0]
    slots = session.slot_starts()
    bars, lost = [*slots[:8], *slots[10:]], slots[8:10]
    elsewhere = Elsewhere(traded=slots, small=slots[9:10])
    for is_over, kind in [(False, "open"), (True, "no_trade")]:
        found = weigh(session, bars, lost, elsewhere, is_over=is_over)
        assert getattr(found, kind) == frozenset(lost)


def test_shares_that_show_a_trade_are_few_where_the_symbols_own_bars_have_few() -> None:
    assert [traded_from(small) for small in (None, 80_000.0, 170.0, 3.0)] == [500, 500, 170, 3]


def test_a_pattern_names_the_quarter_hours_without_a_bar() -> None:
    session = SESSIONS[0]
    slots = session.slot_starts()
    assert pattern(session, {slots[3], slots[25]}).tolist() == lacking(3, 25).tolist()
