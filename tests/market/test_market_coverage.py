"""When a session is settled: evidence by evidence, and as properties."""

from __future__ import annotations

from dataclasses import replace
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
    kept_slots,
    reconsider,
)
from swiftbolt_assets.market.doubt import Elsewhere
from swiftbolt_assets.market.sessions import Session, xnys

DAYS = [date(2025, 1, 8), date(2025, 7, 3), date(2025, 11, 28), date(2026, 3, 9)]


def _session(day: date) -> Session:
    session = xnys().session(day)
    assert session is not None
    return session


SESSION = _session(DAYS[0])
SLOTS = SESSION.slot_starts()
WEEK = timedelta(days=7)
NOW = SESSION.closes + timedelta(hours=9)


def evidence(
    last_bar: datetime | None = None,
    known: tuple[datetime, datetime] | None = None,
    rejected: list[datetime] | None = None,
) -> Evidence:
    earliest, latest = known or (None, None)
    return Evidence(NOW, last_bar, earliest, latest, rejected or [])


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
    shown = Evidence(NOW, SLOTS[-1], None, None, [], doubtful=True)
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


#: An afternoon that a symbol which is never silent lacks, and what shows that.
AFTERNOON, MORNING = SLOTS[20:], SLOTS[:20]
NOON = SLOTS[8:12]


def doubting(
    missing: list[datetime], elsewhere: Elsewhere | None = None, days: float = 0
) -> Evidence:
    """Return an answer with a bar of a week later, whose absences here are unlikely."""
    known = (SLOTS[0] - WEEK, SLOTS[-1] + WEEK)
    return Evidence(
        NOW + timedelta(days=days),
        known[1],
        *known,
        [],
        unlikely=frozenset(missing),
        elsewhere=elsewhere or Elsewhere(),
    )


def test_an_unlikely_absence_is_final_for_whoever_waits_and_asked_for_again() -> None:
    row = judge(SESSION, MORNING, doubting(AFTERNOON), None)
    assert (row.state, row.bars, row.unconfirmed) == (State.FINAL, 20, 6)
    assert row.absences == dict.fromkeys(AFTERNOON, Reason.UNCONFIRMED)
    assert (row.doubted_at, row.again_at) == (NOW, NOW + timedelta(hours=4))
    assert row.is_settled(NOW + timedelta(hours=3))
    assert not row.is_settled(NOW + timedelta(hours=4))


def test_after_hours_a_day_five_and_twenty_days_of_the_same_it_is_believed() -> None:
    row, asked = None, []
    for days in (0, 1 / 6, 1, 5, 20):
        row = judge(SESSION, MORNING, doubting(AFTERNOON, days=days), row)
        asked.append(row.again_at and (row.again_at - NOW) / timedelta(days=1))
        assert row.state is State.FINAL
    assert asked == [pytest.approx(1 / 6), 1, 5, 20, None]
    assert row is not None
    assert (row.unconfirmed, set(row.absences.values())) == (0, {Reason.NO_TRADE})


@pytest.mark.parametrize("days", [15.04, 19.5])
def test_no_doubt_ends_before_an_answer_that_came_twenty_days_later(days: float) -> None:
    row = judge(SESSION, MORNING, doubting(AFTERNOON), None)
    row = judge(SESSION, MORNING, doubting(AFTERNOON, days=days), row)
    assert (row.unconfirmed, row.again_at) == (6, NOW + timedelta(days=20))
    # Days that pass unasked are no answers, whatever is learned of others meanwhile.
    traded = Elsewhere(traded=frozenset(SLOTS))
    for elsewhere in (Elsewhere(), traded):
        later = NOW + timedelta(days=40)
        assert reconsider(SESSION, MORNING, row, elsewhere, later) == row
    row = judge(SESSION, MORNING, doubting(AFTERNOON, days=20), row)
    assert (set(row.absences.values()), row.again_at) == ({Reason.NO_TRADE}, None)


def test_one_that_rode_along_shortly_before_its_time_need_not_be_asked_again_for_it() -> None:
    row = judge(SESSION, MORNING, doubting(AFTERNOON), None)
    row = judge(SESSION, MORNING, doubting(AFTERNOON, days=0.8), row)
    assert row.again_at == NOW + timedelta(days=5)


def test_what_is_delivered_later_ends_the_doubt() -> None:
    row = judge(SESSION, MORNING, doubting(AFTERNOON), None)
    row = judge(SESSION, SLOTS, doubting([], days=5), row)
    assert (row.bars, row.unconfirmed, row.again_at, row.doubted_at) == (26, 0, None, None)


