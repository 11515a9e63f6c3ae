"""What people see of the queue: what waits, what is at work, what ended, what failed and why.

A slice's rows of three timeframes are fetched by one request and count once. What belongs
here: read-only statements about `job_runs`. What does not: moving slices through the queue
(`slices.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from resources.postgres.database import Database

#: So many slices of one state are listed at most.
_MOST = 100
_DONE = "status = 'success'"
#: Which rows of a state are looked at: the newest. Of those that are done an index knows them.
_ENDED = "finished_at desc nulls last"
_TOUCHED = "coalesce(finished_at, started_at, created_at) desc"


@dataclass(frozen=True)
class Queue:
    """How many slices are in which state; none is in two.

    Attributes:
        queued: wait, and may begin now.
        running: asked for now.
        retrying: wait for their next attempt.
        failed: ended without success; a person or another day brings the next attempt.
        next_attempt_s: until the first of those that wait tries again, None without.
        last_attempt_s: until the last of them does, None without; what was refused may wait for
            days, and does not count.
        requests_ahead: slices to be asked for until those that were asked about are done.
        unplanned: symbols that are wanted and not planned yet.

    """

    queued: int
    running: int
    retrying: int
    failed: int
    next_attempt_s: float | None
    last_attempt_s: float | None
    requests_ahead: int
    unplanned: int


@dataclass(frozen=True)
class ListedSlice:
    """One slice in one state.

    Attributes:
        symbol: canonical ticker.
        timeframes: those that wait for it.
        first_day: first New York date; None of a row that somebody else inserted without days.
        last_day: last New York date.
        sessions: in between.
        priority: higher goes first.
        attempt: counted from 1.
        progress_percent: settled sessions.
        rows_written: bars of all timeframes.
        started_at: when the latest attempt began.
        finished_at: when it ended.
        next_attempt_at: when it is tried again, None without.
        error_code: why the last attempt failed, None without.
        error_message: the same in words.
        age_s: seconds since it ended, or began, or was queued.

    """

    symbol: str
    timeframes: Sequence[str]
    first_day: date | None
    last_day: date | None
    sessions: int | None
    priority: int
    attempt: int
    progress_percent: int
    rows_written: int
    started_at: datetime | None
    finished_at: datetime | None
    next_attempt_at: datetime | None
    error_code: str | None
    error_message: str | None
    age_s: float


def queue(database: Database, symbol: str | None, *, least_priority: int) -> Queue:
    """Return the state of the queue, or of one symbol's part of it.

    Args:
        database: the bars' database.
        symbol: only this one; what goes before it counts as `requests_ahead`.
        least_priority: symbols that are wanted less are not planned at all.

    """
    values = {"symbol": symbol, "least": least_priority}
    with database.transaction() as connection:
        row = connection.execute(_QUEUE, values).fetchone()
    return Queue(*row) if row else Queue(0, 0, 0, 0, None, None, 0, 0)


def running_slices(database: Database, symbol: str | None) -> list[ListedSlice]:
    """Return what is asked for now, the oldest first."""
    return _listed(database, symbol, "status = 'running'", "age_s desc", _MOST)


def retrying_slices(database: Database, symbol: str | None) -> list[ListedSlice]:
    """Return what waits for its next attempt, the next first."""
    waits = "status = 'queued' and next_attempt_at > clock_timestamp()"
    return _listed(database, symbol, waits, "next_attempt_at", _MOST)


def failed_slices(database: Database, symbol: str | None) -> list[ListedSlice]:
    """Return what failed, the latest first."""
    return _listed(database, symbol, "status = 'failed'", "finished_at desc nulls last", _MOST)


def recent_slices(database: Database, symbol: str | None, most: int) -> list[ListedSlice]:
    """Return the last successes, the latest first."""
    return _listed(database, symbol, _DONE, "finished_at desc nulls last", most)


def _listed(
    database: Database, symbol: str | None, state: str, order: str, most: int
) -> list[ListedSlice]:
    newest = _ENDED if state == _DONE else _TOUCHED
    statement = _LISTED.format(state=state, order=order, newest=newest)
    values = {"symbol": symbol, "most": most, "rows": most * 10}
    with database.transaction() as connection:
        rows = connection.execute(statement.encode(), values).fetchall()
    return [ListedSlice(*row) for row in rows]


_QUEUE = """
with asked as (
  select *, extract(epoch from next_attempt_at - clock_timestamp())::float8 as wait_s
    from slices where %(symbol)s::text is null or symbol = %(symbol)s
)
select count(*) filter (where state = 'queued'), count(*) filter (where state = 'running'),
  count(*) filter (where state = 'retrying'), count(*) filter (where state = 'failed'),
  min(wait_s) filter (where state = 'retrying'),
  max(wait_s) filter (where state = 'retrying' and not is_refused),
  (select count(*) from slices
    where state in ('queued', 'retrying') and priority >= (
      select min(priority) from asked where state in ('queued', 'retrying'))),
  -- What plan_job_runs() would plan now.
  (select count(*)
    from wanted_symbols w left join symbol_plans p using (symbol)
   where w.priority >= %(least)s and (%(symbol)s::text is null or symbol = %(symbol)s)
     and (p.wanted is distinct from w.wanted or p.stale
       or p.last_day <> (select max(day) from market_sessions where day < market_today())))
  from asked
"""
# Of a slice that succeeded more than once, the last time counts.
_LISTED = """
with rows as (
  select * from job_runs
   where {state} and (%(symbol)s::text is null or symbol = %(symbol)s)
   order by {newest}
   limit %(rows)s
), latest as (
  select distinct on (
      symbol, timeframe, first_day, last_day, case when first_day is null then id end) *
    from rows
   order by symbol, timeframe, first_day, last_day, case when first_day is null then id end,
     finished_at desc nulls last
)
select symbol, array_agg(timeframe::text order by timeframe), first_day, last_day, max(sessions),
  max(priority), max(attempt), max(progress_percent)::integer, sum(rows_written)::integer,
  min(started_at), max(finished_at) as finished_at, min(next_attempt_at) as next_attempt_at,
  max(error_code), max(error_message),
  extract(epoch from clock_timestamp()
    - max(coalesce(finished_at, started_at, created_at)))::float8 as age_s
  from latest
 group by symbol, first_day, last_day, case when first_day is null then id end
 order by {order}, symbol, last_day desc
 limit %(most)s
"""
