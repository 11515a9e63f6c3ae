"""How far a fill has come, read from the ledger while it runs.

What belongs here: the statements behind progress bars and summaries. What does not: drawing
(`swiftbolt_assets/cli/progress.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.policy.request_windows import theoretical_minimum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from resources.postgres.database import Database


@dataclass(frozen=True)
class Mark:
    """Where the logs stood when a fill began."""

    request: int
    reject: int


@dataclass(frozen=True)
class Progress:
    """How far a fill has come.

    Attributes:
        sessions: past sessions wanted, over all symbols.
        final: of them, those that are settled.
        bars: stored bars of the wanted days by timeframe.
        requests: sent since the mark, to any provider.
        base_minutes: one-minute bars behind the replies of history since the mark.
        rejected: bars quarantined since the mark.
        minimum: the fewest requests that could have carried those replies.

    """

    sessions: int
    final: int
    bars: Mapping[Timeframe, int]
    requests: int
    base_minutes: int
    rejected: int
    minimum: int

    @property
    def complete(self) -> bool:
        """Return whether every past session is settled."""
        return self.final >= self.sessions


def mark(database: Database) -> Mark:
    """Return where the logs stand now."""
    with database.transaction() as connection:
        row = connection.execute(
            "select (select coalesce(max(id), 0) from provider_requests),"
            " (select coalesce(max(id), 0) from rejected_bars)"
        ).fetchone()
    return Mark(*(row or (0, 0)))


def is_pending(database: Database, symbols: Sequence[str]) -> bool:
    """Return whether the queue still has something to do for some symbols.

    What the provider refuses is asked for again in minutes, hours and days: nobody waits for that.
    """
    with database.transaction() as connection:
        row = connection.execute(_PENDING, {"symbols": list(symbols)}).fetchone()
    return bool(row and row[0])


def failures(database: Database, symbols: Sequence[str]) -> list[str]:
    """Return why slices of some symbols were refused or failed, each reason once."""
    with database.transaction() as connection:
        rows = connection.execute(
            _FAILURES,
            (list(symbols),),
        ).fetchall()
    return [f"{symbol}: {message}" for symbol, message in rows]


def unbelieved(database: Database, symbols: Mapping[str, UUID], days: Sequence[date]) -> list[str]:
    """Return a line for each symbol of which more was rejected than stored in some sessions.

    Args:
        database: the bars' database.
        symbols: ticker -> id.
        days: the wanted session dates before today.

    """
    with database.transaction() as connection:
        rows = connection.execute(
            _UNBELIEVED, {"symbols": list(symbols.values()), "days": list(days)}
        ).fetchall()
    return [
        f"{symbol}: more quarter hours were rejected ({rejected:,}) than stored ({bars:,})"
        f" ({rule}: {value}); they are asked for again"
        for symbol, bars, rejected, rule, value in rows
    ]


def progress(
    database: Database, symbols: Mapping[str, UUID], days: Sequence[date], past: int, since: Mark
) -> Progress:
    """Return how far some symbols' days are.

    Args:
        database: the bars' database.
        symbols: ticker -> id.
        days: the wanted session dates, ascending; today's may be the last.
        past: how many of them, from the first on, lie before today.
        since: counts of requests and rejects begin here.

    """
    ids = list(symbols.values())
    with database.transaction() as connection:
        final = connection.execute(
            "select count(*) from session_coverage"
            " where symbol_id = any(%s) and day = any(%s) and state = 'final'",
            (ids, list(days[:past])),
        ).fetchone()
        bars = connection.execute(
            "select b.timeframe::text, count(distinct (b.symbol_id, b.ts)) from ohlc_bars_v2 b"
            " where b.symbol_id = any(%s) and not b.is_forecast"
            " and b.timeframe = any (stored_timeframes())"
            " and b.ts >= new_york_midnight(%s) and b.ts < new_york_midnight(%s + 1)"
            " group by 1",
            (ids, days[0], days[-1]),
        ).fetchall()
        requests = connection.execute(
            "select symbol, count(*), coalesce(sum(base_minutes) filter (where outcome = 'ok'), 0)"
            " from provider_requests where id > %s and symbol = any(%s) group by 1",
            (since.request, list(symbols)),
        ).fetchall()
        rejected = connection.execute(
            "select count(*) from rejected_bars where id > %s and symbol_id = any(%s)",
            (since.reject, ids),
        ).fetchone()
    return Progress(
        sessions=past * len(ids),
        final=final[0] if final else 0,
        bars=dict.fromkeys(Timeframe, 0) | {Timeframe(name): count for name, count in bars},
        requests=sum(row[1] for row in requests),
        base_minutes=sum(row[2] for row in requests),
        rejected=rejected[0] if rejected else 0,
        minimum=sum(theoretical_minimum(row[2]) for row in requests),
    )


_UNBELIEVED = """
with judged as (
  select c.symbol_id, sum(c.bars) as bars,
    sum(case when c.bars = 0 then case when c.reason = 'rejected' then c.expected else 0 end
      else (select count(*) from jsonb_each_text(c.absences) a where a.value = 'rejected') end)
      as rejected
    from session_coverage c where c.symbol_id = any(%(symbols)s) and c.day = any(%(days)s)
   group by c.symbol_id
)
select y.ticker, j.bars, j.rejected, coalesce(r.rule, 'rejected'), coalesce(r.value, '')
  from judged j join symbols y on y.id = j.symbol_id
  left join lateral (
    select min(b.rule) as rule, min(b.value) as value from rejected_bars b
     where b.symbol_id = j.symbol_id
       and (b.ts at time zone 'America/New_York')::date = any(%(days)s)
     group by b.rule order by count(*) desc limit 1) r on true
 where j.rejected > j.bars order by 1
"""
# Without a pause or an error it is not refused: null would be neither.
_REFUSED = """coalesce(status = 'queued' and next_attempt_at > clock_timestamp()
  and error_code in ('INVALID_SYMBOL', 'PERMISSION_DENIED'), false)"""
_FAILURES = f"""
select distinct symbol, error_message from job_runs
 where symbol = any(%s) and (status = 'failed' or {_REFUSED}) order by 1, 2
"""  # noqa: S608 - both parts are written here
_PENDING = f"""
select exists (
    select from wanted_symbols w left join symbol_plans p using (symbol)
    where w.symbol = any(%(symbols)s) and (p.wanted is distinct from w.wanted or p.stale))
  or exists (
    select from job_runs where symbol = any(%(symbols)s) and status in ('queued', 'running')
      and not {_REFUSED})
"""  # noqa: S608 - both parts are written here
