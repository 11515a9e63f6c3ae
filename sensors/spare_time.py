"""What sensors share whose jobs ask a provider in spare time, one run at once.

What belongs here: their runs' tags, and whether one is under way. What does not: when something is
due (`splits.py`, `tickers.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from resources.provider_health import ProviderHealth
from swiftbolt_assets.assets.bars import PRIORITY_TAG
from swiftbolt_assets.orchestration.launching import FILL_TAG, LANE_TAG

if TYPE_CHECKING:
    from resources.dagster import Storage

#: After every other run, and in none of the slots that today's bars have for themselves.
TAGS = {PRIORITY_TAG: "-1", FILL_TAG: "true", LANE_TAG: "bulk"}
#: A run that is older was lost; the next one starts without it.
_LONGEST_RUN = timedelta(minutes=30)
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def is_under_way(instance: dg.DagsterInstance, job: str) -> bool:
    """Return whether a run of a job waits or works."""
    runs = dg.RunsFilter(
        job_name=job, statuses=_UNDER_WAY, created_after=datetime.now(UTC) - _LONGEST_RUN
    )
    return instance.get_runs_count(runs) > 0


def reason_to_rest(storage: Storage) -> str | None:
    """Return why Polygon is left alone, one sentence; None when it is not.

    Raises:
        StorageError: the database does not answer.

    """
    cooling = ProviderHealth(storage.database.connect).rests("polygon")
    return None if cooling is None else str(cooling.error())
