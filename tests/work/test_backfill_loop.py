"""The daemon looks at backfills and at the run queue as often as ours says, not as Dagster's."""

from __future__ import annotations

import inspect
import logging
import sys
import threading
from typing import TYPE_CHECKING, cast

import dagster._daemon.backfill
import dagster._daemon.controller
import pytest
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator
from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon

from swiftbolt_assets.dagster_private import daemon

if TYPE_CHECKING:
    from dagster._core.workspace.context import IWorkspaceProcessContext

_CONSTANT = "DEFAULT_DAEMON_INTERVAL_SECONDS"
_DEQUEUE = "dequeue_interval_seconds"


@pytest.mark.usefixtures("_daemons_own_pace")
def test_our_daemon_looks_at_backfills_sooner_than_dagsters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # From the source: another test may have started our daemon in this process.
    assert f"{_CONSTANT} = 30\n" in inspect.getsource(dagster._daemon.controller)
    monkeypatch.setattr(sys, "argv", ["dagster-daemon", "--help"])
    with pytest.raises(SystemExit) as ended:
        daemon.main()
    assert ended.value.code == 0
    assert "run" in capsys.readouterr().out
    assert dagster._daemon.controller.DEFAULT_DAEMON_INTERVAL_SECONDS == daemon.BACKFILL_LOOP_S
    # What the daemon of the run queue is made with, whatever the setting's whole seconds.
    made = inspect.getsource(dagster._daemon.controller.create_daemon_of_type)
    assert f"interval_seconds=instance.run_coordinator.{_DEQUEUE}" in made
    queue = QueuedRunCoordinator(dequeue_interval_seconds=7)
    assert queue.dequeue_interval_seconds == daemon.DEQUEUE_S
    queue_daemon = QueuedRunCoordinatorDaemon(interval_seconds=queue.dequeue_interval_seconds)
    assert queue_daemon.interval_seconds == daemon.DEQUEUE_S


def test_the_backfill_loop_waits_as_long_as_the_constant_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    class Recorder(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            return True

    monkeypatch.setattr(dagster._daemon.controller, _CONSTANT, daemon.BACKFILL_LOOP_S)
    silent = logging.getLogger("a backfill daemon without a workspace")
    silent.disabled = True
    loop = dagster._daemon.backfill.execute_backfill_iteration_loop(
        cast("IWorkspaceProcessContext", None), silent, Recorder()
    )
    while not waits:
        next(loop)
    loop.close()
    assert daemon.BACKFILL_LOOP_S - 5 < waits[0] <= daemon.BACKFILL_LOOP_S
