"""Dagster's run queue, which lets no more runs go than the living workers have slots.

A run that waits in Redis can no longer be overtaken by a more urgent one, and its time to start
runs out. So it waits here, in the order of its priority, until a worker of this code has a slot.

What belongs here: the limits. What does not: who lives (`resources/platform/workers.py`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagster import QueuedRunCoordinator

from resources.platform.broker import require_broker
from resources.platform.workers import WorkerBook
from resources.storage import open_database
from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.orchestration.celery.code_queue import own_queue
from swiftbolt_assets.orchestration.launching import FILL_TAG, LANE_TAG
from swiftbolt_assets.policy.admission import shared_slots
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from resources.platform.workers import Worker
    from resources.postgres.database import Database
    from swiftbolt_assets.dagster_private.celery_runs import RunQueueConfig
    from swiftbolt_assets.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How many runs may be at work at once.

    Attributes:
        all_runs: of any kind.
        fills: that fetch history: where there are two slots, today's bars have one.
        bulk: of them, for symbols that nobody looks at now.

    """

    all_runs: int
    fills: int
    bulk: int

    @classmethod
    def of(cls, slots: int, most_jobs: int) -> Limits:
        """Return the limits for so many slots, and so many jobs at most."""
        fills = min(most_jobs, max(slots - 1, 1))
        return cls(min(most_jobs + 1, slots), fills, shared_slots(fills))


def announce_code(settings: Settings, database: Database) -> None:
    """Tell the workers which code the platform runs; those of another end."""
    book = WorkerBook(database)
    book.set_platform_queue(own_queue(settings, book))


def why_none_begins(living: Sequence[Worker]) -> str | None:
    """Return why no run begins with these workers and what to do, None when one takes runs."""
    if any(worker.is_ours and not worker.draining for worker in living):
        return None
    others = sum(not worker.is_ours for worker in living)
    others_told = f" ({others} of other code or settings)" if others else ""
    return (
        f"no worker is there{others_told}, so no run begins; start swiftbolt worker, here or "
        "on a machine that reaches database and broker, with this code and these settings"
    )


def require_workers(settings: Settings, database: Database) -> str:
    """Make sure that runs can begin; return the workers in words.

    Raises:
        SwiftBoltError: the broker or the database does not answer, or no worker of this code lives.

    """
    require_broker(str(settings.broker_url))
    book = WorkerBook(database)
    living = book.living(own_queue(settings, book))
    reason = why_none_begins(living)
    if reason is not None:
        raise SwiftBoltError(reason)
    ours = [worker for worker in living if worker.is_ours and not worker.draining]
    names = ", ".join(f"{worker.name} {worker.running}/{worker.slots}" for worker in ours)
    return f"{sum(worker.slots for worker in ours)} slots: {names}"


class WorkerSlotsCoordinator(QueuedRunCoordinator):
    """Queues runs while there is no slot for them."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - Dagster's own
        super().__init__(*args, **options)
        self._trouble: str | None = None
        self._settings = read_settings()
        self._book = WorkerBook(open_database(self._settings))

    def get_run_queue_config(self) -> RunQueueConfig:
        """Return the limits of this moment; none may go while the broker or database is away."""
        stock = super().get_run_queue_config()
        limits = Limits.of(self._slots(), stock.max_concurrent_runs - 1)
        tags: list[Mapping[str, Any]] = [
            {"key": LANE_TAG, "value": "bulk", "limit": limits.bulk},
            {"key": FILL_TAG, "value": "true", "limit": limits.fills},
        ]
        return stock._replace(max_concurrent_runs=limits.all_runs, tag_concurrency_limits=tags)

    def _slots(self) -> int:
        try:
            require_broker(str(self._settings.broker_url))
            slots = self._book.slots(own_queue(self._settings, self._book))
        except SwiftBoltError as error:
            self._tell(str(error))
            return 0
        self._tell(None if slots else "no worker of this code is there; runs wait")
        return slots

    def _tell(self, trouble: str | None) -> None:
        """Log a trouble once."""
        if trouble and trouble != self._trouble:
            _log.warning(trouble)
        self._trouble = trouble
