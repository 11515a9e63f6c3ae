"""The queue of slices: planned, claimed, begun, failed, given back.

Every decision that must not be lost is one SQL function (`migrations/functions/`: `planning.sql`,
`slices.sql`, `claims.sql`, `refusals.sql`); a slice is settled by the transaction that stores its
bars (`bars/session_rows.py`).

What belongs here: calling these functions, and what holds for all claims, those of rechecks
(`rechecks.py`) included. What does not: which symbol may be claimed
(`policy/admission.py`), how a claim becomes runs (`swiftbolt_assets/orchestration/launching.py`),
what people see of the queue (`backlog.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID, uuid4

import psycopg

from resources.postgres.connection import first_line
from resources.postgres.in_turn import in_turn
from swiftbolt_assets.errors import ProviderError, StorageError, is_refusal, one_line, wait_told

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date, datetime

    from resources.postgres.database import Database

#: Where the database announces new work.
CHANNEL = "swiftbolt_work"
#: New interest waits for one batch at most; larger ones save little CPU (bench/planning.py).
SYMBOLS_A_BATCH = 100
_MESSAGE_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of sessions that one request carries: its first and last New York date."""

    first: date
    last: date


@dataclass(frozen=True)
class Claim:
    """What the platform took on in one go: all due slices of one symbol.

    Attributes:
        claim_id: marks its rows, runs and backfill.
        symbol: canonical ticker.
        priority: of its runs and requests.
        slices: newest first, at least one, none overlapping.

    """

    claim_id: UUID
    symbol: str
    priority: int
    slices: Sequence[Slice]


@dataclass(frozen=True, slots=True)
class OpenClaim:
    """A claim with slices that have not ended.

    Attributes:
        claim_id: what marks it.
        symbol: canonical ticker.
        priority: with which it was claimed.
        claimed_at: when, UTC.
        age_s: seconds since then, by the database's clock.

    """

    claim_id: UUID
    symbol: str
    priority: int
    claimed_at: datetime
    age_s: float


@dataclass(frozen=True, slots=True)
class Planned:
    """What a batch of planning came to.

    Attributes:
        rows: added to `job_runs`.
        is_more: whether more symbols may be due.

    """

    rows: int
    is_more: bool


