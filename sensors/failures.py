"""What follows when a run dies: the slices it had begun go back to the queue at once.

A run that a provider failed has said why in the queue already (`assets/bars.py`); here are those
that were killed, and those that failed for another reason: they wait a while, or they would fail
again at once, for ever. What belongs here: one sensor. What does not: claims whose daemon died,
too (`orchestration/lost_claims.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import dagster as dg

from swiftbolt_assets.assets.partitions import RANGE_END_TAG, RANGE_START_TAG, parse_keys
from swiftbolt_assets.dagster_private.run_tags import WILL_RETRY_TAG
from swiftbolt_assets.errors import ProviderError
from swiftbolt_assets.orchestration.failures import is_interruption, reason_of
from swiftbolt_assets.orchestration.launching import CLAIM_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from resources.dagster import PostgresResource


def build_failure_sensor(postgres: PostgresResource) -> dg.SensorDefinition:
    """Return the sensor that gives back the slices of failed runs."""

    @dg.run_failure_sensor(
        name="failed_runs",
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Gives the slices of a run that died back to the queue.",
    )
    def failed_runs(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        given = slices_to_release(context.dagster_run.tags)
        if given is None:
            return dg.SkipReason("Dagster starts the run again, or it was no claim's")
        claim, span = given
        reason = reason_of_failure(context.get_step_failure_events())
        died = context.failure_event.message or "the run failed"
        released = postgres.open().work.release(
            [claim],
            reason or died.splitlines()[0],
            span,
            code=ProviderError.code if reason else None,
        )
        context.log.info(f"run {context.dagster_run.run_id}: {released} slices wait again")
        return None

    return failed_runs


def reason_of_failure(steps: Sequence[dg.DagsterEvent]) -> str | None:
    """Return why a run failed by itself, None when its process was killed or told to stop."""
    for step in steps:
        if not is_interruption(step):
            return reason_of(step)
    return None


def slices_to_release(tags: Mapping[str, str]) -> tuple[UUID, tuple[date, date] | None] | None:
    """Return the claim of a failed run and the days it worked on, None when nothing is to be done.

    Args:
        tags: the run's; without a range of days it worked on all of its claim.

    """
    if CLAIM_TAG not in tags or tags.get(WILL_RETRY_TAG) == "true":
        return None
    if RANGE_START_TAG not in tags:
        return UUID(tags[CLAIM_TAG]), None
    first, last = parse_keys((tags[RANGE_START_TAG], tags[RANGE_END_TAG]))
    return UUID(tags[CLAIM_TAG]), (first.day, last.day)
