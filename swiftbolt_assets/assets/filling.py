"""Fills a symbol's missing sessions: ask, validate, judge, derive, store, report, again.

Newest sessions first, as many to a request as one request can carry. Each answer is stored in one
transaction (m15, h1, h4, ledger, rejects) and yielded at once, so that a killed run loses at most
the answer in flight and the next run goes on at the next unsettled session.

What belongs here: the order of steps. What does not: what a step decides (`market/`) or
touches (`resources/`), and how Dagster hears of it (`bars.py`). No Dagster here.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from resources.ledger import Known
from resources.sessions_write import SessionsWrite, Written
from resources.splits import SplitBook
from resources.witnesses import Witnesses
from swiftbolt_assets.assets.course import Course
from swiftbolt_assets.clock import midnight, new_york_date
from swiftbolt_assets.errors import (
    BeyondPlanError,
    MalformedReplyError,
    NotYetAvailableError,
    RetryableError,
)
from swiftbolt_assets.market.by_session import (
    counts_by_day,
    newest_wins,
    of_sessions,
    starts_by_day,
)
from swiftbolt_assets.market.coverage import (
    Evidence,
    Reason,
    SessionCoverage,
    beyond_plan,
    judge,
    kept_slots,
)
from swiftbolt_assets.market.doubt import (
    HALF_YEAR_REACH,
    NEIGHBOURS_REACH,
    doubted_slots,
    is_before,
    pattern,
)
from swiftbolt_assets.market.finalization import (
    REACH,
    RIDERS_REACH,
    late_day,
    sessions_to_revise,
    sessions_to_ride_along,
)
from swiftbolt_assets.market.outliers import FAR_FROM_NEIGHBOURS, agrees, far
from swiftbolt_assets.market.plan import plan_edge
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.sketch import sketches
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.trust import distrust
from swiftbolt_assets.market.validation import (
    REJECT_SCHEMA,
    Verdict,
    belong_elsewhere,
    mostly_rejected,
    spoilt_slots,
    validate,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from resources.bars import BarStore
    from resources.contract import Answer, BarProvider
    from resources.ledger import Ledger
    from swiftbolt_assets.assets.course import Question
    from swiftbolt_assets.market.doubt import Pattern
    from swiftbolt_assets.market.sessions import Session

#: The provider's calendar may be a few days off ours.
_EDGE_MARGIN = timedelta(days=7)
#: So many calendar days hold the sessions beside one.
BESIDE_REACH = timedelta(days=5)
#: Two answers of one second are one.
ANOTHER_SECOND_S = 2.0
#: Whose bars stand where history has none yet.
LIVE = "tradier"


@dataclass(frozen=True)
class Target:
    """Whose sessions to fill, and how.

    Attributes:
        symbol: canonical ticker.
        symbol_id: its id.
        priority: for the request limiter.
        derived: the timeframes to derive.

    """

    symbol: str
    symbol_id: UUID
    priority: int
    derived: tuple[Timeframe, ...]


@dataclass(frozen=True)
class Filled:
    """One stored answer.

    Attributes:
        coverage: the ledger's rows after it, newest session first.
        bars: bars stored by timeframe and session date.
        written: rows touched.
        rejected: bars quarantined.
        requests: HTTP requests it cost.
        seconds: from asking to committed.
        sketches: a line that draws each session's bars, by timeframe and session date.

    """

    coverage: tuple[SessionCoverage, ...]
    bars: dict[Timeframe, dict[date, int]]
    written: Written
    rejected: int
    requests: int
    seconds: float
    sketches: Mapping[Timeframe, Mapping[date, str]] = field(default_factory=dict)


class Filler:
    """Fills past sessions from the provider of history."""

    def __init__(self, provider: BarProvider, store: BarStore, ledger: Ledger) -> None:
        self._provider = provider
        self._store = store
        self._ledger = ledger
        self._witnesses = Witnesses(ledger.database)

    def fill(
        self, target: Target, sessions: Sequence[Session], *, now: datetime, force: bool = False
    ) -> Iterator[Filled]:
        """Ask for the unsettled of `sessions` until all are settled, yielding each stored answer.

        Settled sessions that are due again are asked for, too, and so are others in doubt that a
        request has room for.

        Args:
            target: whose sessions.
            sessions: past sessions, ascending.
            now: an instant of the market clock; history ends before its New York date.
            force: ask again for settled ones, too.

        Raises:
            ProviderError: the provider does not answer; what was yielded is stored.
            StorageError: the database does not answer or refuses; likewise.

        """
        if not sessions:
            return
        today = new_york_date(now)
        since = min(sessions[0].day, today - REACH, sessions[-1].day - RIDERS_REACH)
        fill = _Fill(
            target=target,
            now=now,
            ledger=self._ledger.coverage(target.symbol_id, since, today),
            wanted_since=min(
                sessions[0].day, self._ledger.wanted_since(target.symbol_id) or sessions[0].day
            ),
        )
        wanted = [s for s in sessions if force or not fill.is_settled(s)]
        revised = sessions_to_revise(wanted, fill.ledger, xnys(), today=today)
        riders = sessions_to_ride_along(wanted, fill.ledger, xnys(), now=now)
        asked = (*riders, *revised, *wanted)
        course = Course(asked, today=today, refused=fill.refused(asked))
        # What came back empty takes no room in a request, when it is asked for days later as well.
        some_empty = any(fill.is_empty(s) for s in asked)
        while not course.is_finished:
            is_known = course.repeats or some_empty
            empty = self._empty_days(target, today) if is_known else frozenset()
            question = course.next_question(empty)
            started = time.monotonic()
            try:
                answer = self._provider.fetch(
                    target.symbol, question.first, question.last, priority=target.priority
                )
                self._refuse_contradiction(target, question, answer)
                verdict = _believed(answer)
            except BeyondPlanError:
                if question.last > plan_edge(today) + _EDGE_MARGIN:
                    raise
                yield self._store_plan_cut(fill, question, started)
            except NotYetAvailableError as error:
                course.postpone_newest(question, error)
            except _ContradictionError as error:
                course.contradicted(question, error)
            except RetryableError as error:
                course.failed(question, error)
            else:
                filled = self._store_answer(fill, question, answer, verdict, started)
                reached = {row.day for row in filled.coverage}
                course.ask_again(s for s in question.asked if not fill.is_settled(s))
                yield filled
                course.answered(question, answer, reached)
        course.finish()

    def _empty_days(self, target: Target, today: date) -> frozenset[date]:
        rows = self._ledger.coverage(target.symbol_id, xnys().first, today)
        return frozenset(day for day, row in rows.items() if row.answers and not row.bars)

    def _refuse_contradiction(self, target: Target, question: Question, answer: Answer) -> None:
        """Refuse an answer without any bar where some are known: it looks like an honest one."""
        if not answer.bars.is_empty() or answer.broken_off is not None:
            return
        known = self._ledger.coverage(target.symbol_id, question.first, question.last)
        if any(row.bars for row in known.values()):
            raise _ContradictionError(
                f"{answer.provider}: it answers without a bar of {target.symbol} from "
                f"{question.first} to {question.last}, though it delivered some before; "
                "try again later"
            )

    def _store_answer(
        self, fill: _Fill, question: Question, answer: Answer, verdict: Verdict, started: float
    ) -> Filled:
        """Judge and store what an answer says of the symbol's window, asked for or not."""
        target = fill.target
        reached = _reached(fill, question, answer, verdict.good)
        verdict, confirmed = self._without_suspects(fill, reached, verdict)
        fresh = of_sessions(verdict.good, reached)
        stored = self._stored_before(fill, reached)
        reached = [s for s in reached if s in question.asked or fill.changes(s, fresh, stored)]
        fresh = of_sessions(fresh, reached)
        m15 = newest_wins(fresh, None if stored is None else of_sessions(stored, reached))
        starts = starts_by_day(m15, reached)
        evidence = self._evidence(fill, verdict, reached, starts)
        evidence = replace(
            evidence, confirmed=confirmed, delivered=frozenset(fresh["ts"].to_list())
        )
        coverage = tuple(
            judge(session, starts[session.day], evidence, fill.ledger.get(session.day))
            for session in reversed(reached)
        )
        fill.ledger |= {row.day: row for row in coverage}
        kept = kept_slots(coverage)
        whole = newest_wins(m15, self._live(target, reached, kept))
        bars = {Timeframe.M15: fresh} | {
            timeframe: resample(whole, reached, timeframe) for timeframe in target.derived
        }
        written = self._store.write(
            SessionsWrite(
                symbol_id=target.symbol_id,
                provider=answer.provider,
                opens=min((question.asked[0].opens, *(s.opens for s in reached[:1]))),
                closes=max((question.asked[-1].closes, *(s.closes for s in reached[-1:]))),
                bars=bars,
                forming=None,
                coverage=coverage,
                rejects=verdict.rejects,
                request_id=answer.request_ids[0] if answer.request_ids else None,
            )
        )
        shown = {**bars, Timeframe.M15: m15}
        return Filled(
            coverage=coverage,
            bars={name: counts_by_day(frame, reached) for name, frame in shown.items()},
            written=written,
            rejected=verdict.rejects.height,
            requests=answer.requests,
            seconds=time.monotonic() - started,
            sketches={name: sketches(frame, reached) for name, frame in shown.items()},
        )

    def _store_plan_cut(self, fill: _Fill, question: Question, started: float) -> Filled:
        """Settle sessions that lie wholly before what the plan serves."""
        coverage = tuple(
            beyond_plan(session, fill.ledger.get(session.day), fill.now)
            for session in reversed(question.asked)
        )
        fill.ledger |= {row.day: row for row in coverage}
        written = self._store.write(
            SessionsWrite(
                symbol_id=fill.target.symbol_id,
                provider=self._provider.name,
                opens=question.asked[0].opens,
                closes=question.asked[-1].closes,
                bars={},
                forming=None,
                coverage=coverage,
                rejects=pl.DataFrame(schema=REJECT_SCHEMA),
                request_id=None,
            )
        )
        return Filled(coverage, {}, written, 0, 1, time.monotonic() - started)

    def _stored_before(self, fill: _Fill, reached: Sequence[Session]) -> pl.DataFrame | None:
        """Return the bars that earlier answers left in sessions that an answer speaks of."""
        days = [s for s in reached if s.day in fill.ledger and fill.ledger[s.day].bars]
        if not days:
            return None
        return of_sessions(self._of(fill.target, days, self._provider.name), days)

    def _of(self, target: Target, days: Sequence[Session], provider: str) -> pl.DataFrame:
        return self._store.read(
            target.symbol_id, Timeframe.M15, days[0].opens, days[-1].closes, provider=provider
        )

    def _live(
        self, target: Target, reached: Sequence[Session], kept: Collection[datetime]
    ) -> pl.DataFrame | None:
        """Return the live provider's bars that stay because nobody has confirmed an absence."""
        if not kept:
            return None
        days = [s for s in reached if any(s.opens <= at < s.closes for at in kept)]
        live = self._of(target, days, LIVE)
        return live.filter(pl.col("ts").is_in(list(kept)))

    def _with_neighbours(
        self, fill: _Fill, reached: Sequence[Session], good: pl.DataFrame
    ) -> tuple[pl.DataFrame, Sequence[Session]]:
        """Return an answer's bars of regular hours with the stored ones of the sessions beside."""
        first, last = reached[0].day, reached[-1].day
        near = xnys().between(first - BESIDE_REACH, last + BESIDE_REACH)
        known = [s for s in near if (row := fill.ledger.get(s.day)) is not None and row.bars]
        beside = [s for s in known if not first <= s.day <= last]
        fresh = of_sessions(good, near)
        if not beside:
            return fresh, near
        stored = of_sessions(self._of(fill.target, beside, self._provider.name), beside)
        return newest_wins(fresh, stored), near

    def _without_suspects(
        self, fill: _Fill, reached: Sequence[Session], verdict: Verdict
    ) -> tuple[Verdict, dict[datetime, str]]:
        """Take out bars that are far from their neighbours, but for those that came before."""
        if not reached or verdict.good.is_empty():
            return verdict, {}
        around = self._with_neighbours(fill, reached, verdict.good)
        suspects = far(*around)
        if not suspects.is_empty():
            # Only now: a split explains it, and nearly no reply has one.
            suspects = far(*around, SplitBook(self._ledger.database).of(fill.target.symbol_id))
        suspects = suspects.filter(pl.col("ts").is_in(verdict.good["ts"].to_list()))
        if suspects.is_empty():
            return verdict, {}
        earlier = self._ledger.suspects(fill.target.symbol_id, suspects["ts"].to_list())
        came_before = [
            row["ts"]
            for row in suspects.iter_rows(named=True)
            if any(
                one.ts == row["ts"]
                and one.age_s >= ANOTHER_SECOND_S
                and agrees(json.loads(one.bar), json.loads(row["bar"]))
                for one in earlier
            )
        ]
        left = suspects.filter(~pl.col("ts").is_in(came_before))
        good = verdict.good.filter(~pl.col("ts").is_in(left["ts"].to_list()))
        confirmed = dict.fromkeys(came_before, FAR_FROM_NEIGHBOURS)
        return Verdict(good, pl.concat([verdict.rejects, left])), confirmed

    def _evidence(
        self,
        fill: _Fill,
        verdict: Verdict,
        reached: Sequence[Session],
        starts: Mapping[date, Collection[datetime]],
    ) -> Evidence:
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
        suspects = verdict.rejects.filter(pl.col("rule") == FAR_FROM_NEIGHBOURS)
        evidence = Evidence(
            now=fill.now,
            last_bar=ends[-1] if ends else None,
            earliest_known=min(at, default=None),
            latest_known=latest,
            rejected=spoilt_slots(verdict.rejects),
            doubtful=belong_elsewhere(verdict.rejects),
            late=late_day(xnys(), latest, today=new_york_date(fill.now)),
            suspects=frozenset(suspects["ts"].to_list()),
        )
        if not missing:
            return evidence
        earliest = evidence.earliest_known
        around = self._around(fill, reached, starts, earliest, NEIGHBOURS_REACH)
        live = self._witnesses.live(fill.target.symbol_id, list(missing))
        unbelieved = self._witnesses.unbelieved(fill.target.symbol_id, list(missing))
        doubted = doubted_slots(missing, around, earliest)
        if any(doubted.values()):
            # Few have any: a silence may be rare, and still the symbol's habit.
            around = self._around(fill, reached, starts, earliest, HALF_YEAR_REACH)
            doubted = doubted_slots(missing, around, earliest)
        for session, slots in missing.items():
            # Whatever is usual: somebody has seen it traded.
            if seen := slots & (live | unbelieved):
                doubted[session] = [*{*doubted.get(session, ()), *seen}]
        asked = {day: row.witness for day, row in fill.ledger.items()}
        return replace(
            evidence,
            unlikely=frozenset(slot for slots in doubted.values() for slot in slots),
            elsewhere=self._witnesses.elsewhere(
                fill.target.symbol_id, doubted, asked, live, unbelieved
            ),
        )

    def _around(
        self,
        fill: _Fill,
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
        near = xnys().between(max(first, xnys().first), min(last, xnys().last))
        if earliest_known is not None and is_before(reached[0], earliest_known):
            listed = new_york_date(earliest_known)
            until = min(listed + 2 * reach, xnys().last)
            rows = self._ledger.coverage(fill.target.symbol_id, listed, until) | rows
            near = sorted({*near, *xnys().between(listed, until)}, key=lambda s: s.day)
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


@dataclass
class _Fill:
    """What one fill works with; the ledger's rows follow each answer."""

    target: Target
    now: datetime
    ledger: dict[date, SessionCoverage]
    wanted_since: date

    def is_settled(self, session: Session) -> bool:
        row = self.ledger.get(session.day)
        return row is not None and row.is_settled(self.now)

    def is_empty(self, session: Session) -> bool:
        row = self.ledger.get(session.day)
        return row is not None and row.answers > 0 and not row.bars

    def refused(self, sessions: Iterable[Session]) -> frozenset[date]:
        """Return the dates of sessions that the plan did not reach."""
        rows = (self.ledger.get(session.day) for session in sessions)
        return frozenset(row.day for row in rows if row and row.reason is Reason.PLAN_CUT)

    def changes(self, session: Session, fresh: pl.DataFrame, stored: pl.DataFrame | None) -> bool:
        """Return whether an answer says something new of a session that it was not asked for.

        Silence about one that the plan did not reach is none.
        """
        if not self.is_settled(session) and not self.refused([session]):
            return True
        delivered = of_sessions(fresh, [session])
        if stored is None or delivered.is_empty():
            return not delivered.is_empty()
        known = of_sessions(stored, [session])
        new = delivered.join(known, on=delivered.columns, how="anti", nulls_equal=True)
        return not new.is_empty()


class _ContradictionError(MalformedReplyError):
    """An answer without any bar where some are known."""


def _believed(answer: Answer) -> Verdict:
    """Return an answer's bars, good and bad.

    Raises:
        MalformedReplyError: the answer as a whole cannot be trusted.

    """
    spanned = xnys().between(answer.first, answer.last)
    if why := distrust(answer.bars, spanned):
        raise MalformedReplyError(f"{answer.provider}: {why}")
    verdict = validate(
        answer.bars, midnight(answer.first), midnight(answer.last + timedelta(days=1))
    )
    if why := mostly_rejected(answer.bars.height, verdict.rejects):
        raise MalformedReplyError(f"{answer.provider}: {why}")
    return verdict


def _reached(fill: _Fill, question: Question, answer: Answer, good: pl.DataFrame) -> list[Session]:
    """Return the sessions of the symbol's window that an answer speaks of, ascending.

    One that broke off ends at its last bar.
    """
    spanned = xnys().between(question.first, question.last)
    asked = set(question.asked)
    speaks_of = [s for s in spanned if s in asked or s.day >= fill.wanted_since]
    if answer.broken_off is None:
        return speaks_of
    last = None if good.is_empty() else good["ts"][-1]
    return [s for s in speaks_of if last is not None and s.closes <= last]
