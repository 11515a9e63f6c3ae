"""When today's bars are refreshed: a look every minute, one run for all symbols that are due.

The cron ticks by the wall clock; the body goes by the market clock, which a setting may move. What
belongs here: the tick, which ends in one run or one sentence. What does not: who is due
(`policy/freshness.py`), the run (`jobs/live.py`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from resources.bars.live import LiveBook
from resources.providers.health import ProviderHealth
from resources.providers.registry import TODAY
from sensors.under_way import is_under_way
from swiftbolt_assets.assets.bars import PRIORITY_TAG
from swiftbolt_assets.jobs.live import REFRESH_TODAY
from swiftbolt_assets.policy.freshness import age, awaited_close, closed_hours, due

if TYPE_CHECKING:
    from resources.dagster import PostgresResource, TodayResource
    from resources.storage import Storage

#: Before every other run that waits for a slot.
_PRIORITY = 1_000_000
#: A run that is older was lost; the next one starts without it.
_LONGEST_RUN = timedelta(minutes=5)


def build_live_schedule(
    postgres: PostgresResource,
    today: TodayResource,
    job: dg.JobDefinition,
    *,
    least_priority: int,
) -> dg.ScheduleDefinition:
    """Return the schedule that keeps today's bars fresh."""

    @dg.schedule(
        name="live",
        job=job,
        cron_schedule="* * * * *",
        execution_timezone="America/New_York",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Refreshes today's bars in session hours, and once after the close.",
    )
    def live(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if today.source().is_off:
            return dg.SkipReason(f"{TODAY.key_variable} is unset: today's bars are off")
        reason = reason_to_wait(postgres.open(), least_priority)
        if reason is not None:
            return dg.SkipReason(reason)
        if is_under_way(context.instance, REFRESH_TODAY, _LONGEST_RUN):
            return dg.SkipReason("the refresh of a minute ago is still under way")
        return dg.RunRequest(tags={PRIORITY_TAG: str(_PRIORITY)})

    return live


def reason_to_wait(storage: Storage, least_priority: int) -> str | None:
    """Return why nothing is to be launched now, one sentence; None when somebody is due.

    Raises:
        StorageError: the database does not answer; a failed read is not an empty list.

    """
    now, session = storage.clock.now(), storage.calendar.session(storage.clock.today())
    if session is None or now < session.opens:
        return closed_hours(storage.calendar, now)
    watched = LiveBook(storage.database).watched(least_priority=least_priority)
    someone = any(one.may_ask for one in watched)
    if due(watched, session, now) or (someone and awaited_close(session, now)):
        cooling = ProviderHealth(storage.database.transaction).rests(TODAY.name)
        return None if cooling is None else str(cooling.error())
    if not watched:
        return "no symbol is tracked"
    if not someone:
        return f"all {len(watched)} symbols failed and wait to be asked again"
    oldest = max(age(one, session, now) for one in watched)
    return closed_hours(storage.calendar, now) or (
        f"nothing is due: {len(watched)} symbols, the oldest {oldest.total_seconds():.0f} s"
    )
