"""What we reach into of Dagster and of multiprocessing still means what we rely on."""

from __future__ import annotations

import inspect
import json
import logging
import multiprocessing
import multiprocessing.context
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import dagster._daemon.sensor
import dagster._grpc.server
import pytest
import sqlalchemy.exc

from swiftbolt_assets.dagster_private import daemon, ended_runs, forked_runs

if TYPE_CHECKING:
    from dagster._core.workspace.context import IWorkspaceProcessContext

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]

_THREADS = """
import json, os, sys
from swiftbolt_assets.dagster_private import fork_server
fork_server.warm_up(fork_server.FOR_PARTS)
print(json.dumps({"threads": os.listdir("/proc/self/task"), "polars": "polars" in sys.modules}))
"""

_SERVER = """
import json, multiprocessing, os, sys
from swiftbolt_assets.dagster_private.forked_runs import fork_runs


def tell(pipe):
    pipe.send({
        "warm": all(name in sys.modules for name in ("dagster_postgres", "alembic.command")),
        "polars": "polars" in sys.modules,
        "parent": os.getppid(),
        "server_threads": len(os.listdir(f"/proc/{os.getppid()}/task")),
        "forks_itself": fork_runs(),
    })


if __name__ == "__main__":
    elsewhere = fork_runs()
    import dagster._grpc.server
    told = [fork_runs(), fork_runs()]
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    run = context.Process(target=tell, args=(theirs,))
    run.start()
    theirs.close()
    found = ours.recv()
    run.join()
    print(json.dumps({
        **found, "elsewhere": elsewhere, "told": told, "me": os.getpid(), "code": run.exitcode}))
"""


def run(*arguments: str) -> Any:  # noqa: ANN401
    """Run a fresh interpreter; return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_sensor_loop_waits_as_long_as_the_constant_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    class Recorder(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            return True

    monkeypatch.setattr(dagster._daemon.sensor, "MIN_INTERVAL_LOOP_TIME", daemon.LOOP_S)
    silent = logging.getLogger("a daemon without a workspace")
    silent.disabled = True
    loop = dagster._daemon.sensor.execute_sensor_iteration_loop(
        cast("IWorkspaceProcessContext", None), silent, Recorder()
    )
    while not waits:
        next(loop)
    loop.close()
    assert 0 < waits[0] <= daemon.LOOP_S


@pytest.mark.usefixtures("_daemons_own_pace")
def test_our_daemon_is_dagsters_with_a_shorter_loop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stock = dagster._daemon.sensor.MIN_INTERVAL_LOOP_TIME
    assert stock > daemon.LOOP_S
    monkeypatch.setattr(sys, "argv", ["dagster-daemon", "--help"])
    with pytest.raises(SystemExit) as ended:
        daemon.main()
    assert ended.value.code == 0
    assert "run" in capsys.readouterr().out
    assert dagster._daemon.sensor.MIN_INTERVAL_LOOP_TIME == daemon.LOOP_S


def test_the_code_server_starts_runs_by_the_spawn_context_and_nothing_else_by_it() -> None:
    server = dagster._grpc.server.DagsterApiServer
    assert 'self._mp_ctx = multiprocessing.get_context("spawn")' in inspect.getsource(
        server.__init__
    )
    source = inspect.getsource(dagster._grpc.server)
    assert source.count("_mp_ctx.Process(") == 1
    assert "_mp_ctx.Process(" in inspect.getsource(server.StartRun)
    assert multiprocessing.get_context("spawn").Process is multiprocessing.context.SpawnProcess
    assert dagster._grpc.server.__name__ == forked_runs._CODE_SERVER


def test_the_code_servers_thread_looks_for_ended_runs_by_the_method_that_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A look that is refused is told once, and made again."""
    server = dagster._grpc.server.DagsterApiServer
    assert "self._check_for_orphaned_runs()" in inspect.getsource(server._cleanup_thread)
    looks = []

    def refused(_: object) -> None:
        looks.append(1)
        if len(looks) < 4:
            raise sqlalchemy.exc.OperationalError("insert", {}, OSError("it is away"))

    monkeypatch.setattr(server, "_check_for_orphaned_runs", refused)
    assert ended_runs.outlive_refusals()
    assert ended_runs.outlive_refusals(), "once is enough"
    one = cast("Any", SimpleNamespace(_logger=logging.getLogger("a code server")))
    for _ in range(4):
        server._check_for_orphaned_runs(one)
    assert len(looks) == 4
    assert [record.getMessage() for record in caplog.records] == [
        "ended runs cannot be told, which is tried again: (builtins.OSError) it is away"
    ]


def test_a_process_of_the_spawn_context_starts_through_the_method_that_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = []

    def popen(process: multiprocessing.context.SpawnProcess) -> None:
        started.append(process)
        raise BlockingIOError

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "_Popen", staticmethod(popen))
    process = multiprocessing.get_context("spawn").Process(target=print)
    with pytest.raises(BlockingIOError):
        process.start()
    assert started == [process]


def test_what_is_preloaded_starts_no_thread_and_leaves_polars_out() -> None:
    """A lock that another thread holds at a fork stays locked in the child for ever."""
    found = run("-c", _THREADS)
    assert len(found["threads"]) == 1
    assert not found["polars"]


def test_a_run_of_a_code_server_is_forked_from_a_warm_process_with_one_thread(
    tmp_path: Path,
) -> None:
    script = tmp_path / "server.py"
    script.write_text(_SERVER)
    found = run(str(script))
    assert found["elsewhere"] is False, "only a code server forks its runs"
    assert found["told"] == [True, True]
    assert found["parent"] != found["me"], "it was started cold"
    assert found["warm"]
    assert not found["polars"]
    assert found["server_threads"] == 1
    assert found["forks_itself"] is False
    assert found["code"] == 0
