"""Is a session complete, and if not, why not: the judgement behind the coverage ledger.

A session is `final` when each of its quarter hours has a bar or a confirmed reason to have none;
it is `open` while something must be asked again, `provisional` while it is still trading.

One whole answer that holds a later bar proves an absence: Polygon leaves out quarter hours without
an eligible trade. It is "no trade", or "halted" where the symbol trades too often to fall silent.
Weaker evidence must repeat itself: quarter hours after an answer's last bar and sessions without
any bar need a second answer; an answer without a single bar looks just like a fault, so what it
alone says needs a third. So does an absence where an earlier answer had a bar, be it a bad one. A
rejected bar is asked for again, three answers in all, the last two of which rejected it, or six.

What belongs here: pure judgement over instants. What does not: where the ledger lives
(`resources/ledger.py`), what is asked next (`plan.py`), and what makes a silence a halt
(`halts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from swiftbolt_assets.market.halts import was_busy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date, datetime

    from swiftbolt_assets.market.sessions import Session

#: How many answers must agree before an absence is believed.
ANSWERS_AFTER_LAST_BAR = 2
ANSWERS_EMPTY_SESSION = 2
ANSWERS_EMPTY_ANSWER = 3
ANSWERS_REJECTED = 3
#: After so many answers a session is settled whatever they said: bars that are rejected by turns
#: would be asked for without end.
ANSWERS_AT_MOST = 6
#: A provider may be late with yesterday: a session without a bar, of a symbol that traded in the
#: one before, is asked for again after so long each; then it stays as it is.
LATE_AFTER = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=12), timedelta(hours=24))


class State(StrEnum):
    """How far a session has come."""

    OPEN = "open"
    PROVISIONAL = "provisional"
    FINAL = "final"


class Reason(StrEnum):
    """Why a quarter hour, or a whole session, has no bar."""

    NO_TRADE = "no_trade"
    HALTED = "halted"
    NOT_LISTED = "not_listed"
    PLAN_CUT = "plan_cut"
    REJECTED = "rejected"
    PROVIDER_EMPTY = "provider_empty"
    PROVIDER_ERROR = "provider_error"
    NOT_FETCHED = "not_fetched"


#: What one word says of a session without a bar whose quarter hours differ: the gravest.
_EMPTY_REASONS = (
    Reason.REJECTED,
    Reason.PROVIDER_EMPTY,
    Reason.HALTED,
    Reason.NO_TRADE,
    Reason.NOT_LISTED,
)


@dataclass(frozen=True, slots=True)
class SessionCoverage:
    """What the ledger knows of one symbol's session.

    Attributes:
        day: the session's New York date.
        state: whether it is settled.
        reason: why there is no bar at all; None when there is one.
        expected: its quarter hours, 26 or 14.
        bars: stored 15-minute bars.
        answers: whole answers that covered it so far.
        absences: start of each quarter hour without a bar -> reason; empty when `bars` is 0.
        again_in: after what time a settled one is asked for once more; None for never.

    """

    day: date
    state: State
    reason: Reason | None
    expected: int
    bars: int
    answers: int
    absences: Mapping[datetime, Reason] = field(default_factory=dict)
    again_in: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one answer shows about the sessions that it was asked for.

    Attributes:
        last_bar: start of its last good bar, of any hour; None when it has no bar.
        earliest_known: start of the symbol's earliest bar known, stored ones included.
        latest_known: start of the symbol's latest bar known, stored ones included.
        rejected: starts of the quarter hours whose bars were rejected (`spoilt_slots`).
        doubtful: whether it held bars that belong elsewhere; then it proves no absence alone.
        late: the date with which the provider may just be late; None for none.
        paces: trades of the median quarter hour by session date (`halts.paces`).

    """

    last_bar: datetime | None
    earliest_known: datetime | None
    latest_known: datetime | None
    rejected: Collection[datetime]
    doubtful: bool = False
    late: date | None = None
    paces: Mapping[date, float] = field(default_factory=dict)


