"""Run processes that are forked from a warm one instead of started cold.

A cold process imports Dagster and its storage anew, 2 s of CPU for each run; a fork has them.

It reaches into how Dagster's code server starts processes, so it lives alone here, has a setting
(`SWIFTBOLT_FORK_RUNS`), and a test fails when Dagster changes. What belongs here: this one change.
What does not: what a run does, and the server that its process comes from (`fork_server.py`).
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import sys
from multiprocessing import forkserver

from swiftbolt_assets.dagster_private.fork_server import (
    CAN_FORK,
    has_server,
    installed,
    stay_single_threaded,
)

_CODE_SERVER = "dagster._grpc.server"
#: What a cold server imports last.
_LAST = "swiftbolt_assets.dagster_private.frozen_heap"


def fork_runs() -> bool:
    """Let this code server fork its runs; return whether it does.

    Elsewhere than in a code server on Linux, and in the runs themselves, nothing is changed.
    """
    if not CAN_FORK or _CODE_SERVER not in sys.modules:
        return False
    if multiprocessing.parent_process() is not None and not has_server():
        return False
    stay_single_threaded()
    # Also for a server in place of one that was killed.
    multiprocessing.get_context("forkserver").set_forkserver_preload([*installed(), _LAST])
    # The code server asks the "spawn" context for its runs' processes, and for nothing else.
    forked = staticmethod(multiprocessing.context.ForkServerProcess._Popen)  # noqa: SLF001
    setattr(multiprocessing.context.SpawnProcess, "_Popen", forked)  # noqa: B010 - not in its type
    forkserver.ensure_running()
    return True
