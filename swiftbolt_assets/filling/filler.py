"""Fills a symbol's missing sessions: ask, validate, judge, derive, store, report, again.

Newest sessions first, as many to a request as one request can carry. Each answer is stored in one
transaction (m15, h1, h4, ledger, rejects) and yielded at once, so that a killed run loses at most
the answer in flight and the next run goes on at the next unsettled session.

What belongs here: the order of steps. What does not: what a step decides (`market/`) or
touches (`resources/`), and how Dagster hears of it (`assets/symbol_run.py`). No Dagster here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from resources.bars.session_write import SessionsWrite, Written
from resources.providers.believing import believed
from resources.providers.registry import TODAY
from swiftbolt_assets.clock import new_york_date
from swiftbolt_assets.errors import (
    BeyondPlanError,
    MalformedReplyError,
    NotYetAvailableError,
    PermissionDeniedError,
    RetryableError,
)
from swiftbolt_assets.filling.agenda import Course
from swiftbolt_assets.filling.evidence import EvidenceBook, Fill
from swiftbolt_assets.market.by_session import (
    counts_by_day,
    newest_wins,
    of_sessions,
    starts_by_day,
)
from swiftbolt_assets.market.coverage import (
    SessionCoverage,
    State,
    beyond_plan,
    judge,
    kept_slots,
)
from swiftbolt_assets.market.overlap import contested
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.sparkline import sketches
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import REJECT_SCHEMA, mostly_rejected
from swiftbolt_assets.policy.finalization import (
    REACH,
    RIDERS_REACH,
    sessions_to_revise,
    sessions_to_ride_along,
)
from swiftbolt_assets.policy.request_windows import plan_edge

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from resources.bars.ledger import Ledger
    from resources.bars.store import BarStore
    from resources.providers.contract import Answer, BarProvider
    from swiftbolt_assets.errors import ProviderError
    from swiftbolt_assets.filling.agenda import Question
    from swiftbolt_assets.filling.evidence import Held
    from swiftbolt_assets.filling.target import Target
    from swiftbolt_assets.market.coverage import Evidence
    from swiftbolt_assets.market.sessions import Calendar, Session
    from swiftbolt_assets.market.validation import Verdict


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
        is_doubted: the answer contradicts what is stored, or most bars of what was asked for
            first were rejected.

    """

    coverage: tuple[SessionCoverage, ...]
    bars: dict[Timeframe, dict[date, int]]
    written: Written
    rejected: int
    requests: int
    seconds: float
    sketches: Mapping[Timeframe, Mapping[date, str]] = field(default_factory=dict)
    is_doubted: bool = False