def test_a_silence_while_others_trade_that_ends_the_same_day_is_a_halt_and_asked_for_again() -> (
    None
):
    bars = [slot for slot in SLOTS if slot not in NOON]
    others = Elsewhere(traded=frozenset(SLOTS))
    row = judge(SESSION, bars, doubting(NOON, others), None)
    assert (row.absences, row.unconfirmed) == (dict.fromkeys(NOON, Reason.HALTED), 0)
    assert row.again_at == NOW + timedelta(hours=4)


def test_a_silence_to_the_close_or_of_a_whole_day_is_no_halt_on_the_word_of_others_alone() -> None:
    others = Elsewhere(traded=frozenset(SLOTS))
    row = judge(SESSION, MORNING, doubting(AFTERNOON, others), None)
    assert set(row.absences.values()) == {Reason.UNCONFIRMED}
    once = judge(SESSION, [], doubting(SLOTS, others), None)
    day = judge(SESSION, [], doubting(SLOTS, others), once)
    assert (once.state, day.state, day.reason) == (State.OPEN, State.FINAL, Reason.UNCONFIRMED)
    assert day.unconfirmed == 26


def test_another_provider_that_saw_nothing_makes_it_a_halt_or_no_trade() -> None:
    silent = frozenset(AFTERNOON)
    for traded, reason in [(frozenset(SLOTS), Reason.HALTED), (frozenset(), Reason.NO_TRADE)]:
        row = judge(SESSION, MORNING, doubting(AFTERNOON, Elsewhere(traded, agreed=silent)), None)
        assert (set(row.absences.values()), row.again_at) == ({reason}, None)


def test_another_provider_that_saw_it_trade_keeps_the_doubt_whatever_time_passes() -> None:
    seen = Elsewhere(traded=frozenset(SLOTS), contradicted=frozenset(AFTERNOON[:1]))
    row = judge(SESSION, MORNING, doubting(AFTERNOON, seen), None)
    row = judge(SESSION, MORNING, doubting(AFTERNOON, seen, days=30), row)
    assert (row.unconfirmed, row.again_at) == (6, None)


def test_a_price_that_is_hard_to_believe_is_asked_for_in_minutes_and_rejected_in_the_end() -> None:
    bars = [slot for slot in SLOTS if slot != SLOTS[5]]
    row = None
    for days in (0, 0):
        shown = replace(doubting([], days=days), suspects=frozenset(SLOTS[5:6]))
        row = judge(SESSION, bars, shown, row)
    assert row is not None
    assert (row.state, row.unconfirmed) == (State.FINAL, 1)
    assert row.again_at == NOW + timedelta(minutes=10)
    shown = replace(doubting([], days=21), suspects=frozenset(SLOTS[5:6]))
    row = judge(SESSION, bars, shown, row)
    assert row.absences == {SLOTS[5]: Reason.REJECTED}


def test_a_bar_that_came_twice_is_marked_as_long_as_it_is_there() -> None:
    shown = replace(doubting([]), confirmed={SLOTS[5]: "far_from_neighbours"})
    row = judge(SESSION, SLOTS, shown, None)
    assert row.marks == {SLOTS[5]: "far_from_neighbours"}
    again = judge(SESSION, SLOTS, doubting([], days=1), row)
    assert again.marks == row.marks


def test_evidence_that_comes_without_an_answer_settles_and_changes_no_time_of_asking() -> None:
    bars = [slot for slot in SLOTS if slot not in NOON]
    row = judge(SESSION, bars, doubting(NOON), None)
    assert row.unconfirmed == 4
    later = NOW + timedelta(hours=1)
    halted = reconsider(SESSION, bars, row, Elsewhere(traded=frozenset(NOON)), later)
    assert set(halted.absences.values()) == {Reason.HALTED}
    assert (halted.again_at, halted.answers) == (row.again_at, row.answers)
    assert reconsider(SESSION, bars, row, Elsewhere(), later) == row
    seen = Elsewhere(traded=frozenset(NOON), contradicted=frozenset(NOON[:1]))
    assert reconsider(SESSION, bars, halted, seen, later).unconfirmed == 4


def test_live_bars_stay_where_history_has_confirmed_nothing() -> None:
    row = judge(SESSION, MORNING, doubting(AFTERNOON), None)
    assert kept_slots([row], xnys()) == AFTERNOON
    quiet = judge(SESSION, MORNING, doubting([]), None)
    assert kept_slots([quiet], xnys()) == []
    empty = judge(SESSION, [], doubting(SLOTS), judge(SESSION, [], doubting(SLOTS), None))
    assert kept_slots([empty], xnys()) == SLOTS


