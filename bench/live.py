"""A platform of the benchmarks' own: `swiftbolt up` in a temporary home, and the CPU it has used.

Ended children count where their parent reaps them, so runs that are over are not lost; elsewhere
than on Linux they are. What belongs here: starting, stopping and watching it from outside. What
does not: what is measured.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
from process import COMMAND, clean_environment
from replies import WALL

from resources.postgres.database import Database, sibling_database
from resources.postgres.embedded.server import EmbeddedServer, erase, locate
from swiftbolt_assets.orchestration.platform.ports import (
    API_PORT,
    DAGSTER_PORT,
    LOOPBACK,
    SIMULATOR_PORT,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ANYBODY = "00000000-0000-0000-0000-000000000000"
#: The simulator plays the provider: its CPU is nobody's.
PARTS = ("runs", "daemon", "code server", "Postgres", "web UI", "supervisor")
_WANT = """
select seed_intraday_backfill_job(s, t, %s, 200)
  from unnest(%s::text[]) s cross join unnest(array['m15', 'h1', 'h4']) t
"""
_AT_WORK = """
select (select count(*) from bulk_actions where status = 'REQUESTED')
  + (select count(*) from runs where status in ('QUEUED', 'NOT_STARTED', 'STARTING', 'STARTED'))
"""
_START_S = 120.0
_STOP_S = 60.0


@dataclass(frozen=True)
class Live:
    """A running platform.

    Attributes:
        supervisor: the process of `swiftbolt up`.
        parts: process ids of its services, by name.
        server: its Postgres.
        simulator_url: of the provider's simulator.
        api_port: of the HTTP API.

    """

    supervisor: int
    parts: Mapping[str, int]
    server: EmbeddedServer
    simulator_url: str
    api_port: int

    @property
    def database(self) -> Database:
        """Return the bars' database, on the platform's clock."""
        return Database(self.server.url("swiftbolt"), WALL - datetime.now(UTC))

    def connect_to_dagster(self) -> psycopg.Connection[tuple[object, ...]]:
        """Return a connection to Dagster's storage."""
        url = sibling_database(self.server.url("swiftbolt"), "_dagster")
        return psycopg.connect(url, autocommit=True)

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds that each part has used since it was started."""
        code = psutil.Process(self.parts["code-location"])
        postmaster = int((self.server.data / "postmaster.pid").read_text().split()[0])
        return {
            # The code server's child is what its runs are forked from; the runs are below that.
            "runs": tree(code) - _own(code),
            "daemon": tree(psutil.Process(self.parts["daemon"])),
            "code server": _own(code),
            "Postgres": tree(psutil.Process(postmaster)),
            "web UI": tree(psutil.Process(self.parts["web-ui"])),
            "supervisor": _own(psutil.Process(self.supervisor)),
        }


@contextlib.contextmanager
def platform(**settings: str) -> Iterator[Live]:
    """Run a platform whose seeded symbols are quiet, without a limit on requests."""
    with tempfile.TemporaryDirectory(prefix="swiftbolt-bench-") as folder:
        home = Path(folder) / "home"
        environment = clean_environment(home) | settings
        environment |= {"SWIFTBOLT_BACKGROUND": "false", "SWIFTBOLT_NOW": WALL.isoformat()}
        quiet = [str(COMMAND), "jobs", "set", "AAPL", "--disabled"]
        subprocess.run(quiet, env=environment, check=True, capture_output=True)
        offset = free_port_offset()
        process = subprocess.Popen(
            [str(COMMAND), "up", "--port-offset", str(offset)],
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            parts = _started(home, process)
            url = f"http://{LOOPBACK}:{SIMULATOR_PORT + offset}"
            yield Live(process.pid, parts, locate(home), url, API_PORT + offset)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            finally:
                process.kill()
                erase(home)


def await_(condition: Callable[[], object], what: str, *, seconds: float, every: float) -> float:
    """Wait until a condition is true; return how long that took.

    Raises:
        RuntimeError: it was not in time.

    """
    started = time.perf_counter()
    while not condition():
        if time.perf_counter() - started > seconds:
            raise RuntimeError(f"in {seconds:.0f} s not: {what}")
        time.sleep(every)
    return time.perf_counter() - started


def is_filled(connection: psycopg.Connection[tuple[object, ...]], symbols: Sequence[str]) -> bool:
    """Return whether all that is wanted of some symbols is planned and stored."""
    row = connection.execute(
        "select count(distinct symbol) filter (where status = 'success'),"
        " count(*) filter (where status in ('queued', 'running'))"
        " from job_runs where symbol = any(%s)",
        (list(symbols),),
    ).fetchone()
    return row == (len(symbols), 0)


def want(
    connection: psycopg.Connection[tuple[object, ...]], symbols: Sequence[str], days: int
) -> None:
    """Have the bars of so many days kept complete."""
    connection.execute(_WANT, (days, list(symbols)))


def open_work(dagster: psycopg.Connection[tuple[object, ...]]) -> int:
    """Return how many runs and backfills Dagster has not ended."""
    row = dagster.execute(_AT_WORK).fetchone()
    return int(str(row[0])) if row else 0


def _started(home: Path, process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Return the services' process ids once all run."""
    found: dict[str, int] = {}

    def is_up() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"swiftbolt up ended with {process.returncode}")
        try:
            note = json.loads((home / "platform.json").read_text())
        except FileNotFoundError:
            return False
        found.update(note["parts"])
        return "web-ui" in found

    await_(is_up, "the platform runs", seconds=_START_S, every=0.1)
    return found


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def tree(process: psutil.Process) -> float:
    """Return what a process, its descendants and those of them that have ended have used."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:  # its parent has it in a moment
            continue
        total += times.user + times.system
        total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total


def free_port_offset() -> int:
    """Return an offset at which all ports of a platform are free."""
    for offset in range(200, 20_000, 7):
        with contextlib.ExitStack() as held:
            try:
                for port in (DAGSTER_PORT, API_PORT, SIMULATOR_PORT):
                    held.enter_context(socket.socket()).bind((LOOPBACK, port + offset))
            except OSError:
                continue
            return offset
    raise RuntimeError("no free ports")
