"""One definition, what somebody wants of a symbol's timeframe, and how far it is.

What belongs here: the statements behind `ensure-coverage` and what it pushes. What does not: moving
slices through the queue (`slices.py`), an operator's changes (`definitions.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from resources.providers.registry import HISTORY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from resources.postgres.callers import Connection


@dataclass(frozen=True)
class DefinitionProgress:
    """How far a definition is.

    Attributes:
        total_slices, completed_slices, running_slices, queued_slices, failed_slices: its job_runs.
        progress_percent: settled sessions of its window, rounded down.
        bars_written: bars that a chart shows of its window, forecasts aside.
        complete: whether every session before today is settled.

    """

    total_slices: int
    completed_slices: int
    running_slices: int
    queued_slices: int
    failed_slices: int
    progress_percent: int
    bars_written: int
    complete: bool


@dataclass(frozen=True)
class Coverage:
    """What is stored of a definition's timeframe.

    Attributes:
        from_ts, to_ts: the stretch that holds bars, None before the first.
        last_success_at: when something was stored last, real time.
        gaps_found: stretches of its window that are not settled.

    """

    from_ts: datetime | None
    to_ts: datetime | None
    last_success_at: datetime | None
    gaps_found: int


@dataclass(frozen=True)
class Outlook:
    """What stands between a symbol and its completeness.

    Attributes:
        priority: of its most urgent slice that waits, None when none does.
        is_running: whether one of its slices is asked for now.
        last_attempt_s: until the last of its retries may begin, None without.
        free: request slots that are free now; None without a limit.
        next_free_s: until the next one is.
        cooling_s: until the provider is asked again, 0 when it is not left alone.
        trouble: why the last attempt failed, or the provider is left alone; None without.
        is_enabled: whether it is wanted at all.
        tick_age_s: since the platform's last tick, None before the first.
        is_read_only: whether the database lets nobody write, a tick neither.

    """

    priority: int | None
    is_running: bool
    last_attempt_s: float | None
    free: int | None
    next_free_s: float
    cooling_s: float
    trouble: str | None
    is_enabled: bool
    tick_age_s: float | None
    is_read_only: bool


@dataclass(frozen=True)
class OpenSlice:
    """A slice that is not done.

    Attributes:
        first_day, last_day: New York dates.
        state: queued, running, retrying or failed.
        attempt: counted from 1.
        error_message: why the last attempt failed, None without.

    """

    first_day: date
    last_day: date
    state: str
    attempt: int
    error_message: str | None


def ensure_definition(
    connection: Connection, symbol: str, timeframe: str, *, window_days: int, priority: int
) -> UUID:
    """Have a timeframe of a symbol wanted and planned; return its definition.

    Never lowers anything.

    Raises:
        psycopg.Error: a value is refused; names it.

    """
    row = connection.execute(
        "select ensure_job(%s, %s, %s, %s)", (symbol, timeframe, window_days, priority)
    ).fetchone()
    return UUID(str(row[0])) if row else UUID(int=0)


def find_definition(connection: Connection, symbol: str, timeframe: str) -> UUID | None:
    """Return a timeframe's definition, None when nobody wants it."""
    row = connection.execute(
        "select id from job_definitions where symbol = %s and timeframe = %s::timeframe"
        " and job_type = 'fetch_intraday'",
        (symbol, timeframe),
    ).fetchone()
    return UUID(str(row[0])) if row else None


def definition_progress(
    connection: Connection, definition: UUID, timeframe: str
) -> DefinitionProgress | None:
    """Return how far a definition is, None when it is gone.

    Its bars are told in a timeframe: its own, or the days and weeks that are made of it.
    """
    row = connection.execute(
        _PROGRESS, {"definition": definition, "timeframe": timeframe}
    ).fetchone()
    return DefinitionProgress(*row) if row else None


def backfill_state(connection: Connection, symbol: str) -> str | None:
    """Return a word on a symbol's widest definition, None when nobody wants the symbol.

    It is pending, running, completed, or failed.
    """
    row = connection.execute(_STATE, (symbol,)).fetchone()
    return str(row[0]) if row else None


def definition_coverage(connection: Connection, definition: UUID) -> Coverage:
    """Return what is stored of a definition's timeframe."""
    row = connection.execute(_COVERAGE, (definition,)).fetchone()
    return Coverage(*row) if row else Coverage(None, None, None, 0)


def outlook_of(connection: Connection, symbol: str) -> Outlook:
    """Return what a symbol waits for; as the owner."""
    # An aggregate: there is always a row.
    return Outlook(
        *connection.execute(_OUTLOOK, {"symbol": symbol, "history": HISTORY.name}).fetchall()[0]
    )


def open_slices(connection: Connection, symbol: str) -> Sequence[OpenSlice]:
    """Return a symbol's slices that are not done, newest first."""
    rows = connection.execute(_OPEN, (symbol,)).fetchall()
    return [OpenSlice(*row) for row in rows]


_PROGRESS = """
select p.total_slices, p.completed_slices, p.running_slices, p.queued_slices, p.failed_slices,
  p.progress_percent,
  case
    when d.timeframe = %(timeframe)s::timeframe then p.bars_written
    else count_chart_bars(s.id, %(timeframe)s::timeframe, market_today() - d.window_days)
  end,
  p.complete
  from job_definitions d
  join symbols s on s.ticker = d.symbol
  cross join get_job_progress(d.id) p
 where d.id = %(definition)s
"""
_STATE = """
select case
    when p.complete then 'completed'
    when p.running_slices > 0 then 'running'
    when p.failed_slices > 0 and p.queued_slices = 0 then 'failed'
    else 'pending'
  end
  from job_definitions d cross join get_job_progress(d.id) p
 where d.symbol = %s and d.enabled
 order by d.window_days desc, d.timeframe limit 1
"""
_COVERAGE = """
select c.from_ts, c.to_ts, c.last_success_at,
  (select count(*) from get_coverage_gaps(d.symbol, d.timeframe::text, d.window_days))
  from job_definitions d
  left join coverage_status c on c.symbol = d.symbol and c.timeframe = d.timeframe
 where d.id = %s
"""
_OUTLOOK = """
with mine as (
  select max(priority) filter (where state in ('queued', 'retrying')) as priority,
    coalesce(bool_or(state = 'running'), false) as is_running,
    extract(epoch from max(next_attempt_at) - clock_timestamp())::float8 as last_attempt_s,
    (array_agg(error_message order by updated_at desc)
      filter (where error_message is not null))[1] as trouble
    from slices where symbol = %(symbol)s
), cooling as (
  select greatest(extract(epoch from cooling_until - clock_timestamp()), 0)::float8 as seconds,
    reason
    from provider_health where provider = %(history)s and cooling_until is not null
     and (for_all or %(symbol)s = any(symbols))
)
select mine.priority, mine.is_running, greatest(mine.last_attempt_s, 0),
  rate.free, coalesce(rate.next_free_s, 0),
  coalesce(cooling.seconds, 0), coalesce(%(history)s || ': ' || cooling.reason, mine.trouble),
  exists (select from wanted_symbols where symbol = %(symbol)s),
  (select extract(epoch from clock_timestamp() - beat_at)::float8 from heartbeats
    where name = 'orchestrator-tick'),
  current_setting('transaction_read_only') = 'on'
  from mine
  left join cooling on true
  left join rate_state(%(history)s) rate on true
"""
_OPEN = """
select first_day, last_day, state, attempt, error_message
  from slices where symbol = %s and first_day is not null
 order by last_day desc
"""
