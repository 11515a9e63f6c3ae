"""When old rows are pruned: a look every hour, once a day outside session hours.

The cron ticks by the wall clock; the body goes by the age of the last time and the market clock.
What belongs here: the tick. What does not: the decision (`policy/retention.py`), the run
(`jobs/retention.py`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from resources.platform.retention import Retention
from sensors.under_way import is_under_way
from swiftbolt_assets.assets.bars import PRIORITY_TAG
from swiftbolt_assets.jobs.retention import RETENTION
from swiftbolt_assets.orchestration.launching import FILL_TAG, LANE_TAG
from swiftbolt_assets.policy.retention import reason_to_wait

if TYPE_CHECKING:
    from resources.dagster import PostgresResource

#: A run that is older was lost; the next one starts without it.
_LONGEST_RUN = timedelta(hours=2)
#: After every other run, and in none of the slots that today's bars have for themselves.
_TAGS = {PRIORITY_TAG: "-2", FILL_TAG: "true", LANE_TAG: "bulk"}


def build_retention_schedule(
    postgres: PostgresResource, job: dg.JobDefinition
) -> dg.ScheduleDefinition:
    """Return the schedule that keeps both databases small."""

    @dg.schedule(
        name="retention",
        job=job,
        cron_schedule="27 * * * *",
        execution_timezone="America/New_York",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Prunes what is older than SWIFTBOLT_RETENTION_DAYS, once a day.",
    )
    def retention(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        storage = postgres.open()
        age = Retention(storage.database).age()
        reason = reason_to_wait(age, storage.clock.now(), storage.calendar)
        if reason is not None:
            return dg.SkipReason(reason)
        if is_under_way(context.instance, RETENTION, _LONGEST_RUN):
            return dg.SkipReason("old rows are being pruned")
        return dg.RunRequest(tags=_TAGS)

    return retention
