"""Run processes that are forked from a warm one instead of started cold.

A cold process imports Dagster and its storage anew, 2 s of CPU for each run; a fork has them. The
fork server must have one thread only (a lock that another thread held stays locked in the child),
so polars, which starts threads when it is imported, is left to the child.

It reaches into how Dagster's code server starts processes, so it lives alone here, has a setting
(`SWIFTBOLT_FORK_RUNS`), and a test fails when Dagster changes. What belongs here: this one change.
What does not: what a run does.
"""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import multiprocessing.context
import os
import sys
from multiprocessing import forkserver

#: Imported once by the fork server; none of them starts a thread.
PRELOADED = (
    "dagster",
    "dagster._grpc.impl",
    "dagster._core.execution.api",
    "dagster_postgres",
    "swiftbolt_assets.orchestration.storage",
    "alembic.command",
    "psycopg",
    "httpx",
    "stamina",
    "msgspec",
    "numpy",
    # What pandera brings along where it is installed; its part for polars is left out.
    "pandas",
    "pandera",
    "pandera.strategies.base_strategies",
    # The last: what was imported before it is left alone by the garbage collector.
    "swiftbolt_assets.orchestration.frozen_heap",
)
#: numpy's linear algebra would start a thread for each core, and pyarrow's allocator one of its own
#: where pandas brings it along; nothing here uses either.
_ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
_CODE_SERVER = "dagster._grpc.server"


def fork_runs() -> bool:
    """Let this code server fork its runs; return whether it does.

    Elsewhere than in a code server on Linux, and in the runs themselves, nothing is changed.
    """
    if sys.platform != "linux" or _CODE_SERVER not in sys.modules:
        return False
    if multiprocessing.parent_process() is not None:
        return False
    _stay_single_threaded()
    multiprocessing.get_context("forkserver").set_forkserver_preload(_installed())
    # The code server asks the "spawn" context for its runs' processes, and for nothing else.
    forked = staticmethod(multiprocessing.context.ForkServerProcess._Popen)  # noqa: SLF001
    setattr(multiprocessing.context.SpawnProcess, "_Popen", forked)  # noqa: B010 - not in its type
    forkserver.ensure_running()
    return True


def warm_up() -> None:
    """Import in this process what its forks need, and nothing that starts a thread."""
    _stay_single_threaded()
    for name in _installed():
        importlib.import_module(name)


def _stay_single_threaded() -> None:
    os.environ.update({name: os.environ.get(name, one) for name, one in _ONE_THREAD.items()})


def _installed() -> list[str]:
    return [name for name in PRELOADED if importlib.util.find_spec(name.partition(".")[0])]
