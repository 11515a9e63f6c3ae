"""When the list of tickers is asked for: each month, a page a minute, with slots that nobody wants.

What belongs here: the tick, which ends in one run or one sentence. What does not: what is due
(`resources/bars/listed_tickers.py`), the run (`jobs/tickers.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from resources.bars.listed_tickers import TickerList
from resources.providers.registry import HISTORY
from sensors.spare_time import LONGEST_RUN, TAGS, reason_to_rest
from sensors.under_way import is_under_way
from swiftbolt_assets.jobs.tickers import LIST_TICKERS

if TYPE_CHECKING:
    from resources.dagster import HistoryResource, PostgresResource
    from resources.sources import Source
    from resources.storage import Storage

INTERVAL_S = 60


def build_tickers_sensor(
    postgres: PostgresResource, history: HistoryResource
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
        if history.source().is_off:
            return dg.SkipReason(f"{HISTORY.key_variable} is unset: the list of tickers is off")
        reason = reason_to_wait(postgres.open(), history.source())
        if reason is not None:
            return dg.SkipReason(reason)
        if is_under_way(context.instance, LIST_TICKERS, LONGEST_RUN):
            return dg.SkipReason("a page is still under way")
        return dg.RunRequest(tags=TAGS)

    return tickers


def reason_to_wait(storage: Storage, history: Source) -> str | None:
    """Return why no page is to be asked for now, one sentence; None when one is.

    Raises:
        StorageError: the database does not answer; a failed read is not an empty list.

    """
    due = TickerList(storage.database).due(storage.clock.today())
    if due is None:
        return "nothing is due: the list is of this month, a failed page waits, or bars go first"
    if due.is_patient and not history.is_idle(storage):
        return "the budget is in use: the list waits for slots that nobody wants"
    return reason_to_rest(storage)
