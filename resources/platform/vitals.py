"""How the platform is, in numbers: what `/health` and `/metrics` tell.

What belongs here: one cheap look a figure. What does not: lists for people (`bars/overview.py`,
`queue/backlog.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from resources.postgres.callers import Connection


@dataclass(frozen=True)
class Budget:
    """A provider's requests.

    Attributes:
        provider: its name.
        per_minute: how many any 60 s may see, 0 without a limit.
        free: that may be sent now.
        waiting: callers that wait for one.
        cooling_s: until it is asked again, 0 when it is not left alone.
        reason: why it is left alone until it answers again, None when it is not.

    """

    provider: str
    per_minute: int
    free: int
    waiting: int
    cooling_s: float
    reason: str | None


@dataclass(frozen=True)
class Vitals:
    """What one look shows.

    Attributes:
        tick_age_s: since the platform's last tick, None before the first.
        jobs: rows of `job_runs` by status, open ones and failed ones.
        budgets: of providers that were asked already, or are left alone.
        requests: of the last hour, by provider and outcome.
        bars: stored bars, estimated from the server's statistics.
        rejected: bars that were quarantined, estimated.
        symbols: that somebody wants.

    """

    tick_age_s: float | None
    jobs: Mapping[str, int]
    budgets: Sequence[Budget]
    requests: Mapping[tuple[str, str], int]
    bars: int
    rejected: int
    symbols: int


def tick_age(connection: Connection) -> float | None:
    """Return the seconds since the platform's last tick, None before the first."""
    row = connection.execute(
        "select extract(epoch from clock_timestamp() - beat_at)::float8 from heartbeats"
        " where name = 'orchestrator-tick'"
    ).fetchone()
    return row[0] if row else None


def budgets(connection: Connection) -> list[Budget]:
    """Return the providers' budgets and cool-downs."""
    return [Budget(*row) for row in connection.execute(_BUDGETS).fetchall()]


def vitals(connection: Connection) -> Vitals:
    """Return all figures."""
    jobs = connection.execute(
        "select status, count(*) from job_runs where status in ('queued', 'running', 'failed')"
        " group by 1"
    ).fetchall()
    requests = connection.execute(
        # Not clock_timestamp(): no index serves what changes from row to row.
        "select provider, outcome, count(*) from provider_requests"
        " where sent_at > now() - interval '1 hour' group by 1, 2"
    ).fetchall()
    sizes = connection.execute(_SIZES).fetchone() or (0, 0, 0)
    return Vitals(
        tick_age(connection),
        dict.fromkeys(("queued", "running", "failed"), 0) | {str(s): int(n) for s, n in jobs},
        budgets(connection),
        {(str(provider), str(outcome)): count for provider, outcome, count in requests},
        *sizes,
    )


_BUDGETS = """
select name, coalesce(l.n, 0), coalesce(s.free, 0), coalesce(s.waiting, 0),
  greatest(extract(epoch from h.cooling_until - clock_timestamp())::float8, 0), h.reason
  from rate_limit l
  full join (
    select provider as name, cooling_until, reason from provider_health
     where cooling_until is not null) h using (name)
  left join lateral rate_state(l.name) s on l.name is not null
 order by name
"""
# Counting 30 million rows takes seconds; the ledger knows m15 bars, and the server estimates.
_SIZES = """
select
  (select coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
   where i.inhparent = 'ohlc_bars_v2'::regclass),
  (select greatest(reltuples, 0)::bigint from pg_class where oid = 'rejected_bars'::regclass),
  (select count(*)::integer from wanted_symbols)
"""
