"""When splits are asked for: once a day, and once after a new symbol's bars.

A look at the database every half minute; most looks end in a sentence. What belongs here: the
tick. What does not: what is due (`resources/splits.py`), the run (`assets/splits.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from resources.provider_health import ProviderHealth
from resources.splits import SplitBook
from swiftbolt_assets.assets.bars import PRIORITY_TAG
from swiftbolt_assets.assets.splits import LOOK_UP_SPLITS
from swiftbolt_assets.orchestration.launching import FILL_TAG, LANE_TAG

if TYPE_CHECKING:
    from resources.dagster import PolygonResource, PostgresResource, Storage

INTERVAL_S = 30
#: A run that is older was lost; the next one starts without it.
_LONGEST_RUN = timedelta(minutes=30)
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
#: After every other run, and in none of the slots that today's bars have for themselves.
_TAGS = {PRIORITY_TAG: "-1", FILL_TAG: "true", LANE_TAG: "bulk"}


def build_splits_sensor(
    postgres: PostgresResource, polygon: PolygonResource
) -> dg.SensorDefinition:
    """Return the sensor that keeps splits current."""

    @dg.sensor(
        name="splits",
        job_name=LOOK_UP_SPLITS,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for share splits: once a day for all symbols, once for each new one.",
    )
    def splits(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if polygon.is_off():
            return dg.SkipReason("POLYGON_API_KEY is unset: splits are off")
        reason = reason_to_wait(postgres.open())
        if reason is not None:
            return dg.SkipReason(reason)
        under_way = dg.RunsFilter(
            job_name=LOOK_UP_SPLITS,
            statuses=_UNDER_WAY,
            created_after=datetime.now(UTC) - _LONGEST_RUN,
        )
        if context.instance.get_runs_count(under_way):
            return dg.SkipReason("a look-up is still under way")
        return dg.RunRequest(tags=_TAGS)

    return splits


def reason_to_wait(storage: Storage) -> str | None:
    """Return why nothing is to be asked now, one sentence; None when something is due.

    Raises:
        StorageError: the database does not answer; a failed read is not an empty list.

    """
    if not SplitBook(storage.database).due(storage.clock.today()):
        return "nothing is due: all splits are known, a failed look-up waits, or bars go first"
    cooling = ProviderHealth(storage.database.connect).rests("polygon")
    return None if cooling is None else str(cooling.error())
