"""The job `refresh_today`: one run asks for today's bars of all symbols that are due.

An op, not an asset: a run of the assets covers a range of symbols between two names, and those that
are due are seldom neighbours. It reports to the catalogue what it stored: each symbol's partition
of today once a quarter hour, not at every refresh. Its runs and requests are many and soon stale:
they go sooner than others (`policy/retention.py`).

What belongs here: the run. What does not: the round itself (`filling/live_round.py`), when it is
launched (`sensors/live.py`).
"""

# No `from __future__ import annotations`: Dagster reads the op's annotations at run time.
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import dagster as dg

from resources.bars.live import LiveBook
from resources.dagster import POSTGRES, opened, source
from resources.providers.registry import TODAY
from resources.sources import Source
from resources.storage import Storage
from swiftbolt_assets.assets.checks.fresh import fresh_now
from swiftbolt_assets.assets.failing import failure
from swiftbolt_assets.assets.partitions import BarKey
from swiftbolt_assets.dagster_private.reporting import report_check, report_sessions
from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.filling.live_round import Refreshed, Round
from swiftbolt_assets.market.sessions import SLOT, Session
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.policy.freshness import awaited_close, due
from swiftbolt_assets.policy.shards import UNDIVIDED, Shard, Shards

REFRESH_TODAY = "refresh_today"
#: A round ends before the next tick comes: whoever is due then is served in the right order.
_LONGEST_ROUND_S = 45.0
_TOLD_AT_ONCE = 100


def build_live_job(
    derived: Sequence[Timeframe], least_priority: int, shards: Shards = UNDIVIDED
) -> dg.JobDefinition:
    """Return the job.

    Args:
        derived: the timeframes that are derived.
        least_priority: symbols that are wanted less are not refreshed.
        shards: whose assets are told.

    """

    @dg.op(
        name="refresh",
        description=f"Asks {TODAY.label} for today's bars of every due symbol.",
        required_resource_keys={POSTGRES, TODAY.name},
    )
    def refresh(context: dg.OpExecutionContext) -> None:
        storage, live = opened(context), source(context, TODAY)
        book = LiveBook(storage.database)
        try:
            with book.turn() as is_ours:
                if is_ours:
                    _Run(context, storage, book, derived, least_priority, shards).serve(live)
                else:
                    context.log.info("another run serves the due symbols")
        except SwiftBoltError as error:
            raise failure(error) from error
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
    shards: Shards

    def serve(self, live: Source) -> None:
        """Serve who is due, and again at a close that comes before the next tick."""
        clock = self.storage.clock
        session = self.storage.calendar.session(clock.today())
        if live.is_off or session is None:
            self.context.log.info("today is off, or the exchange is closed")
            return
        provider = live.open(self.storage)
        closes = awaited_close(session, clock.now())
        work = Round(self.storage, self.book, provider, session, self.derived)
        self._serve_once(work, live.budget(self.storage))
        if closes is not None:
            time.sleep(max((closes - clock.now()).total_seconds(), 0.0))
            self._serve_once(work, live.budget(self.storage))

    def _serve_once(self, work: Round, budget: int | None) -> None:
        log = self.context.log
        watched = self.book.watched(least_priority=self.least_priority)
        wanted = due(watched, work.session, self.storage.clock.now(), budget=budget)
        tally = _Tally()
        changed: set[Shard] = set()
        outcomes = work.run(wanted, until=time.monotonic() + _LONGEST_ROUND_S)
        # Told and forgotten in parts: of ten thousand symbols nobody holds all answers at once.
        while part := list(islice(outcomes, _TOLD_AT_ONCE)):
            self._report(work.session, part)
            for one in part:
                if one.error is not None:
                    log.warning(f"{one.watched.symbol}: {one.error}")
                if one.error is not None or _is_news(one):
                    changed.add(self.shards.of(one.watched.symbol))
            tally = tally.plus(part)
        if changed:
            for outcome in fresh_now(self.storage, sorted(changed)):
                report_check(self.context, outcome)
        log.info(tally.summary(len(wanted), len(watched)))
        if tally.first_error is not None and not tally.stored:
            raise SwiftBoltError(tally.first_error)

    def _report(self, session: Session, done: Sequence[Refreshed]) -> None:
        now = self.storage.clock.now()
        news = {one.watched.symbol: one for one in done if _is_news(one)}
        for shard, symbols in self.shards.divided(news).items():
            for timeframe in Timeframe:
                report_sessions(
                    self.context,
                    shard.asset(timeframe),
                    [
                        (
                            str(BarKey(session.day, symbol)),
                            _metadata(session, timeframe, news[symbol], now),
                        )
                        for symbol in symbols
                    ],
                )
        if news:
            # After the reports: a run that dies before tells the next one to report.
            self.book.reported({one.watched.symbol_id: one.closed_through for one in news.values()})


@dataclass(frozen=True)
class _Tally:
    """What a round came to so far: symbols stored, what that took, and the first failure."""

    stored: int = 0
    requests: int = 0
    seconds: float = 0.0
    first_error: str | None = None

    def plus(self, part: Sequence[Refreshed]) -> "_Tally":
        """Return the tally with some more outcomes."""
        filled = [one.filled for one in part if one.filled is not None]
        errors = [f"{one.watched.symbol}: {one.error}" for one in part if one.error is not None]
        return _Tally(
            self.stored + len(filled),
            self.requests + sum(one.requests for one in filled),
            self.seconds + sum(one.seconds for one in filled),
            self.first_error or next(iter(errors), None),
        )

    def summary(self, wanted: int, watched: int) -> str:
        """Return one line for the run's log."""
        return (
            f"{self.stored} of {wanted} due symbols refreshed, {watched} are watched; "
            f"{self.requests} requests, {self.seconds:.2f} s"
        )


def _is_news(one: Refreshed) -> bool:
    """Return whether the catalogue does not know this quarter hour of a symbol yet."""
    known = one.watched.reported_through
    return one.filled is not None and (known is None or known < one.closed_through)


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
