"""What one answer is held against, and what it shows: the evidence that a fill judges by.

An answer's bars are held against the stored ones of the same and the neighbouring sessions; those
that contradict them as a whole, or are far from all others, wait until they come again. What is
absent is held against the symbol's own density and against what others know.

What belongs here: gathering. What does not: the judgements themselves (`market/`), and the order of
asking, storing and asking again (`filler.py`). No Dagster here.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from resources.bars.ledger import Known, Suspect
from resources.bars.splits import SplitBook
from resources.bars.witnesses import Witnesses
from swiftbolt_assets.clock import new_york_date
from swiftbolt_assets.market.bars import empty_bars
from swiftbolt_assets.market.by_session import newest_wins, of_sessions
from swiftbolt_assets.market.coverage import Evidence, Reason
from swiftbolt_assets.market.doubt import (
    HALF_YEAR_REACH,
    NEIGHBOURS_REACH,
    doubted_slots,
    is_before,
    pattern,
)
from swiftbolt_assets.market.outliers import FAR_FROM_NEIGHBOURS, agrees, far
from swiftbolt_assets.market.overlap import (
    CONTRADICTED,
    CONTRADICTS_STORED,
    SAME,
    WAITING,
    as_suspects,
    contradicting,
)
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import (
    Verdict,
    belong_elsewhere,
    spoilt_slots,
    without_time,
)
from swiftbolt_assets.policy.finalization import late_day

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime

    from resources.bars.ledger import Ledger
    from resources.bars.store import BarStore
    from swiftbolt_assets.filling.target import Target
    from swiftbolt_assets.market.coverage import SessionCoverage
    from swiftbolt_assets.market.doubt import Pattern
    from swiftbolt_assets.market.sessions import Calendar, Session

#: So many calendar days hold the sessions beside one.
BESIDE_REACH = timedelta(days=5)
#: Two answers of one second are one.
ANOTHER_SECOND_S = 2.0
#: When more than this share of a session's contradicting bars came before, all are believed.
_CAME_AGAIN = 0.5


@dataclass
class Fill:
    """What one fill works with; the ledger's rows follow each answer.

    Attributes:
        target: whose sessions.
        now: an instant of the market clock.
        ledger: what is known of the sessions around.
        since: the first date of which it is.
        wanted_since: the first date of the symbol's window.
        began: when it began, of the process's clock.

    """

    target: Target
    now: datetime
    ledger: dict[date, SessionCoverage]
    since: date
    wanted_since: date
    began: float = field(default_factory=time.monotonic)

    def is_settled(self, session: Session) -> bool:
        """Return whether nothing of a session is to be asked."""
        row = self.ledger.get(session.day)
        return row is not None and row.is_settled(self.now)

    def is_empty(self, session: Session) -> bool:
        """Return whether a session was asked for and has no bar."""
        row = self.ledger.get(session.day)
        return row is not None and row.answers > 0 and not row.bars

    def refused(self, sessions: Iterable[Session]) -> frozenset[date]:
        """Return the dates of sessions that the plan did not reach."""
        rows = (self.ledger.get(session.day) for session in sessions)
        return frozenset(row.day for row in rows if row and row.reason is Reason.PLAN_CUT)

    def changes(self, session: Session, fresh: pl.DataFrame, stored: pl.DataFrame) -> bool:
        """Return whether an answer says something new of a session that it was not asked for.

        Silence about one that the plan did not reach is none.
        """
        if not self.is_settled(session) and not self.refused([session]):
            return True
        delivered = of_sessions(fresh, [session])
        known = of_sessions(stored, [session])
        new = delivered.join(known, on=delivered.columns, how="anti", nulls_equal=True)
        return not new.is_empty()


@dataclass(frozen=True)
class Held:
    """What is left of an answer's bars after they were held against others.

    Attributes:
        verdict: good bars, and rejected ones with those that wait to come again.
        marks: start of each bar that is stored and was hard to believe -> the rule.
        contested: sessions that the answer contradicts as a whole -> the starts of the stored bars
            that it has otherwise.

    """

    verdict: Verdict
    marks: Mapping[datetime, str]
    contested: Mapping[date, Collection[datetime]]


class EvidenceBook:
    """Gathers what an answer is judged by; reads only."""

    def __init__(self, provider: str, store: BarStore, ledger: Ledger, calendar: Calendar) -> None:
        self._provider = provider
        self._store = store
        self._ledger = ledger
        self._calendar = calendar
        self._witnesses = Witnesses(ledger.database)

    def stored_near(self, fill: Fill, reached: Sequence[Session]) -> pl.DataFrame:
        """Return the bars that earlier answers left in sessions of an answer and beside them."""
        near = self._near(reached)
        days = [s for s in near if s.day in fill.ledger and fill.ledger[s.day].bars]
        return of_sessions(self.bars(fill.target, days, self._provider), days)

    def bars(self, target: Target, days: Sequence[Session], provider: str) -> pl.DataFrame:
        """Return a provider's stored 15-minute bars from the first to the last of some sessions."""
        if not days:
            return empty_bars()
        return self._store.read(
            target.symbol_id, Timeframe.M15, days[0].opens, days[-1].closes, provider=provider
        )

    def held(
        self, fill: Fill, reached: Sequence[Session], verdict: Verdict, stored: pl.DataFrame
    ) -> Held:
        """Take out bars that contradict what is stored, or are far, but for those that came before.

        Args:
            fill: the fill.
            reached: sessions that the answer speaks of, ascending.
            verdict: its bars.
            stored: those known near them.

        """
        if not reached or verdict.good.is_empty():
            return Held(verdict, {}, {})
        # All that it holds near them tells, be it stored or not.
        near = self._near(reached)
        fresh = of_sessions(verdict.good, near)
        marks: dict[datetime, str] = {}
        contested: Mapping[date, Collection[datetime]] = {}
        if reasons := contradicting(fresh, stored, near):
            waiting = as_suspects(fresh, stored, reached, reasons)
            waiting, marks = self._come_again_as_a_whole(fill, waiting, reached)
            verdict = _without(verdict, waiting)
            contested = _contested(fresh, stored, waiting, [s for s in reached if s.day in reasons])
            marks |= {at: CONTRADICTED for starts in contested.values() for at in starts}
        suspects = self._far(fill, reached, verdict, stored)
        if not suspects.is_empty():
            came = self._came_before(fill, suspects, ANOTHER_SECOND_S)
            marks |= dict.fromkeys(came, FAR_FROM_NEIGHBOURS)
            verdict = _without(verdict, suspects.filter(~pl.col("ts").is_in(list(came))))
        return Held(verdict, marks, contested)

    def _far(
        self, fill: Fill, reached: Sequence[Session], verdict: Verdict, stored: pl.DataFrame
    ) -> pl.DataFrame:
        """Return an answer's bars that are far from their neighbours, stored ones included."""
        near = self._near(reached)
        around = newest_wins(of_sessions(verdict.good, near), stored)
        suspects = far(around, near)
        if not suspects.is_empty():
            # Only now: a split explains it, and nearly no reply has one.
            splits = SplitBook(self._ledger.database).of(fill.target.symbol_id)
            suspects = far(around, near, splits)
        return suspects.filter(pl.col("ts").is_in(verdict.good["ts"].to_list()))

    def _come_again_as_a_whole(
        self, fill: Fill, waiting: pl.DataFrame, reached: Sequence[Session]
    ) -> tuple[pl.DataFrame, dict[datetime, str]]:
        """Return the bars that wait on, and the rule of those of sessions that came again.

        What contradicts stored bars needs another fill: a provider's bad minute outlasts a second.
        """
        least_s = max(ANOTHER_SECOND_S, time.monotonic() - fill.began)
        came = self._came_before(fill, waiting, least_s)
        again: set[datetime] = set()
        for session in reached:
            starts = of_sessions(waiting, [session])["ts"].to_list()
            if sum(at in came for at in starts) > _CAME_AGAIN * len(starts):
                again |= set(starts)
        left = waiting.filter(~pl.col("ts").is_in(list(again)))
        return left, dict.fromkeys(sorted(again), CONTRADICTS_STORED)

    def _came_before(
        self, fill: Fill, suspects: pl.DataFrame, least_s: float
    ) -> frozenset[datetime]:
        """Return the starts of bars that an answer had, too, so many seconds ago at least."""
        if suspects.is_empty():
            return frozenset()
        earlier: dict[datetime, list[Suspect]] = {}
        for one in self._ledger.suspects(fill.target.symbol_id, suspects["ts"].to_list()):
            if one.age_s >= least_s:
                earlier.setdefault(one.ts, []).append(one)
        return frozenset(
            row["ts"]
            for row in suspects.iter_rows(named=True)
            if any(
                agrees(json.loads(one.bar), json.loads(row["bar"]))
                for one in earlier.get(row["ts"], ())
            )
        )

    def live(
        self, target: Target, reached: Sequence[Session], kept: Collection[datetime], provider: str
    ) -> pl.DataFrame | None:
        """Return the live provider's bars that stay because nobody has confirmed an absence."""
        if not kept:
            return None
        days = [s for s in reached if any(s.opens <= at < s.closes for at in kept)]
        return self.bars(target, days, provider).filter(pl.col("ts").is_in(list(kept)))

    def of(
        self,
        fill: Fill,
        held: Held,
        reached: Sequence[Session],
        starts: Mapping[date, Collection[datetime]],
    ) -> Evidence:
        """Return what an answer shows of its sessions.

        Args:
            fill: the fill.
            held: the answer's bars.
            reached: the sessions that are judged, ascending.
            starts: by date, the starts of their bars, stored ones included.

        """
        verdict = held.verdict
        missing = {
            s: {slot for slot in s.slot_starts() if slot not in starts[s.day]}
            for s in reached
            if len(starts[s.day]) < s.slots
        }
        # Only a session without any bar is judged by what is known of others.
        some_empty = not all(starts.values())
        known = self._ledger.known(fill.target.symbol_id) if some_empty else Known(None, None)
        ends: list[datetime] = (
            [] if verdict.good.is_empty() else [verdict.good["ts"][0], verdict.good["ts"][-1]]
        )
        at = [at for at in (known.earliest, known.latest, *ends) if at]
        latest = max(at, default=None)
        waiting = verdict.rejects.filter(pl.col("rule").is_in(WAITING))
        # What is not believed proves no absence, either.
        suspects = {slot for s in reached if s.day in held.contested for slot in s.slot_starts()}
        evidence = Evidence(
            now=fill.now,
            last_bar=ends[-1] if ends else None,
            earliest_known=min(at, default=None),
            latest_known=latest,
            rejected=spoilt_slots(verdict.rejects),
            doubtful=belong_elsewhere(verdict.rejects),
            late=late_day(self._calendar, latest, today=new_york_date(fill.now)),
            suspects=frozenset(suspects.union(waiting["ts"].to_list())),
            confirmed=held.marks,
            delivered=frozenset(of_sessions(verdict.good, reached)["ts"].to_list()),
        )
        if not missing:
            return evidence
        earliest = evidence.earliest_known
        around = self._around(fill, reached, starts, earliest, NEIGHBOURS_REACH)
        asked = {day: row.witness for day, row in fill.ledger.items()}
        others = self._witnesses.seen(fill.target.symbol_id, list(missing), asked)
        unbelieved = self._witnesses.unbelieved(fill.target.symbol_id, list(missing))
        doubted = doubted_slots(missing, around, earliest)
        if any(doubted.values()):
            # Few have any: a silence may be rare, and still the symbol's habit.
            around = self._around(fill, reached, starts, earliest, HALF_YEAR_REACH)
            doubted = doubted_slots(missing, around, earliest)
        if without_time(verdict.rejects):
            # Any of the quarter hours may be where they belong.
            doubted = {session: sorted(slots) for session, slots in missing.items()}
        for session, slots in missing.items():
            # Whatever is usual: somebody has seen it traded.
            if seen := slots & (others.traded_live | unbelieved):
                doubted[session] = [*{*doubted.get(session, ()), *seen}]
        return replace(
            evidence,
            unlikely=frozenset(slot for slots in doubted.values() for slot in slots),
            elsewhere=self._witnesses.elsewhere(fill.target.symbol_id, doubted, others, unbelieved),
        )

    def _near(self, reached: Sequence[Session]) -> Sequence[Session]:
        """Return the sessions of an answer and those beside it, ascending."""
        if not reached:
            return ()
        first, last = reached[0].day - BESIDE_REACH, reached[-1].day + BESIDE_REACH
        return self._calendar.between(first, last)

    def _around(
        self,
        fill: Fill,
        reached: Sequence[Session],
        starts: Mapping[date, Collection[datetime]],
        earliest_known: datetime | None,
        reach: timedelta,
    ) -> dict[Session, Pattern]:
        """Return which quarter hours are silent in the sessions asked for so far, ascending.

        Of sessions before the first bar, those after it tell.
        """
        first, last = reached[0].day - reach, reached[-1].day + reach
        rows = self._ledger.coverage(fill.target.symbol_id, first, last) | fill.ledger
        calendar = self._calendar
        near = calendar.between(max(first, calendar.first), min(last, calendar.last))
        if earliest_known is not None and is_before(reached[0], earliest_known):
            listed = new_york_date(earliest_known)
            until = min(listed + 2 * reach, calendar.last)
            rows = self._ledger.coverage(fill.target.symbol_id, listed, until) | rows
            near = sorted({*near, *calendar.between(listed, until)}, key=lambda s: s.day)
        patterns = {}
        for session in near:
            row = rows.get(session.day)
            if session.day in starts:
                absent = {s for s in session.slot_starts() if s not in starts[session.day]}
            elif row is None or not row.answers or row.reason is Reason.PLAN_CUT:
                continue
            else:
                absent = set(row.absences if row.bars else session.slot_starts())
            patterns[session] = pattern(session, absent)
        return patterns


def _contested(
    fresh: pl.DataFrame, stored: pl.DataFrame, waiting: pl.DataFrame, sessions: Sequence[Session]
) -> dict[date, Collection[datetime]]:
    """Return by date the starts of stored bars that an answer contradicts as a whole."""
    found: dict[date, Collection[datetime]] = {}
    if waiting.is_empty():
        return found
    for session in sessions:
        delivered = of_sessions(fresh, [session])
        if delivered.is_empty() or not of_sessions(waiting, [session]).is_empty():
            standing = of_sessions(stored, [session])
            other = standing.join(delivered, on=[*SAME], how="anti")
            found[session.day] = frozenset(other["ts"].to_list())
    return found


def _without(verdict: Verdict, waiting: pl.DataFrame) -> Verdict:
    """Return a verdict with some good bars among the rejected ones."""
    good = verdict.good.filter(~pl.col("ts").is_in(waiting["ts"].to_list()))
    return Verdict(good, pl.concat([verdict.rejects, waiting]))
