"""The job `retention`: what is old goes, from both databases, once a day.

An op, not an asset: it makes nothing. A failure loses nothing: the next tick tries again. What
belongs here: the run. What does not: what may go and when (`policy/retention.py`), the statements
(`resources/platform/retention.py`, `resources/platform/dagster_history.py`), log files
(`orchestration/platform/logs.py`).
"""

# No `from __future__ import annotations`: Dagster reads the op's annotations at run time.
from datetime import UTC, datetime, timedelta

import dagster as dg

from resources.dagster import PostgresResource
from resources.platform.dagster_history import DagsterHistory
from resources.platform.retention import Retention
from resources.storage import Storage
from swiftbolt_assets.assets.failing import failure
from swiftbolt_assets.errors import StorageError, SwiftBoltError
from swiftbolt_assets.jobs.live import REFRESH_TODAY
from swiftbolt_assets.orchestration.instance import dagster_database
from swiftbolt_assets.policy.retention import BRIEF, is_busy, month_to_order
from swiftbolt_assets.settings import Settings, read_settings

RETENTION = "retention"


def build_retention_job() -> dg.JobDefinition:
    """Return the job."""

    @dg.op(name="prune", description="Deletes what is older than SWIFTBOLT_RETENTION_DAYS.")
    def prune(context: dg.OpExecutionContext, postgres: PostgresResource) -> None:
        storage, settings = postgres.open(), read_settings()
        try:
            for line in keep_small(storage, settings, datetime.now(UTC)):
                context.log.info(line)
        except SwiftBoltError as error:
            raise failure(error) from error
        finally:
            storage.close()

    @dg.job(
        name=RETENTION,
        executor_def=dg.in_process_executor,
        description="Deletes old runs, events and audit rows; lays a month of bars in order.",
        # A killed one is not started again: the next tick sees that it is due.
        run_tags={"dagster/max_retries": "0"},
    )
    def retention_job() -> None:
        prune()

    return retention_job


def keep_small(storage: Storage, settings: Settings, now: datetime) -> list[str]:
    """Prune both databases, order one month, note the sizes; return what was done.

    Args:
        storage: of the bars.
        settings: say how old and where Dagster's storage is.
        now: real time; what is older than the setting goes.

    Raises:
        StorageError: a database does not answer or has no room.

    """
    keep = timedelta(days=settings.retention_days)
    book = Retention(storage.database)
    history = DagsterHistory(dagster_database(settings))
    gone = history.prune(now - keep, [REFRESH_TODAY, RETENTION], now - min(keep, BRIEF))
    rows = book.prune(now, keep)
    done = [
        f"Dagster: {gone.runs} runs, {gone.events} events, {gone.backfills} backfills went",
        "bars: " + ", ".join(f"{count} {table}" for table, count in rows.items()) + " went",
    ]
    # Before the month: one that cannot be ordered must not bring all this back in an hour.
    book.note(history.size(), now)
    if not is_busy(storage.clock.now(), storage.calendar):
        done += _order_a_month(book, storage)
    return done


def _order_a_month(book: Retention, storage: Storage) -> list[str]:
    month = month_to_order(book.months(), storage.clock.today())
    if month is None:
        return []
    try:
        took = book.lay_in_order(month.first)
    except StorageError as error:
        return [f"bars of {month.first:%Y-%m} are left as they lie: {error}"]
    if took is None:
        return [f"bars of {month.first:%Y-%m} are in use and left as they lie"]
    return [f"bars of {month.first:%Y-%m} were laid in order: {month.rows} rows, {took:.1f} s"]
