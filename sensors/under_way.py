"""Whether a run of a job is under way, so that a tick starts no second one.

What belongs here: the question. What does not: when something is due (the sensors).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from datetime import timedelta

_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def is_under_way(instance: dg.DagsterInstance, job: str, longest: timedelta) -> bool:
    """Return whether a run of a job waits or works; one that is older than `longest` was lost."""
    runs = dg.RunsFilter(
        job_name=job, statuses=_UNDER_WAY, created_after=datetime.now(UTC) - longest
    )
    return instance.get_runs_count(runs) > 0
