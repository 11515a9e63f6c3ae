"""When the list of tickers is asked for: each month, a page a minute, with slots that nobody wants.

What belongs here: the tick, which ends in one run or one sentence. What does not: what is due
(`resources/listed.py`), the run (`assets/tickers.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from resources.listed import TickerList
from resources.provider_health import ProviderHealth
from swiftbolt_assets.assets.bars import PRIORITY_TAG
from swiftbolt_assets.assets.tickers import LIST_TICKERS
from swiftbolt_assets.orchestration.launching import FILL_TAG, LANE_TAG

if TYPE_CHECKING:
    from resources.dagster import PolygonResource, PostgresResource, Storage

INTERVAL_S = 60
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


def build_tickers_sensor(
    postgres: PostgresResource, polygon: PolygonResource
) -> dg.SensorDefinition:
    """Return the sensor that keeps the list of tickers current."""

    @dg.sensor(
        name="tickers",
        job_name=LIST_TICKERS,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for the list of tickers and names each month, when nothing else is.",
    )
    def tickers(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if polygon.is_off():
            return dg.SkipReason("POLYGON_API_KEY is unset: the list of tickers is off")
        reason = reason_to_wait(postgres.open(), polygon)
        if reason is not None:
            return dg.SkipReason(reason)
        under_way = dg.RunsFilter(
            job_name=LIST_TICKERS,
            statuses=_UNDER_WAY,
            created_after=datetime.now(UTC) - _LONGEST_RUN,
        )
        if context.instance.get_runs_count(under_way):
            return dg.SkipReason("a page is still under way")
        return dg.RunRequest(tags=_TAGS)

    return tickers


def reason_to_wait(storage: Storage, polygon: PolygonResource) -> str | None:
    """Return why no page is to be asked for now, one sentence; None when one is.

    Raises:
        StorageError: the database does not answer; a failed read is not an empty list.

    """
    due = TickerList(storage.database).due(storage.clock.today())
    if due is None:
        return "nothing is due: the list is of this month, a failed page waits, or bars go first"
    if due.is_patient and not polygon.is_idle(storage):
        return "the budget is in use: the list waits for slots that nobody wants"
    cooling = ProviderHealth(storage.database.connect).rests("polygon")
    return None if cooling is None else str(cooling.error())
