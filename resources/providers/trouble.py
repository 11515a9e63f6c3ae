"""How requests went lately: what `policy/trouble.py` decides by.

What belongs here: the two statements. What does not: what is trouble.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.providers.registry import HISTORY, NAMES
from swiftbolt_assets.policy.trouble import Attempts, Share, Trouble, troubles

if TYPE_CHECKING:
    from resources.postgres.callers import Connection


def present_troubles(connection: Connection, symbol: str | None = None) -> list[Trouble]:
    """Return what is wrong with the answers of providers.

    Args:
        connection: the owner's.
        symbol: all other symbols are left out; None for all.

    """
    attempts = [
        Attempts(*row)
        for row in connection.execute(_ATTEMPTS, {"symbol": symbol, "history": HISTORY.name})
    ]
    return troubles(
        attempts, [Share(*row) for row in connection.execute(_SHARES, {"providers": NAMES})]
    )


# Who waits a day for the next attempt is still seen. What nobody wants any more is no trouble.
_ATTEMPTS = """
with failing as (
  select distinct symbol from provider_requests
   where outcome <> 'ok' and sent_at > now() - interval '26 hours' and provider = %(history)s
     and symbol is not null and (%(symbol)s::text is null or symbol = %(symbol)s)
), attempts as (
  select f.symbol, count(*) as failed,
    count(*) filter (where q.outcome in ('BadRequestError', 'PermissionDeniedError')) as refused,
    min(q.sent_at) as since
    from failing f
    cross join lateral (
      select max(sent_at) as at from provider_requests a
       where a.symbol = f.symbol and a.provider = %(history)s and a.outcome = 'ok') answered
    join provider_requests q on q.symbol = f.symbol and q.provider = %(history)s
     and q.sent_at > now() - interval '26 hours' and q.outcome <> 'ok'
     and q.outcome not in ('RateLimitedError', 'BeyondPlanError', 'NotYetAvailableError')
     and (answered.at is null or q.sent_at > answered.at)
   group by f.symbol
)
select a.symbol, a.failed, a.refused,
  exists (
    select from provider_requests o
     where o.provider = %(history)s and o.outcome = 'ok' and o.symbol <> a.symbol
       and o.sent_at > a.since),
  coalesce((
    select r.error_message from job_runs r
     where r.symbol = a.symbol and r.error_message is not null
     order by r.updated_at desc limit 1), 'its requests fail')
  from attempts a
 where exists (
   select from job_runs r
    where r.symbol = a.symbol and r.status in ('queued', 'running', 'failed'))
"""
# Not clock_timestamp(): no index serves what changes from row to row. What a plan does not serve is
# an answer.
_SHARES = """
with counted as (
  select provider, sent_at > now() - interval '15 minutes' as is_recent,
    outcome not in ('ok', 'BeyondPlanError', 'NotYetAvailableError') as is_failed
    from unnest(%(providers)s::text[]) as p (provider)
    join provider_requests using (provider)
   where sent_at > now() - interval '1 day'
)
select provider, count(*) filter (where is_recent),
  count(*) filter (where is_recent and is_failed), count(*) filter (where not is_recent),
  count(*) filter (where not is_recent and is_failed)
  from counted group by provider order by provider
"""
