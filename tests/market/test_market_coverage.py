"""When a session is settled: evidence by evidence, and as properties."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftbolt_assets.market.coverage import (
    ANSWERS_AT_MOST,
    ANSWERS_REJECTED,
    Evidence,
    Reason,
    SessionCoverage,
    State,
    beyond_plan,
    judge,
)
from swiftbolt_assets.market.sessions import Session, xnys

DAYS = [date(2025, 1, 8), date(2025, 7, 3), date(2025, 11, 28), date(2026, 3, 9)]


def _session(day: date) -> Session:
    session = xnys().session(day)
    assert session is not None
    return session


SESSION = _session(DAYS[0])
SLOTS = SESSION.slot_starts()
WEEK = timedelta(days=7)


def evidence(
    last_bar: datetime | None = None,
    known: tuple[datetime, datetime] | None = None,
    rejected: list[datetime] | None = None,
) -> Evidence:
    earliest, latest = known or (None, None)
    return Evidence(last_bar, earliest, latest, rejected or [])


def answered(times: int, bars: list[datetime], shown: Evidence) -> SessionCoverage:
    """Return the coverage after the same answer so many times."""
    coverage = None
    for _ in range(times):
        coverage = judge(SESSION, bars, shown, coverage)
    assert coverage is not None
    assert coverage.answers == times
    return coverage


def test_a_session_with_all_its_bars_is_final_at_once() -> None:
    found = answered(1, SLOTS, evidence(SLOTS[-1], (SLOTS[0], SLOTS[-1])))
    assert found == SessionCoverage(SESSION.day, State.FINAL, None, 26, 26, 1)
    assert not found.absences


def test_a_hole_before_a_later_bar_is_no_trade_after_one_answer() -> None:
    bars = [at for at in SLOTS if at not in (SLOTS[3], SLOTS[9])]
    found = answered(1, bars, evidence(SLOTS[-1]))
    assert (found.state, found.bars) == (State.FINAL, 24)
    assert found.absences == {SLOTS[3]: Reason.NO_TRADE, SLOTS[9]: Reason.NO_TRADE}


def test_a_later_bar_of_the_evening_or_of_another_day_proves_the_last_quarter_hour() -> None:
    bars = SLOTS[:-1]
    for last in (SESSION.closes, SESSION.closes + WEEK):
        assert answered(1, bars, evidence(last)).state is State.FINAL


def test_quarter_hours_after_the_last_bar_need_a_second_answer() -> None:
    bars = SLOTS[:-2]
    shown = evidence(bars[-1])
    first, second = answered(1, bars, shown), answered(2, bars, shown)
    assert (first.state, second.state) == (State.OPEN, State.FINAL)
    assert second.absences == {SLOTS[-2]: Reason.NO_TRADE, SLOTS[-1]: Reason.NO_TRADE}


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ((SLOTS[0] - WEEK, SLOTS[0] + WEEK), Reason.NO_TRADE),
        ((SLOTS[0] + WEEK, SLOTS[0] + 2 * WEEK), Reason.NOT_LISTED),
        ((SLOTS[0] - 2 * WEEK, SLOTS[0] - WEEK), Reason.PROVIDER_EMPTY),
        (None, Reason.PROVIDER_EMPTY),
    ],
)
def test_a_session_without_bars_needs_a_second_answer_and_says_why(
    known: tuple[datetime, datetime] | None, reason: Reason
) -> None:
    shown = evidence(SLOTS[0] + WEEK, known)
    first, second = answered(1, [], shown), answered(2, [], shown)
    assert (first.state, first.reason, first.bars) == (State.OPEN, reason, 0)
    assert (second.state, second.reason, second.bars) == (State.FINAL, reason, 0)
    assert second.absences == {}


def test_an_answer_without_a_single_bar_must_be_heard_three_times() -> None:
    states = [answered(times, [], evidence()).state for times in (1, 2, 3)]
    assert states == [State.OPEN, State.OPEN, State.FINAL]
    assert answered(3, [], evidence()).reason is Reason.PROVIDER_EMPTY


def test_a_rejected_bar_is_asked_for_three_times() -> None:
    bars = [at for at in SLOTS if at != SLOTS[5]]
    shown = evidence(SLOTS[-1], rejected=[SLOTS[5]])
    states = [answered(times, bars, shown).state for times in (1, 2, 3)]
    assert states == [State.OPEN, State.OPEN, State.FINAL]
    assert answered(3, bars, shown).absences == {SLOTS[5]: Reason.REJECTED}


def test_bars_that_are_rejected_by_turns_are_not_asked_for_without_end() -> None:
    bars = SLOTS[:20]
    coverage = None
    for turn in range(6):
        shown = evidence(SLOTS[-1] + WEEK, rejected=[SLOTS[20 + turn % 2]])
        coverage = judge(SESSION, bars, shown, coverage)
        assert (coverage.state is State.FINAL) == (turn == 5)


def test_an_answer_with_stray_bars_proves_no_absence_alone() -> None:
    bars = [at for at in SLOTS if at != SLOTS[5]]
    shown = Evidence(SLOTS[-1], None, None, [], doubtful=True)
    assert [answered(times, bars, shown).state for times in (1, 2)] == [State.OPEN, State.FINAL]


def test_a_bar_that_comes_whole_after_a_rejection_settles_the_session() -> None:
    bars = [at for at in SLOTS if at != SLOTS[5]]
    first = judge(SESSION, bars, evidence(SLOTS[-1], rejected=[SLOTS[5]]), None)
    assert judge(SESSION, SLOTS, evidence(SLOTS[-1]), first).state is State.FINAL


def test_a_bad_copy_beside_a_good_bar_leaves_no_hole() -> None:
    found = judge(SESSION, SLOTS, evidence(SLOTS[-1], rejected=[SLOTS[5]]), None)
    assert (found.state, found.absences) == (State.FINAL, {})


def test_a_session_whose_bars_were_all_rejected_says_so() -> None:
    shown = evidence(SLOTS[-1] + WEEK, (SLOTS[0], SLOTS[-1] + WEEK), rejected=SLOTS[:1])
    found = answered(3, [], shown)
    assert (found.state, found.reason) == (State.FINAL, Reason.REJECTED)


def test_a_session_beyond_the_plan_is_settled_without_bars() -> None:
    found = beyond_plan(SESSION, None)
    assert found == SessionCoverage(SESSION.day, State.FINAL, Reason.PLAN_CUT, 26, 0, 1)


def test_bars_that_are_stored_stay_in_the_ledger_when_the_plan_moves_on() -> None:
    prior = judge(SESSION, SLOTS[:-2], evidence(SLOTS[-3]), None)
    assert prior.state is State.OPEN
    found = beyond_plan(SESSION, prior)
    assert (found.state, found.reason, found.bars, found.answers) == (State.FINAL, None, 24, 2)
    assert set(found.absences) == set(SLOTS[-2:])


@st.composite
def answers(draw: st.DrawFn) -> tuple[Session, list[tuple[set[datetime], Evidence]]]:
    """Return a session and what six answers showed, stored bars included."""
    session = _session(draw(st.sampled_from(DAYS)))
    slots = session.slot_starts()
    instants = st.one_of(
        st.none(), st.sampled_from([*slots, slots[0] - WEEK, session.closes + WEEK])
    )
    stored: set[datetime] = set()
    heard = []
    for _ in range(ANSWERS_AT_MOST):
        stored = stored | draw(st.sets(st.sampled_from(slots)))
        rejected = draw(st.lists(st.sampled_from(slots), max_size=3))
        shown = Evidence(
            *(draw(instants) for _ in range(3)),
            rejected,
            draw(st.booleans()),
            paces=draw(st.dictionaries(st.sampled_from(DAYS), st.floats(1, 1e4), max_size=3)),
        )
        heard.append((stored, shown))
    return session, heard


@given(answers())
def test_a_final_session_explains_every_quarter_hour_and_six_answers_settle_all(
    case: tuple[Session, list[tuple[set[datetime], Evidence]]],
) -> None:
    session, heard = case
    prior = None
    for bars, shown in heard:
        prior = judge(session, bars, shown, prior)
        assert prior.expected == session.slots
        assert prior.bars == len(bars)
        # What the ledger's own constraints demand.
        assert (prior.reason is None) == bool(bars)
        missing = set(session.slot_starts()) - bars
        if bars:
            assert set(prior.absences) == missing
        if prior.state is State.FINAL:
            assert prior.bars == prior.expected or prior.absences or prior.reason
        if prior.answers >= (ANSWERS_AT_MOST if shown.rejected else ANSWERS_REJECTED):
            assert prior.state is State.FINAL
    assert prior is not None
    assert prior.state is State.FINAL
    cut = beyond_plan(session, prior)
    assert (cut.reason is None) == bool(cut.bars)
