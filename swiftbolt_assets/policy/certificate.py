"""What a certificate states, and what has changed since.

Every quarter hour of every session of a window is a bar or has a reason; what is neither is found
here. A session's hash covers its stored bars of all timeframes, as canonical text, and the reasons
of the quarter hours without one. Beside it stand four bytes of each bar's own hash, so that a bar
which is deleted, altered or added later can be named, and the certificate needs nothing but itself.

What belongs here: pure accounting over rows of text. What does not: reading and keeping
(`resources/bars/certificates.py`), whether an absence is believed (`market/coverage.py`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from resources.providers.registry import HISTORY
from swiftbolt_assets.market.coverage import Reason
from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from swiftbolt_assets.market.sessions import Session

#: Names the form of a certificate; another form gets another name.
KIND = "swiftbolt certificate 1"
#: One letter a quarter hour: a bar, a reason, or neither.
BAR = "b"
UNKNOWN = "?"
LETTERS: Mapping[str, str] = {
    Reason.NO_TRADE: "n",
    Reason.HALTED: "h",
    Reason.NOT_LISTED: "l",
    Reason.DELISTED: "d",
    Reason.PLAN_CUT: "c",
    Reason.REJECTED: "r",
    Reason.UNCONFIRMED: "u",
    Reason.PROVIDER_EMPTY: "e",
    Reason.PROVIDER_ERROR: "x",
    Reason.NOT_FETCHED: "f",
}
_REASONS = {letter: str(reason) for reason, letter in LETTERS.items()}
#: What a quarter hour without a bar is when that proves nothing was traded.
PROVEN = frozenset({Reason.NO_TRADE, Reason.HALTED, Reason.NOT_LISTED})
_MARK_BYTES = 4
#: Digits in hexadecimal, and those of no bar: the chance that a bar has them is one in 2^32.
_MARK = 2 * _MARK_BYTES
_NO_MARK = "0" * _MARK


@dataclass(frozen=True, slots=True)
class StoredBar:
    """One stored row: its timeframe, start, provider, and all it holds as canonical text."""

    timeframe: Timeframe
    ts: datetime
    provider: str
    text: str


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What the ledger says of a session.

    Attributes:
        state: `final` when it is settled.
        reason: why it has no bar at all, None when it has one.
        absences: start of each quarter hour without a bar -> reason.
        provider: who answered, None when nobody was asked.
        request_id: the provider's id of the answer that settled it, or None.
        checked_at: when that was stored, None when nobody was asked.

    """

    state: str
    reason: str | None
    absences: Mapping[datetime, str]
    provider: str | None
    request_id: str | None
    checked_at: datetime | None


class SessionProof(msgspec.Struct, frozen=True):
    """One session of a certificate.

    Attributes:
        day: its New York date.
        bars: stored bars by timeframe.
        slots: a letter of `LETTERS` for each quarter hour, `b` for a bar.
        hash: SHA-256 of the bars and the slots, hexadecimal.
        marks: the first four bytes of each bar's hash, hexadecimal, zeros for no bar: the quarter
            hours', then the hours', then the four hours'.
        checked_at: when the ledger's row was stored: a later answer may change the bars.

    """

    day: date
    bars: dict[Timeframe, int]
    slots: str
    hash: str
    marks: str
    checked_at: datetime | None


class Certificate(msgspec.Struct, frozen=True):
    """That a symbol's window is complete, and what it holds; `letters` explains the slots.

    Attributes:
        absent: quarter hours without a bar by reason, of reasons that are proven.
        rejected: bars that were delivered and not believed, by rule.
        unconfirmed: quarter hours without a bar of which nobody else has said so.
        unproven: the others without a bar or a proven reason, by what is known: `rejected` ones
            may have traded, of `provider_empty`, `delisted` and `plan_cut` ones nobody has said
            anything.
        shares: of all quarter hours, which part is a `bar`, which `absent` with a reason that is
            proven, which `unconfirmed`, which `rejected`, and which `unserved` for want of any
            word; they add up to 1.

    """

    symbol: str
    first: date
    last: date
    sessions: int
    quarter_hours: int
    bars: dict[Timeframe, int]
    absent: dict[str, int]
    rejected: dict[str, int]
    providers: list[str]
    requests: list[str]
    simulated: bool
    content_hash: str
    days: list[SessionProof]
    issued_at: datetime
    unconfirmed: int = 0
    unproven: dict[str, int] = msgspec.field(default_factory=dict)
    shares: dict[str, float] = msgspec.field(default_factory=dict)
    letters: dict[str, str] = msgspec.field(default_factory=lambda: {BAR: "bar", **_REASONS})
    kind: str = KIND