class WorkQueue:
    """The slices of one database; each call is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def plan(self, *, least_priority: int = 0, symbol: str | None = None) -> int:
        """Cut all that is missing into slices, batch after batch; return how many rows were added.

        Args:
            least_priority: symbols that are wanted less stay unplanned.
            symbol: only this one.

        """
        rows = 0
        while True:
            planned = self.plan_some(least_priority=least_priority, symbol=symbol)
            rows += planned.rows
            if not planned.is_more:
                return rows

    def plan_some(self, *, least_priority: int = 0, symbol: str | None = None) -> Planned:
        """Plan a batch, the most wanted symbols first.

        One transaction each: whoever wants one symbol planned meanwhile waits for a batch at most.
        """
        values = (symbol, least_priority, SYMBOLS_A_BATCH)

        def batch(connection: psycopg.Connection[tuple[Any, ...]]) -> Planned:
            row = connection.execute(
                "select added, planned from plan_due_symbols(%s, %s, %s)", values
            ).fetchone()
            added, symbols = row or (0, 0)
            return Planned(added, symbols >= SYMBOLS_A_BATCH)

        # It works on many symbols at once, and so do those who track several.
        return in_turn(self._database, batch)

    def plan_doubted(self) -> int:
        """Have sessions planned that are due to be asked for again; return of how many symbols."""
        with self._database.transaction() as connection:
            row = connection.execute("select plan_doubted_sessions()").fetchone()
        return row[0] if row else 0

    def claim(self, *, least_priority: int) -> Claim | None:
        """Take the due slices of the symbol that is wanted most, None when nothing is due."""
        claim_id = uuid4()
        with self._database.transaction() as connection:
            rows = connection.execute(
                "select symbol, priority, first_day, last_day from claim_symbol(%s, %s)",
                (claim_id, least_priority),
            ).fetchall()
        if not rows:
            return None
        slices = tuple(Slice(first, last) for _, _, first, last in rows)
        return Claim(claim_id, rows[0][0], max(row[1] for row in rows), slices)

    def open_claims(self) -> list[OpenClaim]:
        """Return the claims that hold unfinished slices or rechecks, oldest first."""
        with self._database.transaction() as connection:
            rows = connection.execute(_OPEN_CLAIMS).fetchall()
        return [OpenClaim(UUID(str(row[0])), *row[1:]) for row in rows]

    def begin(self, symbol: str, first: date, last: date) -> None:
        """Note that a request now asks for these days of a symbol."""
        with self._database.transaction() as connection:
            connection.execute("select begin_slices(%s, %s, %s)", (symbol, first, last))

    def fail(
        self,
        symbol: str,
        error: ProviderError,
        asked: tuple[date, date] | None = None,
        *,
        priority: int = 100,
    ) -> int:
        """Note why a symbol's run failed; return how many rows will not be tried again.

        Args:
            symbol: canonical ticker.
            error: what ended it.
            asked: first and last day of the run; those that no slice holds get one.
            priority: of such a slice.

        """
        message = one_line(error, _MESSAGE_LENGTH)
        values = (symbol, error.code, message, not is_refusal(error), wait_told(error))
        with self._database.transaction() as connection:
            row = connection.execute(
                "select fail_slices(%s, %s, %s, %s, %s, %s, %s, %s)",
                (*values, *(asked or (None, None)), priority),
            ).fetchone()
        return row[0] if row else 0

    def release(
        self,
        claims: Collection[UUID],
        message: str,
        span: tuple[date, date] | None = None,
        *,
        code: str | None = None,
    ) -> int:
        """Give back what claims hold; return how many rows that were.

        Args:
            claims: whose runs are over.
            message: why, one line.
            span: first and last day of what is given back; None for all.
            code: the error's, when a run failed by itself: then all its slices wait a while, and
                have used up an attempt. None when its process died: what had begun has.

        """
        if not claims:
            return 0
        with self._database.transaction() as connection:
            row = connection.execute(
                "select release_claims(%s, %s, %s, %s, %s)",
                (list(claims), message[:_MESSAGE_LENGTH], *(span or (None, None)), code),
            ).fetchone()
            rechecks = connection.execute(
                _RELEASE_RECHECKS, (message[:_MESSAGE_LENGTH], list(claims))
            ).rowcount
        return (row[0] if row else 0) + rechecks

    def cancel(self, claims: Collection[UUID], message: str) -> int:
        """End what claims hold because a person cancelled it; return how many rows that were."""
        if not claims:
            return 0
        with self._database.transaction() as connection:
            row = connection.execute(
                "select cancel_claims(%s, %s)", (list(claims), message)
            ).fetchone()
            rechecks = connection.execute(_CANCEL_RECHECKS, (message, list(claims))).rowcount
        return (row[0] if row else 0) + rechecks

    def restart(self, symbol: str) -> int:
        """Start a symbol's attempts anew; return how many rows had used some up."""
        with self._database.transaction() as connection:
            row = connection.execute("select restart_slices(%s)", (symbol,)).fetchone()
        return row[0] if row else 0

    def reset_stale(self) -> int:
        """Give back rows that a command or an outside worker began and left; return how many."""
        return in_turn(
            self._database,
            lambda connection: _number(
                connection.execute(
                    "select release_abandoned() + requeued + failed from reset_stale_running_jobs()"
                )
            ),
        )

    def beat(self) -> None:
        """Note that the platform ticks: `cron.job` shows it as active for two minutes."""
        with self._database.transaction() as connection:
            connection.execute(
                "insert into heartbeats values ('orchestrator-tick', clock_timestamp())"
                " on conflict (name) do update set beat_at = excluded.beat_at"
            )

    def listen(self) -> Listener:
        """Return what hears announcements from now on; use it as a context manager.

        Raises:
            StorageError: the database does not answer.

        """
        return Listener(self._database)


def _number(cursor: psycopg.Cursor[tuple[Any, ...]]) -> int:
    row = cursor.fetchone()
    return int(row[0]) if row else 0


class Listener:
    """Hears announcements from the moment it is entered, so that none falls between two looks."""

    def __init__(self, database: Database) -> None:
        self._connection = database.connect(autocommit=True)
        self._connection.execute(f"listen {CHANNEL}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def wait(self, seconds: float) -> bool:
        """Sleep until work is announced, or for so many seconds; return whether it was.

        Raises:
            StorageError: the database went away.

        """
        try:
            return any(True for _ in self._connection.notifies(timeout=seconds, stop_after=1))
        except psycopg.Error as error:
            raise StorageError(f"database: {first_line(error)}") from error


_OPEN_CLAIMS = """
select claim_id, symbol, priority, claimed_at,
  extract(epoch from clock_timestamp() - claimed_at)::float8
  from (
    select claim_id, symbol, max(priority) as priority, min(claimed_at) as claimed_at
      from job_runs where claim_id is not null and status in ('queued', 'running')
     group by claim_id, symbol
    union all
    select r.claim_id, s.ticker, r.priority, r.claimed_at
      from rechecks r join symbols s on s.id = r.symbol_id where r.claim_id is not null
  ) claims
 order by claimed_at
"""
# Its request may have been sent: the next one is a minute away.
_RELEASE_RECHECKS = """
update rechecks set claim_id = null, claimed_at = null, failures = failures + 1, error = %s,
  due_at = greatest(clock_timestamp(), request_at + interval '1 minute',
    case when failures > 0 then clock_timestamp() + retry_delay(failures) end)
 where claim_id = any(%s)
"""
_CANCEL_RECHECKS = """
update rechecks set claim_id = null, claimed_at = null, error = %s, ended_at = clock_timestamp()
 where claim_id = any(%s)
"""