def judge(
    session: Session,
    bars: Collection[datetime],
    evidence: Evidence,
    prior: SessionCoverage | None,
) -> SessionCoverage:
    """Return a past session's coverage after one whole answer.

    Args:
        session: a session that the answer was asked for and that has ended.
        bars: starts of its good bars, stored ones included.
        evidence: what the answer as a whole shows.
        prior: what the ledger knew before, None when it was never asked for.

    """
    answers = (prior.answers if prior else 0) + 1
    expected = session.slots
    if len(bars) == expected:
        return SessionCoverage(session.day, State.FINAL, None, expected, expected, answers)
    absences: dict[datetime, Reason] = {}
    settled = True
    is_busy = was_busy(session.day, evidence.paces)
    for slot in session.slot_starts():
        if slot not in bars:
            reason, believed_after = _absence(slot, evidence, prior, traded=bool(bars))
            if reason is Reason.NO_TRADE and is_busy and _is_between_bars(slot, evidence):
                reason = Reason.HALTED
            absences[slot] = reason
            settled = settled and answers >= believed_after
    state = State.FINAL if settled else State.OPEN
    if bars:
        return SessionCoverage(session.day, state, None, expected, len(bars), answers, absences)
    reason = next(reason for reason in _EMPTY_REASONS if reason in absences.values())
    empty = SessionCoverage(session.day, state, reason, expected, 0, answers)
    if settled and reason is Reason.PROVIDER_EMPTY and session.day == evidence.late:
        asked_later = answers - ANSWERS_EMPTY_SESSION
        return replace(empty, again_in=dict(enumerate(LATE_AFTER)).get(asked_later))
    return empty


def _absence(
    slot: datetime, evidence: Evidence, prior: SessionCoverage | None, *, traded: bool
) -> tuple[Reason, int]:
    """Return why a quarter hour has no bar, and after how many answers that is believed."""
    rejected_before = prior is not None and Reason.REJECTED in {
        prior.reason,
        prior.absences.get(slot),
    }
    if slot in evidence.rejected:
        return Reason.REJECTED, ANSWERS_REJECTED if rejected_before else ANSWERS_AT_MOST
    reason = Reason.NO_TRADE if traded else _empty_reason(slot, evidence)
    if rejected_before:
        return reason, ANSWERS_REJECTED
    if not traded:
        return reason, ANSWERS_EMPTY_SESSION if evidence.last_bar else ANSWERS_EMPTY_ANSWER
    proven = evidence.last_bar is not None and slot < evidence.last_bar and not evidence.doubtful
    return reason, 1 if proven else ANSWERS_AFTER_LAST_BAR


def _empty_reason(slot: datetime, evidence: Evidence) -> Reason:
    """Return why a session has no bar: before, after or between the bars that are known."""
    if evidence.earliest_known is None or evidence.latest_known is None:
        return Reason.PROVIDER_EMPTY
    if slot < evidence.earliest_known:
        return Reason.NOT_LISTED
    return Reason.NO_TRADE if slot < evidence.latest_known else Reason.PROVIDER_EMPTY


def _is_between_bars(slot: datetime, evidence: Evidence) -> bool:
    """Return whether bars are known on both sides: before its first trade nothing is halted."""
    earliest, latest = evidence.earliest_known, evidence.latest_known
    return earliest is not None and latest is not None and earliest < slot < latest


def beyond_plan(session: Session, prior: SessionCoverage | None) -> SessionCoverage:
    """Return the coverage of a session that the provider's plan does not reach.

    What was stored while the plan reached it stays.
    """
    answers = (prior.answers if prior else 0) + 1
    if prior is not None and prior.bars:
        return replace(prior, state=State.FINAL, answers=answers)
    return SessionCoverage(session.day, State.FINAL, Reason.PLAN_CUT, session.slots, 0, answers)
