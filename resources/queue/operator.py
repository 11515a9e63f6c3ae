"""What an operator causes and sees through the API's `orchestrator`: ticks, retries, the queue.

What belongs here: statements about many slices at once. What does not: single steps (`slices.py`),
lists for people (`backlog.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resources.queue.slices import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from resources.postgres.callers import Connection

_LISTED, _RECENT = 10, 20
_COLUMNS = (
    "id", "symbol", "timeframe", "job_type", "status", "slice_from", "slice_to",
    "progress_percent", "rows_written", "provider", "attempt", "priority", "error_code",
    "error_message", "triggered_by", "created_at", "started_at", "finished_at",
)  # fmt: skip


@dataclass(frozen=True)
class QueueReport:
    """The queue in rows of `job_runs`.

    Attributes:
        queued, running: true totals.
        queued_jobs, running_jobs, recent_jobs: rows, a few.

    """

    queued: int
    running: int
    queued_jobs: Sequence[dict[str, Any]]
    running_jobs: Sequence[dict[str, Any]]
    recent_jobs: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class RunState:
    """One row of `job_runs`, as a worker's dispatcher sees it.

    Attributes:
        status: queued, running, success, failed or cancelled.
        rows_written: bars of its timeframe.
        provider: who was asked, None before.
        wait_s: until its next attempt may begin, None when it may now.
        error_code, error_message: why the last attempt failed, None without.

    """

    status: str
    rows_written: int
    provider: str | None
    wait_s: float | None
    error_code: str | None
    error_message: str | None

    @property
    def is_refused(self) -> bool:
        """Return whether the provider has refused it just now; it is asked again later."""
        is_waiting = self.status == "queued" and (self.wait_s or 0) > 0
        return is_waiting and self.error_code in {"INVALID_SYMBOL", "PERMISSION_DENIED"}


def enabled_definitions(connection: Connection) -> int:
    """Return how many definitions are enabled."""
    return _count(connection, "select count(*) from job_definitions where enabled")


def begin_tick(connection: Connection) -> tuple[float, bool]:
    """Wake whoever waits for work; return the database's clock, and whether the platform ticks."""
    row = connection.execute(_WAKE, (CHANNEL,)).fetchone()
    return (row[0], row[1]) if row else (0.0, False)


def claimed_since(connection: Connection, clock: float) -> tuple[int, int]:
    """Return the slices claimed since an instant of the database's clock, and those still due."""
    row = connection.execute(_CLAIMED, {"since": clock}).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def retry_failed(connection: Connection) -> int:
    """Queue all failed rows anew; return how many."""
    return _count(connection, "select requeue_failed(null, true)")


def queue_report(connection: Connection) -> QueueReport:
    """Return the queue; its totals are true however long the lists are."""
    return QueueReport(
        _count(connection, "select count(*) from job_runs where status = 'queued'"),
        _count(connection, "select count(*) from job_runs where status = 'running'"),
        _rows(connection, "status = 'queued' order by priority desc, created_at", _LISTED),
        _rows(connection, "status = 'running' order by started_at", _LISTED),
        _rows(
            connection,
            "status in ('success', 'failed') and finished_at is not null"
            " order by finished_at desc nulls last",
            _RECENT,
        ),
    )


def raise_run(connection: Connection, run: UUID, symbol: str, timeframe: str) -> bool:
    """Put a slice before all others; return whether a symbol's timeframe has such a row."""
    row = connection.execute(_RAISE, (run, symbol, timeframe, CHANNEL)).fetchone()
    return row is not None


def run_state(connection: Connection, run: UUID) -> RunState | None:
    """Return a row of `job_runs`, None when it is gone."""
    row = connection.execute(
        "select status, rows_written, provider,"
        " extract(epoch from next_attempt_at - clock_timestamp())::float8, error_code,"
        " error_message from job_runs where id = %s",
        (run,),
    ).fetchone()
    return RunState(*row) if row else None


def _count(connection: Connection, statement: str) -> int:
    row = connection.execute(statement.encode()).fetchone()
    return int(row[0]) if row else 0


def _rows(connection: Connection, which: str, most: int) -> list[dict[str, Any]]:
    statement = f"select {', '.join(_COLUMNS)} from job_runs where {which} limit {most}"  # noqa: S608
    rows = connection.execute(statement.encode()).fetchall()
    return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]


_WAKE = """
select extract(epoch from clock_timestamp())::float8,
  exists (
    select from heartbeats
     where name = 'orchestrator-tick' and beat_at > clock_timestamp() - interval '30 seconds')
  from (select pg_notify(%s, '')) woken
"""
_CLAIMED = """
select count(*) filter (where claimed_at >= to_timestamp(%(since)s)),
  count(*) filter (where status = 'queued' and claim_id is null
    and (next_attempt_at is null or next_attempt_at <= clock_timestamp())
    and last_day < market_today())
  from (
    select distinct on (symbol, last_day) symbol, last_day, status, claim_id, claimed_at,
      next_attempt_at
      from job_runs
     where claimed_at >= to_timestamp(%(since)s) or (status = 'queued' and claim_id is null)
  ) slices
"""
# The three timeframes of a slice are one request.
_RAISE = """
with chosen as (
  select symbol, first_day, last_day, id from job_runs
   where id = %s and symbol = %s and timeframe = %s::timeframe
), raised as (
  update job_runs r set priority = 1000000,
    next_attempt_at = case when r.error_code = 'RATE_LIMIT_EXCEEDED' then r.next_attempt_at end
    from chosen c
   where r.status = 'queued' and r.claim_id is null
     and (r.id = c.id or (r.symbol = c.symbol and r.first_day = c.first_day
       and r.last_day = c.last_day))
  returning r.id
), asked as (
  -- A person asks for it: its refusals wait for nothing.
  update symbol_refusals f set next_attempt_at = null from chosen c where f.symbol = c.symbol
), woken as (
  select pg_notify(%s, '') from (select count(*) from raised) n
)
select c.id from chosen c cross join woken
"""
