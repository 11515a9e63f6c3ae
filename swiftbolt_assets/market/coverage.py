"""Is a session complete, and if not, why not: the judgement behind the coverage ledger.

A session is `final` when each of its quarter hours has a bar or a reason to have none; it is `open`
while something must be asked again at once, `provisional` while it is still trading.

One whole answer that holds a later bar shows an absence: quarter hours without an eligible trade
are left out. Weaker evidence must repeat itself: quarter hours after an answer's last bar and
sessions without any bar need a second answer; an answer without a single bar looks just like a
fault, so what it alone says needs a third. So does an absence where an earlier answer had a bar, be
it a bad one. A rejected bar is asked for again, three answers in all, the last two of which
rejected it, or six.

That makes an absence "no trade" where the symbol is silent now and then. Where it is unlikely for
the symbol (`doubt.py`), the same witness asked twice in a second is one witness: it stays
`unconfirmed`, which is final for whoever waits and not for a certificate, and is asked for again
after hours and days (`again_at`, on the market clock), as rejected bars are. After the last bar of
a symbol that trades no more (`delisted.py`) it is `delisted`, asked for or not.

What belongs here: pure judgement over instants. What does not: where the ledger lives
(`resources/bars/ledger.py`), what is asked next (`policy/request_windows.py`), and what is likely
(`doubt.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from swiftbolt_assets.market.doubt import (
    LADDER,
    LATE_LADDER,
    LISTING_LADDER,
    PLAN_AGAIN,
    PLAN_LADDER,
    SUSPECT_LADDER,
    Elsewhere,
    is_before,
    next_ask,
    weigh,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime, timedelta

    from swiftbolt_assets.market.sessions import Calendar, Session

#: How many answers must agree before an absence is believed.
ANSWERS_AFTER_LAST_BAR = 2
ANSWERS_EMPTY_SESSION = 2
ANSWERS_EMPTY_ANSWER = 3
ANSWERS_REJECTED = 3
ANSWERS_SUSPECT = 2
#: After so many answers a session is settled whatever they said: bars that are rejected by turns
#: would be asked for without end.
ANSWERS_AT_MOST = 6


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
    DELISTED = "delisted"
    PLAN_CUT = "plan_cut"
    REJECTED = "rejected"
    UNCONFIRMED = "unconfirmed"
    PROVIDER_EMPTY = "provider_empty"
    PROVIDER_ERROR = "provider_error"
    NOT_FETCHED = "not_fetched"


#: What one word says of a session without a bar whose quarter hours differ: the gravest.
_EMPTY_REASONS = (
    Reason.REJECTED,
    Reason.UNCONFIRMED,
    Reason.PROVIDER_EMPTY,
    Reason.HALTED,
    Reason.NO_TRADE,
    Reason.NOT_LISTED,
    Reason.DELISTED,
)

#: Reasons that do not say that nothing was traded.
_NOT_KNOWN = (
    Reason.UNCONFIRMED,
    Reason.REJECTED,
    Reason.PROVIDER_EMPTY,
    Reason.PLAN_CUT,
    Reason.DELISTED,
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
        again_at: when a settled one is asked for once more, on the market clock; None for never.
        doubted_at: since when something of it is in doubt, on the market clock; None without.
        witness: starts of another provider's bars of it -> shares; None when it was not asked.
        marks: start of each stored bar that was hard to believe until it came twice -> the rule.

    """

    day: date
    state: State
    reason: Reason | None
    expected: int
    bars: int
    answers: int
    absences: Mapping[datetime, Reason] = field(default_factory=dict)
    again_at: datetime | None = None
    doubted_at: datetime | None = None
    witness: Mapping[datetime, float] | None = None
    marks: Mapping[datetime, str] = field(default_factory=dict)

    @property
    def unconfirmed(self) -> int:
        """Return how many quarter hours without a bar are still in doubt."""
        if not self.bars:
            return self.expected if self.reason is Reason.UNCONFIRMED else 0
        return sum(why is Reason.UNCONFIRMED for why in self.absences.values())

    def is_settled(self, now: datetime) -> bool:
        """Return whether nothing of it is to be asked at an instant of the market clock."""
        return self.state is State.FINAL and (self.again_at is None or self.again_at > now)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one answer shows about the sessions that it was asked for.

    Attributes:
        now: when it came, on the market clock.
        last_bar: start of its last good bar, of any hour; None when it has no bar.
        earliest_known: start of the symbol's earliest bar known, stored ones included.
        latest_known: start of the symbol's latest bar known, stored ones included.
        rejected: starts of the quarter hours whose bars were rejected (`spoilt_slots`).
        doubtful: whether it held bars that belong elsewhere; then it proves no absence alone.
        late: the date with which the provider may just be late; None for none.
        unlikely: quarter hours whose absence is unlikely for the symbol (`doubt.unlikely`).
        suspects: quarter hours whose bars are far from their neighbours and came once.
        confirmed: quarter hours whose bars were so and came again, with the rule.
        kept: quarter hours of which only an answer can tell more.
        delivered: starts of its good bars in regular hours.
        elsewhere: what others than this provider know of quarter hours.

    """

    now: datetime
    last_bar: datetime | None
    earliest_known: datetime | None
    latest_known: datetime | None
    rejected: Collection[datetime]
    doubtful: bool = False
    late: date | None = None
    unlikely: Collection[datetime] = frozenset()
    suspects: Collection[datetime] = frozenset()
    confirmed: Mapping[datetime, str] = field(default_factory=dict)
    delivered: Collection[datetime] = frozenset()
    kept: Collection[datetime] = frozenset()
    elsewhere: Elsewhere = field(default_factory=Elsewhere)


def judge(
    session: Session,
    bars: Collection[datetime],
    evidence: Evidence,
    prior: SessionCoverage | None,
) -> SessionCoverage:
    """Return a past session's coverage after one whole answer.

    What was settled stays so: a session that is asked for once more is never opened again. One that
    was only because the symbol trades no more stays so until a bar comes.

    Args:
        session: a session that the answer was asked for and that has ended.
        bars: starts of its good bars, stored ones included.
        evidence: what the answer as a whole shows.
        prior: what the ledger knew before, None when it was never asked for.

    """
    answers = (prior.answers if prior else 0) + 1
    if prior is not None and prior.reason is Reason.DELISTED:
        if not bars and _is_still_silent(session, evidence):
            return replace(prior, answers=answers, again_at=None)
        # It rested on the symbol's silence, which is over: nothing was settled.
        prior, answers = None, 1
    kept = {} if prior is None else prior.marks
    marks = {slot: rule for slot, rule in kept.items() if slot not in evidence.delivered}
    marks |= evidence.confirmed
    found = SessionCoverage(
        session.day,
        State.FINAL,
        None,
        session.slots,
        len(bars),
        answers,
        witness=prior.witness if prior else None,
        marks={slot: rule for slot, rule in marks.items() if slot in bars},
    )
    absences: dict[datetime, Reason] = {}
    settled = True
    for slot in session.slot_starts():
        if slot not in bars:
            absences[slot], believed_after = _absence(slot, evidence, prior, traded=bool(bars))
            settled = settled and answers >= believed_after
    if not settled and not (prior and prior.state is State.FINAL):
        found = replace(found, state=State.OPEN)
    since = _since(prior, evidence.now)
    is_over = next_ask(since, evidence.now) is None
    return _asked_again(session, bars, absences, evidence, found, since, is_over=is_over)


def reconsider(
    session: Session,
    bars: Collection[datetime],
    row: SessionCoverage,
    elsewhere: Elsewhere,
    now: datetime,
    earliest_known: datetime | None = None,
) -> SessionCoverage:
    """Return a settled session's coverage in the light of what others know; no answer was asked.

    A quarter hour whose bar came and was not believed is no silence, and waits for an answer.

    Args:
        session: which.
        bars: starts of its stored bars.
        row: what the ledger knows of it.
        elsewhere: what others know.
        now: on the market clock.
        earliest_known: start of the symbol's earliest bar known, None without any.

    """
    slots = row.absences or dict.fromkeys(session.slot_starts(), row.reason or Reason.NO_TRADE)
    # A halt was inferred from what was known then.
    absences: dict[datetime, Reason] = {
        slot: Reason.UNCONFIRMED if why is Reason.HALTED else why
        for slot, why in slots.items()
        if slot not in bars
    }
    evidence = Evidence(
        now, None, earliest_known, None, (), kept=elsewhere.delivered, elsewhere=elsewhere
    )
    # What only time was to tell is over if an answer has come at its end.
    is_over = row.doubted_at is not None and row.again_at is None
    since = row.doubted_at or now
    found = _asked_again(session, bars, absences, evidence, row, since, is_over=is_over)
    # Nobody was asked: the next time stays where it was.
    return replace(found, again_at=row.again_at) if found.doubted_at else found


def _since(prior: SessionCoverage | None, now: datetime) -> datetime:
    """Return since when what an answer leaves in doubt is in doubt; a plan's refusal was none."""
    known = prior is not None and prior.reason is not Reason.PLAN_CUT
    return (prior.doubted_at if prior is not None and known else None) or now


