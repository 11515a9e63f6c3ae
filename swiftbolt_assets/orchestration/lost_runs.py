"""Runs whose process is gone: found, and failed, so that they hold no slot of the queue.

A run on the platform lives below its code location and dies with it. A run in a command's own
process holds a locked file named after it, which the kernel unlocks however the process ends.
Runs of Dagster's own commands have neither and end by `max_runtime_seconds`.

What belongs here: this. What does not: what is run again (`launching.py`, Dagster's retries).
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from resources.platform.dagster_state import DagsterState
from resources.postgres.connection import first_line
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.orchestration.instance import dagster_database, open_instance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from swiftbolt_assets.settings import Settings


@contextmanager
def running_here(settings: Settings, run_id: str) -> Iterator[None]:
    """Say that a run lives in this process until the block ends.

    After an error the mark stays: the database may not have heard of the run's end.
    """
    path = _marks(settings) / run_id
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        yield
        path.unlink(missing_ok=True)


def lost_runs(settings: Settings) -> list[str]:
    """Return the runs that a killed code location or command left as started.

    Call it while holding the platform lock, before a code location starts.

    Raises:
        StorageError: Dagster's database does not answer.

    """
    under_way = DagsterState(dagster_database(settings)).runs_under_way()
    return [
        run_id
        for run_id, is_below in under_way.items()
        if is_below or _is_dead(_marks(settings) / run_id)
    ]


def fail_runs(settings: Settings, run_ids: list[str]) -> None:
    """Fail lost runs; Dagster starts those of a platform again, so its code location must serve.

    Raises:
        StorageError: Dagster's database does not answer.

    """
    if not run_ids:
        return
    # Dagster is imported where there are any: a platform's supervisor does without.
    from swiftbolt_assets.dagster_private.storage import STORAGE_ERRORS

    try:
        with open_instance(settings) as instance:
            for run_id in run_ids:
                run = instance.get_run_by_id(run_id)
                if run is not None and not run.is_finished:
                    instance.report_run_failed(run, "the process that ran it was killed")
                (_marks(settings) / run_id).unlink(missing_ok=True)
    except STORAGE_ERRORS as error:
        raise StorageError(f"Dagster's database: {first_line(error)}") from error


def _marks(settings: Settings) -> Path:
    return settings.home / "runs"


def _is_dead(path: Path) -> bool:
    """Return whether a process of this machine marked the run and is gone."""
    if not path.exists():
        return False
    with path.open("r") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
