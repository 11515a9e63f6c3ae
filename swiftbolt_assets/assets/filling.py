"""Fills a symbol's missing sessions: ask, validate, judge, derive, store, report, again.

Newest sessions first, as many to a request as one request can carry. Each answer is stored in one
transaction (m15, h1, h4, ledger, rejects) and yielded at once, so that a killed run loses at most
the answer in flight and the next run goes on at the next unsettled session.

What belongs here: the order of steps. What does not: what a step decides (`market/`) or
touches (`resources/`), and how Dagster hears of it (`bars.py`). No Dagster here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from resources.ledger import Known
from resources.sessions_write import SessionsWrite, Written
from swiftbolt_assets.assets.course import Course
from swiftbolt_assets.clock import midnight
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
from swiftbolt_assets.market.coverage import Evidence, SessionCoverage, State, beyond_plan, judge
from swiftbolt_assets.market.finalization import REACH, late_day, sessions_to_revise
from swiftbolt_assets.market.halts import paces
from swiftbolt_assets.market.plan import plan_edge
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.sketch import sketches
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import (
    REJECT_SCHEMA,
    belong_elsewhere,
    spoilt_slots,
    validate,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from resources.bars import BarStore
    from resources.contract import Answer, BarProvider
    from resources.ledger import Ledger
    from swiftbolt_assets.assets.course import Question
    from swiftbolt_assets.market.sessions import Session
    from swiftbolt_assets.market.validation import Verdict

#: The provider's calendar may be a few days off ours.
_EDGE_MARGIN = timedelta(days=7)


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

    def fill(
        self, target: Target, sessions: Sequence[Session], *, today: date, force: bool = False
    ) -> Iterator[Filled]:
        """Ask for the unsettled of `sessions` until all are settled, yielding each stored answer.

        Args:
            target: whose sessions.
            sessions: past sessions, ascending.
            today: the current New York date; history ends before it.
            force: ask again for settled ones, too.

        Raises:
            ProviderError: the provider does not answer; what was yielded is stored.
            StorageError: the database does not answer or refuses; likewise.

        """
        if not sessions:
            return
        since = min(sessions[0].day, today - REACH)
        ledger = self._ledger.coverage(target.symbol_id, since, sessions[-1].day)
        wanted = [s for s in sessions if force or not _settled(ledger.get(s.day))]
        revised = sessions_to_revise(wanted, ledger, xnys(), today=today)
        course = Course((*revised, *wanted), today=today)
        while not course.is_finished:
            empty = self._empty_days(target, today) if course.repeats else frozenset()
            question = course.next_question(empty)
            started = time.monotonic()
            try:
                answer = self._provider.fetch(
                    target.symbol, question.first, question.last, priority=target.priority
                )
                self._refuse_contradiction(target, question, answer)
            except BeyondPlanError:
                if question.last > plan_edge(today) + _EDGE_MARGIN:
                    raise
                yield self._store_plan_cut(target, question, ledger, started)
            except NotYetAvailableError as error:
                course.postpone_newest(question, error)
            except _ContradictionError as error:
                course.contradicted(question, error)
            except RetryableError as error:
                course.failed(question, error)
            else:
                filled = self._store_answer(
                    target, question, ledger, answer, today=today, started=started, force=force
                )
                reached = {row.day for row in filled.coverage}
                course.ask_again(s for s in question.asked if not _settled(ledger.get(s.day)))
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
        self,
        target: Target,
        question: Question,
        ledger: dict[date, SessionCoverage],
        answer: Answer,
        *,
        today: date,
        started: float,
        force: bool,
    ) -> Filled:
        verdict = validate(
            answer.bars, midnight(answer.first), midnight(answer.last + timedelta(days=1))
        )
        reached = _reached(question, answer, verdict.good)
        fresh = of_sessions(verdict.good, reached)
        m15 = newest_wins(fresh, self._stored_before(target, reached, ledger))
        starts = starts_by_day(m15, reached)
        evidence = self._evidence(target, verdict, today, some_empty=not all(starts.values()))
        if any(len(starts[session.day]) < session.slots for session in reached):
            spanned = xnys().between(answer.first, answer.last)
            evidence = replace(evidence, paces=paces(verdict.good, spanned))
        coverage = tuple(
            judge(session, starts[session.day], evidence, ledger.get(session.day))
            for session in reversed(reached)
        )
        if not force:
            # What was settled and is only looked at again stays settled.
            coverage = tuple(
                replace(row, state=State.FINAL) if _settled(ledger.get(row.day)) else row
                for row in coverage
            )
        ledger |= {row.day: row for row in coverage}
        bars = {Timeframe.M15: fresh} | {
            timeframe: resample(m15, reached, timeframe) for timeframe in target.derived
        }
        written = self._store.write(
            SessionsWrite(
                symbol_id=target.symbol_id,
                provider=answer.provider,
                opens=question.asked[0].opens,
                closes=question.asked[-1].closes,
                bars=bars,
                forming=None,
                coverage=coverage,
                rejects=verdict.rejects,
                request_id=answer.request_ids[0] if answer.request_ids else None,
            )
        )
        return Filled(
            coverage=coverage,
            bars={
                name: counts_by_day(frame, reached)
                for name, frame in {**bars, Timeframe.M15: m15}.items()
            },
            written=written,
            rejected=verdict.rejects.height,
            requests=answer.requests,
            seconds=time.monotonic() - started,
            sketches={
                name: sketches(frame, reached)
                for name, frame in {**bars, Timeframe.M15: m15}.items()
            },
        )

    def _store_plan_cut(
        self,
        target: Target,
        question: Question,
        ledger: dict[date, SessionCoverage],
        started: float,
    ) -> Filled:
        """Settle sessions that lie wholly before what the plan serves."""
        coverage = tuple(
            beyond_plan(session, ledger.get(session.day)) for session in reversed(question.asked)
        )
        ledger |= {row.day: row for row in coverage}
        written = self._store.write(
            SessionsWrite(
                symbol_id=target.symbol_id,
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

    def _stored_before(
        self, target: Target, asked: Sequence[Session], ledger: dict[date, SessionCoverage]
    ) -> pl.DataFrame | None:
        """Return the bars that earlier answers left in sessions that are asked for again."""
        days = [s for s in asked if s.day in ledger and ledger[s.day].bars]
        if not days:
            return None
        stored = self._store.read(
            target.symbol_id,
            Timeframe.M15,
            days[0].opens,
            days[-1].closes,
            provider=self._provider.name,
        )
        return of_sessions(stored, days)

    def _evidence(
        self, target: Target, verdict: Verdict, today: date, *, some_empty: bool
    ) -> Evidence:
        # Only a session without any bar is judged by what is known of others.
        known = self._ledger.known(target.symbol_id) if some_empty else Known(None, None)
        ends: list[datetime] = (
            [] if verdict.good.is_empty() else [verdict.good["ts"][0], verdict.good["ts"][-1]]
        )
        starts = [at for at in (known.earliest, known.latest, *ends) if at]
        latest = max(starts, default=None)
        return Evidence(
            last_bar=ends[-1] if ends else None,
            earliest_known=min(starts, default=None),
            latest_known=latest,
            rejected=spoilt_slots(verdict.rejects),
            doubtful=belong_elsewhere(verdict.rejects),
            late=late_day(xnys(), latest, today=today),
        )


class _ContradictionError(MalformedReplyError):
    """An answer without any bar where some are known."""


def _settled(row: SessionCoverage | None) -> bool:
    return row is not None and row.state is State.FINAL


def _reached(question: Question, answer: Answer, good: pl.DataFrame) -> list[Session]:
    """Return the sessions that an answer speaks of: one that broke off ends at its last bar."""
    if answer.broken_off is None:
        return list(question.asked)
    last = None if good.is_empty() else good["ts"][-1]
    return [s for s in question.asked if last is not None and s.closes <= last]