class Filler:
    """Fills past sessions from the provider of history, by one calendar."""

    def __init__(
        self, provider: BarProvider, store: BarStore, ledger: Ledger, calendar: Calendar
    ) -> None:
        self._provider = provider
        self._store = store
        self._ledger = ledger
        self._calendar = calendar
        self._evidence = EvidenceBook(provider.name, store, ledger, calendar)

    def fill(
        self,
        target: Target,
        sessions: Sequence[Session],
        *,
        now: datetime,
        force: bool = False,
        once: bool = False,
    ) -> Iterator[Filled]:
        """Ask for the unsettled of `sessions` until all are settled, yielding each stored answer.

        Settled sessions that are due again are asked for, too, and so are others in doubt that a
        request has room for.

        Args:
            target: whose sessions.
            sessions: past sessions, ascending.
            now: an instant of the market clock; history ends before its New York date.
            force: ask again for settled ones, too.
            once: ask one question only, whatever its answer leaves open.

        Raises:
            ProviderError: the provider does not answer; what was yielded is stored.
            StorageError: the database does not answer or refuses; likewise.

        """
        if not sessions:
            return
        today = new_york_date(now)
        since = min(sessions[0].day, today - REACH, sessions[-1].day - RIDERS_REACH)
        fill = Fill(
            target=target,
            now=now,
            ledger=self._ledger.coverage(target.symbol_id, since, today),
            since=since,
            wanted_since=min(
                sessions[0].day, self._ledger.wanted_since(target.symbol_id) or sessions[0].day
            ),
        )
        wanted = [s for s in sessions if force or not fill.is_settled(s)]
        revised = sessions_to_revise(wanted, fill.ledger, self._calendar, today=today)
        riders = sessions_to_ride_along(wanted, fill.ledger, self._calendar, now=now)
        asked = (*riders, *revised, *wanted)
        refused = fill.refused(asked)
        course = Course(asked, self._calendar, today=today, refused=refused, once=once)
        # What came back empty takes no room in a request, when it is asked for days later as well.
        some_empty = any(fill.is_empty(s) for s in asked)
        while not course.is_finished:
            is_known = course.repeats or some_empty
            empty = self._empty_days(target, today) if is_known else frozenset()
            question = course.next_question(empty)
            self._look_back(fill, question.first)
            yield from self._asked(fill, course, question)
        course.finish()

    def _asked(self, fill: Fill, course: Course, question: Question) -> Iterator[Filled]:
        """Ask a question and store what comes of it."""
        target = fill.target
        started, sent_since = time.monotonic(), datetime.now(UTC)
        try:
            answer = self._provider.fetch(
                target.symbol, question.first, question.last, priority=target.priority
            )
            verdict = believed(answer)
        except BeyondPlanError as error:
            if not _is_of_age(question, error, fill.now):
                self._note(target, sent_since, PermissionDeniedError)
                raise
            older = course.cut(question.last + timedelta(days=1))
            yield self._store_plan_cut(fill, [*older, *question.asked], started, requests=1)
        except NotYetAvailableError as error:
            course.postpone_newest(question, error)
        except RetryableError as error:
            self._note(target, sent_since, type(error))
            course.failed(question, error)
        else:
            unserved = _unserved(fill, question, verdict.good)
            if answer.first > question.first:
                unserved = course.part(question, answer.first)
            yield from self._unasked(fill, unserved, started)
            question = question.since(answer.first, but=unserved)
            reached = {question.first}
            if question.asked:
                filled = self._store_answer(fill, question, answer, verdict, started)
                if filled.is_doubted:
                    self._note(target, sent_since, MalformedReplyError)
                reached = {row.day for row in filled.coverage}
                course.ask_again(s for s in question.asked if not fill.is_settled(s))
                yield filled
            course.answered(question, answer, reached)

    def _look_back(self, fill: Fill, first: date) -> None:
        """Learn what the ledger knows of sessions before those that were thought of."""
        if first < fill.since:
            last = fill.since - timedelta(days=1)
            fill.ledger |= self._ledger.coverage(fill.target.symbol_id, first, last)
            fill.since = first

    def _note(self, target: Target, since: datetime, error: type[ProviderError]) -> None:
        """Note in the log of requests that what came was no answer."""
        self._ledger.disbelieve(self._provider.name, target.symbol, since, error.__name__)

    def _empty_days(self, target: Target, today: date) -> frozenset[date]:
        rows = self._ledger.coverage(target.symbol_id, self._calendar.first, today)
        return frozenset(day for day, row in rows.items() if row.answers and not row.bars)

    def _store_answer(
        self, fill: Fill, question: Question, answer: Answer, verdict: Verdict, started: float
    ) -> Filled:
        """Judge and store what an answer says of the symbol's window, asked for or not."""
        target = fill.target
        reached = self._reached(fill, question, answer, verdict.good)
        unbelieved = _unbelieved(fill, question, answer, verdict)
        stored = self._evidence.stored_near(fill, reached)
        held = self._evidence.held(fill, reached, verdict, stored)
        fresh = of_sessions(held.verdict.good, reached)
        reached = [
            session
            for session in reached
            if session in question.asked
            or session.day in held.contested
            or fill.changes(session, fresh, stored)
        ]
        fresh = of_sessions(fresh, reached)
        m15 = newest_wins(fresh, of_sessions(stored, reached))
        starts = starts_by_day(m15, reached)
        evidence = self._evidence.of(fill, held, reached, starts)
        coverage = tuple(
            _judged(session, starts[session.day], evidence, held, fill.ledger.get(session.day))
            for session in reversed(reached)
        )
        fill.ledger |= {row.day: row for row in coverage}
        kept = kept_slots(coverage, self._calendar)
        whole = newest_wins(m15, self._evidence.live(target, reached, kept, TODAY.name))
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
                rejects=held.verdict.rejects,
                request_id=answer.request_ids[0] if answer.request_ids else None,
                kept=kept,
            )
        )
        shown = {**bars, Timeframe.M15: m15}
        return Filled(
            coverage=coverage,
            bars={name: counts_by_day(frame, reached) for name, frame in shown.items()},
            written=written,
            rejected=held.verdict.rejects.height,
            requests=answer.requests,
            seconds=time.monotonic() - started,
            sketches={name: sketches(frame, reached) for name, frame in shown.items()},
            is_doubted=bool(held.contested) or unbelieved,
        )

    def _reached(
        self, fill: Fill, question: Question, answer: Answer, good: pl.DataFrame
    ) -> list[Session]:
        """Return the sessions of the symbol's window that an answer speaks of, ascending.

        One that broke off ends at its last bar.
        """
        spanned = self._calendar.between(question.first, question.last)
        asked = set(question.asked)
        speaks_of = [s for s in spanned if s in asked or s.day >= fill.wanted_since]
        if answer.broken_off is None:
            return speaks_of
        last = None if good.is_empty() else good["ts"][-1]
        return [s for s in speaks_of if last is not None and s.closes <= last]

    def _unasked(self, fill: Fill, sessions: Sequence[Session], started: float) -> Iterator[Filled]:
        """Settle sessions of which it is known without a request that the plan serves none."""
        if sessions:
            yield self._store_plan_cut(fill, sessions, started, requests=0)

    def _store_plan_cut(
        self, fill: Fill, sessions: Sequence[Session], started: float, *, requests: int
    ) -> Filled:
        """Settle sessions that lie before what the plan serves."""
        sessions = sorted(sessions, key=lambda session: session.day)
        coverage = tuple(
            beyond_plan(session, fill.ledger.get(session.day), fill.now)
            for session in reversed(sessions)
        )
        fill.ledger |= {row.day: row for row in coverage}
        written = self._store.write(
            SessionsWrite(
                symbol_id=fill.target.symbol_id,
                provider=self._provider.name,
                opens=sessions[0].opens,
                closes=sessions[-1].closes,
                bars={},
                forming=None,
                coverage=coverage,
                rejects=pl.DataFrame(schema=REJECT_SCHEMA),
                request_id=None,
                kept=kept_slots(coverage, self._calendar),
            )
        )
        return Filled(coverage, {}, written, 0, requests, time.monotonic() - started)


