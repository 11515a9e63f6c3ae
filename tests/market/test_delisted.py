"""Who trades no more: enough silent sessions in which others traded, or a list without it."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from swiftbolt_assets.market.coverage import Evidence, Reason, SessionCoverage, State, judge
from swiftbolt_assets.market.delisted import (
    LOOKED_BACK,
    SILENT,
    SILENT_UNLISTED,
    Silence,
    evidence,
    first_question,
    questions_a_day,
    witnessed,
)
from swiftbolt_assets.market.doubt import Elsewhere
from swiftbolt_assets.market.sessions import Session, xnys

TODAY = date(2026, 11, 20)
SESSIONS = xnys().between(date(2026, 6, 1), TODAY - timedelta(days=1))
DAYS = [session.day for session in SESSIONS]


def silence(sessions: int, *, left_list_on: date | None = None, bars: bool = True) -> Silence:
    """Return a symbol that has been silent for so many sessions."""
    last = DAYS[-sessions - 1] if bars else None
    return Silence(UUID(int=1), "GONE", last, DAYS[-sessions], DAYS[-sessions:], left_list_on)


def all_told(witnesses: int = 10) -> frozenset[date]:
    return witnessed(dict.fromkeys(DAYS, witnesses), witnesses)


def test_twenty_silent_sessions_in_which_others_traded_are_evidence_and_nineteen_are_none() -> None:
    assert evidence(silence(SILENT), all_told()) == (
        f"the last bar is of {DAYS[-21]}; none in 20 sessions in which others traded"
    )
    assert evidence(silence(SILENT - 1), all_told()) is None
    # A halt of a week.
    assert evidence(silence(5), all_told()) is None


def test_a_symbol_that_never_had_a_bar_is_told_as_such() -> None:
    why = evidence(silence(30, bars=False), all_told())
    assert why == "no bar is known; none in 30 sessions in which others traded"


@given(st.integers(1, 500), st.sets(st.sampled_from(DAYS[-LOOKED_BACK:])))
def test_where_nobody_traded_nobody_is_found_to_trade_no_more(
    witnesses: int, away: set[date]
) -> None:
    """The provider was away, for some days or all: its silence is no symbol's."""
    traders = {day: 0 if day in away else witnesses for day in DAYS[-LOOKED_BACK:]}
    told = witnessed(traders, witnesses)
    assert told.isdisjoint(away)
    silent = DAYS[-LOOKED_BACK:]
    found = evidence(Silence(UUID(int=1), "GONE", None, silent[0], silent), told)
    assert (found is not None) == (len(silent) - len(away) >= SILENT)


def test_three_others_must_have_traded_or_all_where_there_are_fewer() -> None:
    day = DAYS[-1]
    assert witnessed({day: 2}, 10) == frozenset()
    assert witnessed({day: 3}, 10) == {day}
    assert witnessed({day: 1}, 2) == frozenset()
    assert witnessed({day: 1}, 1) == {day}
    assert witnessed({day: 0}, 0) == frozenset()


def test_a_list_that_holds_it_no_more_needs_five_silent_sessions_and_no_later_bar() -> None:
    left = DAYS[-1]
    why = evidence(silence(SILENT_UNLISTED, left_list_on=left), all_told())
    assert why == f"the provider's list of {left} holds it no more; the last bar is of {DAYS[-6]}"
    assert evidence(silence(SILENT_UNLISTED - 1, left_list_on=left), all_told()) is None
    traded_after = silence(SILENT_UNLISTED, left_list_on=DAYS[-9])
    assert evidence(traded_after, all_told()) is None


@given(st.integers(1, 3000))
def test_questions_are_spread_over_a_month_and_500_take_17_a_day(symbols: int) -> None:
    a_day = questions_a_day(symbols)
    days = [first_question(TODAY, number) for number in range(symbols)]
    assert min(days) > TODAY
    assert max(days) <= TODAY + timedelta(days=30)
    assert max(days.count(day) for day in set(days)) <= a_day
    assert a_day * 30 >= symbols > (a_day - 1) * 30
    assert questions_a_day(500) == 17


def dead(session: Session, answers: int = 0) -> SessionCoverage:
    return SessionCoverage(
        session.day, State.FINAL, Reason.DELISTED, session.slots, 0, answers, again_at=session.opens
    )


def answer(session: Session, **told: object) -> Evidence:
    known = {"last_bar": None, "earliest_known": None, "latest_known": None, "rejected": ()}
    return Evidence(now=session.closes, **{**known, "elsewhere": Elsewhere(), **told})  # type: ignore[arg-type]


def test_one_empty_answer_settles_a_delisted_session_for_a_month() -> None:
    session, before = SESSIONS[-1], SESSIONS[-40]
    row = judge(session, (), answer(session, latest_known=before.closes), dead(session))
    assert (row.state, row.reason, row.answers) == (State.FINAL, Reason.DELISTED, 1)
    assert row.is_settled(session.closes)


def test_a_bar_after_a_delisted_session_opens_it_again() -> None:
    """What rested on the silence was nobody's word."""
    session, later = SESSIONS[-3], SESSIONS[-1]
    told = answer(session, last_bar=later.opens, latest_known=later.opens)
    row = judge(session, (), told, dead(session))
    assert (row.state, row.answers) == (State.OPEN, 1)
    assert row.reason is not Reason.DELISTED


def test_a_bar_that_is_not_believed_speaks_against_the_silence() -> None:
    session = SESSIONS[-1]
    for name in ("rejected", "suspects"):
        told = answer(session, **{name: frozenset([session.opens])})
        assert judge(session, (), told, dead(session)).reason is not Reason.DELISTED