@dataclass(frozen=True)
class Stock:
    """What is stored of a window, session by session, and what is wrong with it.

    Attributes:
        days: ascending.
        unsettled: dates that are not final yet -> their reason.
        problems: one line for each bar or quarter hour that cannot be accounted for.

    """

    days: list[SessionProof] = field(default_factory=list)
    unsettled: dict[date, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def take_stock(
    sessions: Sequence[Session], bars: Iterable[StoredBar], ledger: Mapping[date, LedgerRow]
) -> Stock:
    """Account for every quarter hour of some sessions.

    Args:
        sessions: ascending.
        bars: of their whole range, ascending by timeframe, start and provider.
        ledger: what it says of them.

    """
    stock = Stock()
    by_day: dict[date, list[StoredBar]] = {session.day: [] for session in sessions}
    ends = iter(sessions)
    session = None
    last: Timeframe | None = None
    for bar in bars:
        if bar.timeframe is not last:
            last, ends = bar.timeframe, iter(sessions)
            session = next(ends, None)
        while session is not None and bar.ts >= session.closes:
            session = next(ends, None)
        if session is None or _place(session, bar.timeframe, bar.ts) is None:
            stock.problems.append(f"{named(bar.timeframe, bar.ts)} lies outside its session")
        else:
            by_day[session.day].append(bar)
    for one in sessions:
        row = ledger.get(one.day)
        if row is None or row.state != "final":
            reason = row.reason if row is not None else None
            stock.unsettled[one.day] = str(reason or (row.state if row else Reason.NOT_FETCHED))
        stock.days.append(_account(one, by_day[one.day], row, stock.problems))
    return stock


def _account(
    session: Session, bars: Sequence[StoredBar], row: LedgerRow | None, problems: list[str]
) -> SessionProof:
    """Return a session's part of a certificate; what does not fit goes to `problems`."""
    present = {bar.ts: bar.provider for bar in bars if bar.timeframe is Timeframe.M15}
    letters = []
    for slot in session.slot_starts():
        reason = _reason(row, slot)
        # A live bar stands where nobody has confirmed that history has none: that is no proof.
        in_doubt = reason == Reason.UNCONFIRMED and present.get(slot) != HISTORY.name
        if slot not in present or in_doubt:
            letters.append(LETTERS.get(reason or "", UNKNOWN))
            if reason is None:
                problems.append(f"{named(Timeframe.M15, slot)} is neither a bar nor has a reason")
            continue
        letters.append(BAR)
        # Today's provider's bars stay where history has none.
        if reason is not None and present[slot] == HISTORY.name:
            problems.append(f"{named(Timeframe.M15, slot)} is a bar, the ledger says {reason}")
    slots = "".join(letters)
    text = "\n".join([f"{session.day} {slots}", *(bar.text for bar in bars)])
    counts = Counter(timeframe for timeframe, _ in {(bar.timeframe, bar.ts) for bar in bars})
    return SessionProof(
        day=session.day,
        bars={timeframe: counts[timeframe] for timeframe in Timeframe},
        slots=slots,
        hash=sha256(text.encode()).hexdigest(),
        marks=_marks(session, bars),
        checked_at=row.checked_at if row else None,
    )


def _reason(row: LedgerRow | None, slot: datetime) -> str | None:
    """Return why a quarter hour has no bar, None when the ledger expects one or knows nothing."""
    if row is None:
        return None
    return row.reason or row.absences.get(slot)


def _marks(session: Session, bars: Iterable[StoredBar]) -> str:
    texts: dict[tuple[Timeframe, datetime], str] = {}
    for bar in bars:
        key = (bar.timeframe, bar.ts)
        texts[key] = f"{texts[key]}\n{bar.text}" if key in texts else bar.text
    return "".join(
        sha256(texts[key].encode()).hexdigest()[:_MARK] if key in texts else _NO_MARK
        for key in _places(session)
    )


def _places(session: Session) -> list[tuple[Timeframe, datetime]]:
    """Return all bars that a session can have, in the order of its marks."""
    return [
        (timeframe, session.opens + n * timedelta(minutes=timeframe.minutes))
        for timeframe in Timeframe
        for n in range(session.bars_expected(timeframe.minutes))
    ]


def _place(session: Session, timeframe: Timeframe, ts: datetime) -> int | None:
    """Return which bar of a session starts at an instant, None when none does."""
    number, rest = divmod(ts - session.opens, timedelta(minutes=timeframe.minutes))
    return None if rest or number < 0 or ts >= session.closes else number


def content_hash(days: Iterable[SessionProof]) -> str:
    """Return the hash over all sessions, hexadecimal."""
    return sha256("".join(f"{day.day} {day.hash}\n" for day in days).encode()).hexdigest()


def absent(days: Iterable[SessionProof]) -> dict[str, int]:
    """Return the quarter hours without a bar by reason, those in doubt included."""
    counts = Counter("".join(day.slots for day in days))
    return {reason: counts[letter] for letter, reason in _REASONS.items() if counts[letter]}


def shares(absences: Mapping[str, int], quarter_hours: int) -> dict[str, float]:
    """Return which part of some quarter hours is a bar, proven absent, or what else.

    Args:
        absences: quarter hours without a bar by reason.
        quarter_hours: all of them.

    """
    without = sum(absences.values())
    proven = sum(count for reason, count in absences.items() if reason in PROVEN)
    doubted, rejected = (absences.get(why, 0) for why in (Reason.UNCONFIRMED, Reason.REJECTED))
    counts = {
        "bar": quarter_hours - without,
        "absent": proven,
        "unconfirmed": doubted,
        "rejected": rejected,
        "unserved": without - proven - doubted - rejected,
    }
    return {name: count / max(quarter_hours, 1) for name, count in counts.items()}


@dataclass(frozen=True)
class Changes:
    """What differs from a certificate.

    Attributes:
        bars: one line for each bar or reason that was changed behind the ledger's back, by day.
        revised: days that were judged anew since, because a provider has answered or the session is
            another one: their bars may differ.

    """

    bars: dict[date, list[str]]
    revised: list[date]


def changes(
    certificate: Certificate, days: Mapping[date, SessionProof], sessions: Mapping[date, Session]
) -> Changes:
    """Hold what is stored now against a certificate.

    Args:
        certificate: an earlier one.
        days: what is stored now, by date.
        sessions: the certificate's sessions, by date.

    """
    found: dict[date, list[str]] = {}
    revised = []
    for before in certificate.days:
        after = days.get(before.day)
        if after is None:
            # Its closure was announced later; the bars are kept aside.
            revised.append(before.day)
            continue
        if after.hash == before.hash:
            continue
        if after.checked_at != before.checked_at:
            revised.append(before.day)
        else:
            found[before.day] = _differences(before, after, sessions[before.day])
    return Changes(found, revised)


def _differences(before: SessionProof, after: SessionProof, session: Session) -> list[str]:
    lines = []
    for n, place in enumerate(_places(session)):
        part = slice(n * _MARK, (n + 1) * _MARK)
        was, now = before.marks[part], after.marks[part]
        if was != now:
            done = "added" if was == _NO_MARK else "deleted" if now == _NO_MARK else "altered"
            lines.append(f"{named(*place)} was {done}")
    for slot, was, now in zip(session.slot_starts(), before.slots, after.slots, strict=True):
        if was != now and BAR not in {was, now}:
            told = f"{_REASONS.get(was, was)} became {_REASONS.get(now, now)}"
            lines.append(f"{named(Timeframe.M15, slot)}: {told}")
    return lines or [f"the bars of {before.day} differ"]


def named(timeframe: Timeframe, ts: datetime) -> str:
    """Return a bar's name: timeframe and start in UTC."""
    return f"{timeframe} {ts.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
