"""When splits are asked for: once a day, and once after a new symbol's bars.

A look at the database every half minute; most looks end in a sentence. What belongs here: the
tick. What does not: what is due (`resources/bars/splits.py`), the run (`jobs/splits.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from resources.bars.splits import SplitBook
from resources.providers.registry import HISTORY
from sensors.spare_time import LONGEST_RUN, TAGS, reason_to_rest
from sensors.under_way import is_under_way
from swiftbolt_assets.jobs.splits import LOOK_UP_SPLITS

if TYPE_CHECKING:
    from resources.dagster import HistoryResource, PostgresResource
    from resources.storage import Storage

INTERVAL_S = 30


def build_splits_sensor(
    postgres: PostgresResource, history: HistoryResource
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
        if history.source().is_off:
            return dg.SkipReason(f"{HISTORY.key_variable} is unset: splits are off")
        reason = reason_to_wait(postgres.open())
        if reason is not None:
            return dg.SkipReason(reason)
        if is_under_way(context.instance, LOOK_UP_SPLITS, LONGEST_RUN):
            return dg.SkipReason("a look-up is still under way")
        return dg.RunRequest(tags=TAGS)

    return splits


def reason_to_wait(storage: Storage) -> str | None:
    """Return why nothing is to be asked now, one sentence; None when something is due.

    Raises:
        StorageError: the database does not answer; a failed read is not an empty list.

    """
    if not SplitBook(storage.database).due(storage.clock.today()):
        return "nothing is due: all splits are known, a failed look-up waits, or bars go first"
    return reason_to_rest(storage)