def _is_of_age(question: Question, error: BeyondPlanError, now: datetime) -> bool:
    """Return whether a refusal is of days that a plan need not reach: else it is a bad hour's."""
    return error.reach is not None or question.last < plan_edge(new_york_date(now))


def _unserved(fill: Fill, question: Question, good: pl.DataFrame) -> list[Session]:
    """Return sessions with bars that an answer begins after, since the plan has moved past them.

    Such an answer is cut short without a word, and tells nothing of them.
    """
    begins = None if good.is_empty() else good["ts"][0]
    edge = plan_edge(new_york_date(fill.now))
    rows = ((s, fill.ledger.get(s.day)) for s in question.asked if s.day < edge)
    return [s for s, row in rows if row and row.bars and begins and s.closes <= begins]


def _unbelieved(fill: Fill, question: Question, answer: Answer, verdict: Verdict) -> bool:
    """Return whether most bars of the sessions that are not settled yet were rejected."""
    if verdict.rejects.is_empty():
        return False
    wanted = [s for s in question.asked if not fill.is_settled(s)]
    timed = answer.bars.filter(pl.col("ts").is_not_null()).sort("ts")
    return (
        mostly_rejected(
            of_sessions(timed, wanted).height,
            of_sessions(verdict.rejects.filter(pl.col("ts").is_not_null()), wanted),
        )
        is not None
    )


def _judged(
    session: Session,
    bars: Collection[datetime],
    evidence: Evidence,
    held: Held,
    prior: SessionCoverage | None,
) -> SessionCoverage:
    slots = held.contested.get(session.day)
    if slots and prior is not None and prior.state is State.FINAL:
        return contested(prior, slots, evidence.now)
    return judge(session, bars, evidence, prior)