def _asked_again(
    session: Session,
    bars: Collection[datetime],
    absences: dict[datetime, Reason],
    evidence: Evidence,
    found: SessionCoverage,
    since: datetime,
    *,
    is_over: bool,
) -> SessionCoverage:
    """Weigh what is in doubt, and say when the session is asked for once more."""
    if is_over:
        suspects = (slot for slot in evidence.suspects if slot in absences)
        absences |= dict.fromkeys(suspects, Reason.REJECTED)
    doubted = [
        slot
        for slot, reason in absences.items()
        if reason is Reason.UNCONFIRMED
        and slot not in evidence.suspects
        and slot not in evidence.kept
    ]
    weighed = weigh(session, bars, doubted, evidence.elsewhere, is_over=is_over)
    unlisted = not bars and is_before(session, evidence.earliest_known)
    halted = frozenset() if unlisted else weighed.halted
    empty = Reason.NOT_LISTED if unlisted else Reason.PROVIDER_EMPTY
    silent = Reason.NO_TRADE if bars else empty
    absences |= dict.fromkeys(weighed.no_trade | weighed.halted, silent)
    absences |= dict.fromkeys(halted, Reason.HALTED)
    found = replace(found, absences=absences if bars else {})
    if not bars:
        reason = next(reason for reason in _EMPTY_REASONS if reason in absences.values())
        found = replace(found, reason=reason)
    late = session.day == evidence.late and not bars
    # A halt is inferred: it is asked for again as well, unless another provider says the same.
    inferred = any(slot not in evidence.elsewhere.agreed for slot in halted)
    heals = inferred or not {Reason.UNCONFIRMED, Reason.REJECTED}.isdisjoint(absences.values())
    # What was hard to believe may be corrected yet, though it came twice.
    heals = heals or bool(found.marks)
    if not heals and not (late and found.reason is Reason.PROVIDER_EMPTY):
        return replace(found, again_at=None, doubted_at=None)
    hasty = any(slot in evidence.suspects for slot in absences)
    calm = LATE_LADDER if late else LISTING_LADDER if unlisted else LADDER
    ladder = SUSPECT_LADDER if hasty else calm
    again = next_ask(since, evidence.now, ladder) if found.state is State.FINAL else None
    return replace(found, again_at=again, doubted_at=since)


