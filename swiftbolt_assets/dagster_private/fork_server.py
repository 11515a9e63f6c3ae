"""A warm process that others are forked from: Dagster is imported once, not in each of them.

multiprocessing has the server and its clients, but starts it as a child of whoever asks first, with
that one's environment, session and terminal. Here a process that has its own becomes it:

- `python -m swiftbolt_assets.dagster_private.fork_server LISTENER ALIVE` is the platform's, from
  which its parts come (`orchestration/platform/processes.py`);
- the code location forks one from itself, before it has threads, from which its runs come
  (`forked_runs.py`).

No other thread may be at work at a fork (a lock that it holds stays locked in the child). Importing
polars starts one in the code location that sleeps until there are spilled files to delete; its pool
begins with the first computation, which is left to the runs. A server ends when nobody holds the
other end of `ALIVE` any more.

What belongs here: what such a server has imported, being one, and being its client. What does not:
what is forked.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import multiprocessing
import os
import socket
import sys
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Any

from swiftbolt_assets.garbage import keep_what_lives

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext
    from pathlib import Path

#: What runs need.
FOR_RUNS = (
    "dagster",
    "dagster._grpc.impl",
    "dagster._core.execution.api",
    "dagster_postgres",
    "swiftbolt_assets.dagster_private.storage",
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
)
#: What the platform's parts need besides.
FOR_PARTS = (
    "dagster._cli",
    "dagster._daemon.cli",
    "dagster._grpc.server",
    "dagster_webserver.cli",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.auto",
)
#: numpy's linear algebra would start a thread for each core, and pyarrow's allocator one of its own
#: where pandas brings it along; nothing here uses either.
ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
#: Polars' allocator reads it, and would start two.
_POLARS_ALLOCATOR = "_RJEM_MALLOC_CONF"
#: Linux forks what has many libraries loaded; elsewhere they forbid it.
CAN_FORK = sys.platform == "linux"


def main() -> None:
    """Be the server that the command line describes, until nobody needs it."""
    listener, alive = map(int, sys.argv[1:])
    warm_up(FOR_PARTS)
    call_process("fork-server")
    forkserver.main(listener, alive, [])


def warm_up(besides: tuple[str, ...] = ()) -> None:
    """Import in this process what its forks need, and nothing that starts a thread."""
    stay_single_threaded()
    # What is imported is no garbage, and a quarter of the time went into looking for some.
    gc.disable()
    for name in [*installed(), *besides]:
        importlib.import_module(name)
    gc.enable()
    keep_what_lives()


def stay_single_threaded() -> None:
    """Let no library that is imported from here on start threads of its own."""
    os.environ.update({name: os.environ.get(name, one) for name, one in ONE_THREAD.items()})
    # Polars itself sets it, and a process that has imported it hands that down.
    wanted = filter(None, (os.environ.get(_POLARS_ALLOCATOR), "background_thread:false"))
    os.environ[_POLARS_ALLOCATOR] = ",".join(wanted)


def installed() -> list[str]:
    """Return what runs need of what is installed."""
    return [name for name in FOR_RUNS if importlib.util.find_spec(name.partition(".")[0])]


def serve_from_here(address: Path, *modules: str) -> None:
    """Import modules, fork a server from this process, and become its client."""
    for name in modules:
        importlib.import_module(name)
    keep_what_lives()
    with listening(address) as listener:
        alive, ours = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(ours)
                call_process("run-server")
                forkserver.main(listener.detach(), alive, [])
            finally:
                os._exit(0)
        os.close(alive)
    be_client(address, ours, pid)


def listening(address: Path) -> socket.socket:
    """Return a socket that listens at a path in a folder that is nobody else's."""
    address.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen()
    return listener


def be_client(address: Path, alive: int, pid: int) -> ForkServerContext:
    """Return multiprocessing's context whose processes come from a server, a child of this process.

    Args:
        address: where it listens.
        alive: what keeps it alive as long as it is open; it is closed with the next server.
        pid: its process.

    """
    server: Any = forkserver._forkserver  # noqa: SLF001
    if server._forkserver_alive_fd is not None:  # noqa: SLF001
        os.close(server._forkserver_alive_fd)  # noqa: SLF001
    server._forkserver_address = str(address)  # noqa: SLF001
    server._forkserver_alive_fd = alive  # noqa: SLF001
    server._forkserver_pid = pid  # noqa: SLF001
    return multiprocessing.get_context("forkserver")


def has_server() -> bool:
    """Return whether this process has started a server, or become the client of its own."""
    server: Any = forkserver._forkserver  # noqa: SLF001
    return server._forkserver_pid is not None  # noqa: SLF001


def call_process(name: str) -> None:
    """Give this process a name of up to 15 letters, which ps and top show."""
    with open("/proc/self/comm", "w") as comm:  # noqa: PTH123 - a file of the kernel
        comm.write(name)


if __name__ == "__main__":
    main()
