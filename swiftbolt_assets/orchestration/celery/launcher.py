"""Dagster's Celery launcher, which tells by beats in Postgres whether a run lives.

The stock one takes Celery's word: the task of a worker that was killed stays STARTED for ever. To
ask the worker itself fails, too: one that drains does not answer, and another may have come back
under the name. Here the process of a run beats every two seconds; one whose beats have stopped is
failed, and Dagster runs it again.

What belongs here: handing over, looking after and stopping a run. What does not: the beats
themselves (`run_beats.py`), how many runs there may be (`slots.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from dagster import DagsterRun, Field, StringSource
from kombu.exceptions import KombuError

from resources.platform.workers import RunBook, WorkerBook
from resources.storage import open_database
from swiftbolt_assets.dagster_private.celery_runs import (
    CheckRunHealthResult,
    DagsterUserCodeUnreachableError,
    OpenCeleryLauncher,
    WorkerStatus,
)
from swiftbolt_assets.orchestration.celery.app import TASK, celery_app, code_queue
from swiftbolt_assets.orchestration.celery.code_queue import own_queue
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swiftbolt_assets.dagster_private.celery_runs import (
        ConfigurableClassData,
        LaunchRunContext,
        UserConfigSchema,
    )

#: A run that has been silent for so long is lost: seven beats.
LOST_S = 15.0
#: What looks lost is looked at once more: after an outage of the database all are silent, and a
#: process may be through with its run a moment before Dagster's storage says so.
_GRACE_S = 4.0


class BeatingRunLauncher(OpenCeleryLauncher):
    """Starts runs on Celery workers of the same code, and fails those that have fallen silent."""

    def __init__(self, broker: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(
            default_queue="", broker=broker, backend=None, config_source={}, inst_data=inst_data
        )
        self.celery = celery_app(broker)
        settings = read_settings()
        database = open_database(settings)
        self._runs = RunBook(database)
        self._settings, self._workers = settings, WorkerBook(database)
        #: When a run was first seen lost, by run.
        self._suspected: dict[str, float] = {}

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return what `dagster.yaml` may say."""
        return {"broker": Field(StringSource, is_required=True, description="The Redis' URL.")}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> Self:
        """Return the launcher that `dagster.yaml` names."""
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hand a run to the workers of this code.

        Raises:
            DagsterUserCodeUnreachableError: the broker does not answer; the run is queued again.

        """
        run = context.dagster_run
        queue = own_queue(self._settings, self._workers)
        try:
            self.celery.send_task(
                TASK, args=[run.run_id], queue=code_queue(queue), retry=False, ignore_result=True
            )
        except (KombuError, OSError) as error:
            raise DagsterUserCodeUnreachableError(f"the broker does not answer: {error}") from error
        self.instance.report_engine_event(
            f"Handed to the workers on queue {queue}.", run, cls=self.__class__
        )

    def terminate(self, run_id: str) -> bool:
        """Have a run end: its process sees it at its next beat."""
        run = self.instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self.instance.report_run_canceling(run)
        if not self._runs.stop(run_id):
            self.instance.report_run_canceled(run)
        return True

    @property
    def supports_resume_run(self) -> bool:
        """Return False: what is lost is run again, from what was stored."""
        return False

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether a run beats; lost is what is silent, or through, twice in a row."""
        reason = self._lost(run.run_id)
        now = time.monotonic()
        if reason is None:
            self._suspected.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if now - self._suspected.setdefault(run.run_id, now) < _GRACE_S:
            return CheckRunHealthResult(WorkerStatus.RUNNING, reason)
        del self._suspected[run.run_id]
        # Should its process live after all, it ends at its next beat.
        self._runs.stop(run.run_id)
        return CheckRunHealthResult(WorkerStatus.FAILED, reason)

    def get_run_worker_debug_info(
        self,
        run: DagsterRun,
        include_container_logs: bool | None = True,  # noqa: FBT001, FBT002, ARG002 - Dagster's
    ) -> str | None:
        """Return what the beats say."""
        return self._lost(run.run_id) or "its beats are in time"

    def _lost(self, run_id: str) -> str | None:
        """Return why a run seems lost, None when it beats."""
        beat = self._runs.look(run_id)
        if beat is None:
            return "no worker has begun it"
        if beat.ended:
            return "its worker was through with it before it was finished"
        if beat.silent_s > LOST_S:
            return f"its worker has not beaten for {beat.silent_s:.0f} s"
        return None
