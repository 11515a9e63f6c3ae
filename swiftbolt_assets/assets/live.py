"""The job `refresh_today`: one run asks for today's bars of all symbols that are due.

An op, not an asset: a run of the assets covers a range of symbols between two names, and those that
are due are seldom neighbours. It reports to the catalogue what it stored: each symbol's partition
of today once a quarter hour, not at every refresh. Its runs and requests are many and soon stale:
they go sooner than others (`market/retention.py`).

What belongs here: the run. What does not: the round itself (`refreshing.py`), when it is
launched (`sensors/schedules.py`).
"""

# No `from __future__ import annotations`: Dagster reads the op's annotations at run time.
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from resources.dagster import PostgresResource, Storage, TradierResource
from resources.live import LiveBook
from swiftbolt_assets.assets.freshness import fresh_now
from swiftbolt_assets.assets.partitions import BarKey
from swiftbolt_assets.assets.refreshing import Refreshed, Round
from swiftbolt_assets.assets.reporting import report_check, report_sessions
from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.market.live import awaited_close, due
from swiftbolt_assets.market.sessions import SLOT, Session, xnys
from swiftbolt_assets.market.timeframes import Timeframe

REFRESH_TODAY = "refresh_today"


def build_live_job(derived: Sequence[Timeframe], least_priority: int) -> dg.JobDefinition:
    """Return the job.

    Args:
        derived: the timeframes that are derived.
        least_priority: symbols that are wanted less are not refreshed.

    """

    @dg.op(name="refresh", description="Asks Tradier for today's bars of every due symbol.")
    def refresh(
        context: dg.OpExecutionContext, postgres: PostgresResource, tradier: TradierResource
    ) -> None:
        storage = postgres.open()
        book = LiveBook(storage.database)
        try:
            with book.turn() as is_ours:
                if is_ours:
                    _Run(context, storage, book, derived, least_priority).serve(tradier)
                else:
                    context.log.info("another run serves the due symbols")
        except SwiftBoltError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        finally:
            storage.close()

    @dg.job(
        name=REFRESH_TODAY,
        executor_def=dg.in_process_executor,
        description="Refreshes today's bars of the tracked symbols that are due.",
        # A killed one is not started again: the next tick serves whoever is due then.
        run_tags={"dagster/max_retries": "0"},
    )
    def refresh_today_job() -> None:
        refresh()

    return refresh_today_job


@dataclass(frozen=True)
class _Run:
    """What one run works with."""

    context: dg.OpExecutionContext
    storage: Storage
    book: LiveBook
    derived: Sequence[Timeframe]
    least_priority: int

    def serve(self, tradier: TradierResource) -> None:
        """Serve who is due, and again at a close that comes before the next tick."""
        clock = self.storage.clock
        provider, session = tradier.open(self.storage), xnys().session(clock.today())
        if provider is None or session is None:
            self.context.log.info("today is off, or the exchange is closed")
            return
        closes = awaited_close(session, clock.now())
        work = Round(self.storage, self.book, provider, session, self.derived)
        self._serve_once(work, tradier.budget(self.storage))
        if closes is not None:
            time.sleep(max((closes - clock.now()).total_seconds(), 0.0))
            self._serve_once(work, tradier.budget(self.storage))

    def _serve_once(self, work: Round, budget: int | None) -> None:
        log = self.context.log
        watched = self.book.watched(least_priority=self.least_priority)
        wanted = due(watched, work.session, self.storage.clock.now(), budget=budget)
        done = list(work.run(wanted))
        _report(self.context, self.book, work.session, done, self.storage.clock.now())
        failed = [one for one in done if one.error is not None]
        for one in failed:
            log.warning(f"{one.watched.symbol}: {one.error}")
        if failed or any(_is_news(one) for one in done):
            report_check(self.context, fresh_now(self.storage))
        log.info(_summary(done, len(wanted), len(watched)))
        if done and len(failed) == len(done):
            raise SwiftBoltError(f"{failed[0].watched.symbol}: {failed[0].error}")


def _is_news(one: Refreshed) -> bool:
    """Return whether the catalogue does not know this quarter hour of a symbol yet."""
    known = one.watched.reported_through
    return one.filled is not None and (known is None or known < one.closed_through)


def _report(
    context: dg.OpExecutionContext,
    book: LiveBook,
    session: Session,
    done: Sequence[Refreshed],
    now: datetime,
) -> None:
    news = [one for one in done if _is_news(one)]
    if not news:
        return
    for timeframe in Timeframe:
        report_sessions(
            context,
            f"{timeframe}_bars",
            [
                (
                    str(BarKey(session.day, one.watched.symbol)),
                    _metadata(session, timeframe, one, now),
                )
                for one in news
            ],
        )
    # After the reports: a run that dies before tells the next one to report.
    book.reported({one.watched.symbol_id: one.closed_through for one in news})


def _metadata(
    session: Session, timeframe: Timeframe, one: Refreshed, now: datetime
) -> dict[str, float | int | str]:
    """Return one report's metadata: the names are those of the reports of past sessions."""
    assert one.filled is not None  # noqa: S101 - reported are only those that were stored
    rows = one.filled.bars.get(timeframe, {}).get(session.day, 0)
    # What has begun by now; the day's last bars are not missing yet.
    begun = min(one.at, session.closes - SLOT) - session.opens
    expected = begun // timedelta(minutes=timeframe.minutes) + 1
    return {
        "rows": rows,
        "expected": expected,
        "gaps": max(0, expected - rows),
        "requests": float(one.filled.requests),
        "seconds": one.filled.seconds,
        "age_seconds": (now - one.at).total_seconds(),
        "state": str(one.filled.coverage[0].state),
        "dagster/partition_row_count": rows,
    }


def _summary(done: Sequence[Refreshed], wanted: int, watched: int) -> str:
    stored = [one.filled for one in done if one.filled is not None]
    return (
        f"{len(stored)} of {wanted} due symbols refreshed, {watched} are watched; "
        f"{sum(one.requests for one in stored)} requests, "
        f"{sum(one.seconds for one in stored):.2f} s"
    )
