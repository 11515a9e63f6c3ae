"""The daemon looks at backfills as often as ours says; Dagster keeps that in one constant."""

from __future__ import annotations

import inspect
import logging
import sys
import threading
from typing import TYPE_CHECKING, cast

import dagster._daemon.backfill
import dagster._daemon.controller
import dagster._daemon.sensor
import pytest

from swiftbolt_assets.orchestration import daemon

if TYPE_CHECKING:
    from dagster._core.workspace.context import IWorkspaceProcessContext

_CONSTANT = "DEFAULT_DAEMON_INTERVAL_SECONDS"


def test_our_daemon_looks_at_backfills_sooner_than_dagsters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # From the source: another test may have started our daemon in this process.
    assert f"{_CONSTANT} = 30\n" in inspect.getsource(dagster._daemon.controller)
    # Put back afterwards, both.
    stock = dagster._daemon.controller.DEFAULT_DAEMON_INTERVAL_SECONDS
    monkeypatch.setattr(dagster._daemon.controller, _CONSTANT, stock)
    loop = dagster._daemon.sensor.MIN_INTERVAL_LOOP_TIME
    monkeypatch.setattr(dagster._daemon.sensor, "MIN_INTERVAL_LOOP_TIME", loop)
    monkeypatch.setattr(sys, "argv", ["dagster-daemon", "--help"])
    with pytest.raises(SystemExit) as ended:
        daemon.main()
    assert ended.value.code == 0
    assert "run" in capsys.readouterr().out
    assert dagster._daemon.controller.DEFAULT_DAEMON_INTERVAL_SECONDS == daemon.BACKFILL_LOOP_S


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
