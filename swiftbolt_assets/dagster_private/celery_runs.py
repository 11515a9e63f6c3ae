"""What a launcher, a run queue and a worker of our own build on, none of which Dagster exports.

It documents that launchers and run queues may be written, but not the classes that they take and
return; a worker executes a run as Dagster's own process for one does, which is a function behind
its command. What belongs here: those. What does not: what ours do (`orchestration/celery/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster._config import UserConfigSchema
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
from dagster._serdes import ConfigurableClassData
from dagster_celery.launcher import CeleryRunLauncher

if TYPE_CHECKING:
    from dagster import DagsterEvent, DagsterInstance

__all__ = [
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "DagsterUserCodeUnreachableError",
    "LaunchRunContext",
    "OpenCeleryLauncher",
    "RunQueueConfig",
    "UserConfigSchema",
    "WorkerStatus",
    "execute",
]


class OpenCeleryLauncher(CeleryRunLauncher):
    """Dagster's launcher, which shows the instance that it was given."""

    @property
    def instance(self) -> DagsterInstance:
        """Return the instance whose runs are launched."""
        return self._instance


def execute(run_id: str, instance: DagsterInstance) -> None:
    """Execute a run in this process to its end, however it ends."""
    from dagster._cli.api import _execute_run_command_body

    _execute_run_command_body(
        run_id=run_id,
        instance=instance,
        write_stream_fn=_drop,
        set_exit_code_on_failure=False,
    )


def _drop(_event: DagsterEvent) -> None:
    """Leave an event alone: it is in Dagster's storage."""