def test_a_session_beyond_the_plan_is_settled_without_bars() -> None:
    found = beyond_plan(SESSION, None, NOW)
    assert (found.state, found.reason, found.bars) == (State.FINAL, Reason.PLAN_CUT, 0)


def test_what_a_plan_refuses_is_asked_for_after_hours_and_then_once_in_weeks() -> None:
    first = beyond_plan(SESSION, None, NOW)
    assert first.again_at == NOW + timedelta(hours=4)
    # Within minutes it is the same witness.
    hasty = beyond_plan(SESSION, first, NOW + timedelta(minutes=5))
    assert hasty.again_at == first.again_at
    later = NOW + timedelta(hours=5)
    second = beyond_plan(SESSION, hasty, later)
    assert second.again_at == later + timedelta(days=28)
    assert beyond_plan(SESSION, second, later + WEEK * 4).again_at == later + WEEK * 8
    # A plan that was changed: what is lost then is in doubt from then on.
    at = later + WEEK * 4
    lost = replace(doubting(SLOTS), now=at)
    assert judge(SESSION, [], lost, second).again_at == at + timedelta(hours=4)


def test_bars_that_are_stored_stay_in_the_ledger_when_the_plan_moves_on() -> None:
    prior = judge(SESSION, SLOTS[:-2], evidence(SLOTS[-3]), None)
    assert prior.state is State.OPEN
    found = beyond_plan(SESSION, prior, NOW)
    assert (found.state, found.reason, found.bars, found.answers) == (State.FINAL, None, 24, 2)
    assert set(found.absences) == set(SLOTS[-2:])


@pytest.mark.parametrize(("days", "again"), [(0.5, 1), (1, 5), (6, 20), (20, 48), (30, 58)])
def test_a_refusal_is_no_answer_and_a_doubt_goes_on(days: float, again: float) -> None:
    prior = judge(SESSION, MORNING, doubting(AFTERNOON), None)
    row = beyond_plan(SESSION, prior, NOW + timedelta(days=days))
    assert row.again_at == NOW + timedelta(days=again)
    assert (row.doubted_at, row.unconfirmed, row.bars) == (NOW, 6, 20)
    # Before its time nothing changes; what is settled stays so.
    assert beyond_plan(SESSION, row, NOW).again_at == row.again_at
    whole = judge(SESSION, SLOTS, doubting([]), None)
    assert beyond_plan(SESSION, whole, NOW).again_at is None


def test_what_is_still_open_of_a_session_is_unproven_when_the_plan_moves_on() -> None:
    prior = judge(SESSION, SLOTS[:-2], evidence(SLOTS[-3]), None)
    assert prior.state is State.OPEN
    row = beyond_plan(SESSION, prior, NOW)
    assert (row.state, row.unconfirmed) == (State.FINAL, 2)
    assert row.again_at == NOW + timedelta(hours=4)
    later = beyond_plan(SESSION, row, NOW + timedelta(hours=4))
    assert later.again_at == NOW + timedelta(days=1)


@st.composite
def answers(draw: st.DrawFn) -> tuple[Session, list[tuple[set[datetime], Evidence]]]:
    """Return a session and what six answers showed, stored bars included."""
    session = _session(draw(st.sampled_from(DAYS)))
    slots = session.slot_starts()
    instants = st.one_of(
        st.none(), st.sampled_from([*slots, slots[0] - WEEK, session.closes + WEEK])
    )
    some = st.integers(0, 2 ** len(slots) - 1).map(
        lambda mask: frozenset(slot for at, slot in enumerate(slots) if mask >> at & 1)
    )
    stored: set[datetime] = set()
    heard = []
    for _ in range(ANSWERS_AT_MOST):
        stored = stored | draw(some)
        rejected = draw(st.lists(st.sampled_from(slots), max_size=3))
        shown = Evidence(
            NOW + timedelta(days=draw(st.floats(0, 40))),
            *(draw(instants) for _ in range(3)),
            rejected,
            draw(st.booleans()),
            unlikely=draw(some),
            suspects=draw(st.sets(st.sampled_from(slots), max_size=2)),
            elsewhere=Elsewhere(*(draw(some) for _ in range(3))),
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
        assert prior.unconfirmed <= prior.expected - prior.bars
        assert prior.again_at is None or prior.again_at > shown.now
        if prior.state is State.FINAL:
            assert prior.bars == prior.expected or prior.absences or prior.reason
        if prior.answers >= (ANSWERS_AT_MOST if shown.rejected else ANSWERS_REJECTED):
            assert prior.state is State.FINAL
    assert prior is not None
    assert prior.state is State.FINAL
    cut = beyond_plan(session, prior, NOW)
    assert (cut.reason is None) == bool(cut.bars)