def _is_still_silent(session: Session, evidence: Evidence) -> bool:
    """Return whether an answer without a bar of a session tells of none after it, either."""
    latest = evidence.latest_known
    delivered = {*evidence.rejected, *evidence.suspects}
    return (latest is None or latest <= session.opens) and delivered.isdisjoint(
        session.slot_starts()
    )


def _absence(
    slot: datetime, evidence: Evidence, prior: SessionCoverage | None, *, traded: bool
) -> tuple[Reason, int]:
    """Return why a quarter hour has no bar, and after how many answers that is believed."""
    if slot in evidence.suspects:
        return Reason.UNCONFIRMED, ANSWERS_SUSPECT
    rejected_before = prior is not None and Reason.REJECTED in {
        prior.reason,
        prior.absences.get(slot),
    }
    if slot in evidence.rejected:
        return Reason.REJECTED, ANSWERS_REJECTED if rejected_before else ANSWERS_AT_MOST
    reason = Reason.NO_TRADE if traded else _empty_reason(slot, evidence)
    if slot in evidence.unlikely:
        reason = Reason.UNCONFIRMED
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


def beyond_plan(session: Session, prior: SessionCoverage | None, now: datetime) -> SessionCoverage:
    """Return the coverage of a session that the provider says its plan does not reach.

    One refusal may be of a bad hour: it is asked for again after hours. One that stays is asked for
    again after weeks, since a plan may be changed. What was stored while it reached so far stays,
    and so does what is in doubt of it: a refusal is no answer.
    """
    answers = (prior.answers if prior else 0) + 1
    if prior is not None and prior.bars:
        return _still_in_doubt(replace(prior, answers=answers), now)
    known = prior is not None and prior.reason is Reason.PLAN_CUT
    since = (prior.doubted_at if prior is not None and known else None) or now
    again = next_ask(since, now, PLAN_LADDER) or now + PLAN_AGAIN
    return SessionCoverage(
        session.day,
        State.FINAL,
        Reason.PLAN_CUT,
        session.slots,
        0,
        answers,
        again_at=again,
        doubted_at=since,
    )


def _still_in_doubt(row: SessionCoverage, now: datetime) -> SessionCoverage:
    """Return a row with bars that no answer came for: open absences are unproven, doubts go on."""
    ladder: Sequence[timedelta] = LADDER
    if row.state is State.OPEN:
        absences = {
            slot: Reason.UNCONFIRMED if why is Reason.NO_TRADE else why
            for slot, why in row.absences.items()
        }
        row = replace(row, state=State.FINAL, absences=absences, doubted_at=row.doubted_at or now)
        ladder = PLAN_LADDER
    elif row.again_at is None or row.again_at > now:
        return row
    again = next_ask(row.doubted_at or now, now, ladder) or now + PLAN_AGAIN
    return replace(row, again_at=again)


def kept_slots(rows: Iterable[SessionCoverage], calendar: Calendar) -> list[datetime]:
    """Return the quarter hours without a bar of which nobody knows that they have none."""
    kept = []
    for row in rows:
        session = calendar.session(row.day)
        if row.bars:
            kept += [slot for slot, why in row.absences.items() if why in _NOT_KNOWN]
        elif session is not None and row.reason in _NOT_KNOWN:
            kept += session.slot_starts()
    return sorted(kept)
