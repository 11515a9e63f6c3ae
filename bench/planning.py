"""The planner: from definitions to slices, on databases of different sizes.

Each size has a fresh database: symbols of three definitions over two years, nothing stored. What
belongs here: time of a plan and of a claim, and the memory of the server process that works. What
does not: the sensor around it (`sensor.py`).
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from results import Group, Line, milliseconds, spread
from timing import Timings, timed

from resources.queue.slices import SYMBOLS_A_BATCH, WorkQueue

if TYPE_CHECKING:
    from server import Server

    from resources.postgres.database import Database

FULL = (100, 1_000, 10_000)
QUICK = (100, 1_000)
#: "In seconds", and "well under one", at the largest size.
PLAN_TARGET_S, IDLE_TARGET_S = 10.0, 0.5
#: A symbol that somebody looks at while all others are planned.
WAIT_TARGET_S = 1.0
_REPEATS = 5
_POLL_S = 0.005
_BATCH = "select added, planned from plan_due_symbols(null, 0, %s)"
_DEFINE = """
insert into job_definitions (job_type, symbol, timeframe, window_days, priority)
select 'fetch_intraday', 'S' || lpad(n::text, 5, '0'), t, 730, 100
  from generate_series(1, %s) n cross join unnest(array['m15', 'h1', 'h4']::timeframe[]) t
"""


@dataclass(frozen=True)
class Plan:
    """A plan of everything: seconds, the server process's memory, rows, a newcomer's wait."""

    seconds: float
    own_memory_mb: float
    rows: int
    longest_wait_s: float


def define(database: Database, symbols: int) -> None:
    """Want two years of so many symbols, and nothing of the seeded ones."""
    with database.transaction() as connection:
        connection.execute("update job_definitions set enabled = false")
        connection.execute(_DEFINE, (symbols,))


def measure(server: Server, sizes: tuple[int, ...]) -> Group:
    """Return the group."""
    group = Group("planner, symbols of three definitions over two years, fresh database")
    for size in sizes:
        with server.database() as database:
            define(database, size)
            server.settle()
            _measure(group, database, size)
    return group


def _measure(group: Group, database: Database, size: int) -> None:
    load = os.getloadavg()[0]
    found = plan_everything(database)
    planned, rows = found.seconds, found.rows
    assert rows >= size * 3 * 10, f"{rows} slices of {size} symbols"
    queue = WorkQueue(database)
    idle = Timings(tuple(timed(queue.plan) for _ in range(_REPEATS)))
    claim = Timings(tuple(timed(lambda: queue.claim(least_priority=0)) for _ in range(_REPEATS)))
    assert len(queue.open_claims()) == _REPEATS, "a claim found nothing"
    group.lines += [
        Line(
            f"{size:,} symbols: {rows:,} slices planned",
            f"{planned:.2f} s",
            target=f"<= {PLAN_TARGET_S:.0f} s",
            reached=planned <= PLAN_TARGET_S,
        ),
        Line("  memory of the server process, its own", f"{found.own_memory_mb:.0f} MB"),
        Line(
            "  longest wait of one symbol meanwhile",
            milliseconds(found.longest_wait_s),
            target=f"<= {WAIT_TARGET_S:.0f} s",
            reached=found.longest_wait_s <= WAIT_TARGET_S,
        ),
        Line(
            "  plan with nothing to do",
            milliseconds(idle.median),
            spread(idle.seconds),
            target=f"<= {IDLE_TARGET_S * 1e3:.0f} ms",
            reached=idle.median <= IDLE_TARGET_S,
        ),
        Line("  claim of one symbol", milliseconds(claim.median), spread(claim.seconds)),
    ]
    group.data[str(size)] = {
        "slices": rows,
        "planned_s": round(planned, 3),
        "own_memory_mb": round(found.own_memory_mb, 1),
        "longest_wait_s": round(found.longest_wait_s, 3),
        "idle": idle.as_json(),
        "claim": claim.as_json(),
        "load": round(load, 2),
    }


def plan_everything(database: Database) -> Plan:
    """Plan everything in batches, while another connection wants one symbol planned, on and on."""
    ended = threading.Event()
    waits: list[float] = []

    def meanwhile() -> None:
        with database.connect() as connection:
            while not ended.is_set():
                waits.append(timed(lambda: connection.execute("select plan_job_runs('S00001')")))
                ended.wait(_POLL_S)

    with database.connect(autocommit=False) as connection:

        def plan() -> None:
            planned = SYMBOLS_A_BATCH
            while planned >= SYMBOLS_A_BATCH:
                _, planned = connection.execute(_BATCH, (SYMBOLS_A_BATCH,)).fetchone() or (0, 0)
                connection.commit()

        peak = _OwnMemory(connection.info.backend_pid)
        newcomer = threading.Thread(target=meanwhile)
        peak.start()
        newcomer.start()
        seconds = timed(plan)
        ended.set()
        newcomer.join()
        peak.stop()
    with database.transaction() as connection:
        row = connection.execute("select count(*) from job_runs").fetchone()
    return Plan(seconds, peak.mb, int(row[0]) if row else 0, max(waits))


class _OwnMemory(threading.Thread):
    """Watches the memory that a process shares with no other: a server's buffers are not its."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self._ended = threading.Event()
        self.mb = 0.0

    def run(self) -> None:
        """Look until stopped."""
        while not self._ended.wait(_POLL_S):
            try:
                match = re.search(r"RssAnon:\s+(\d+) kB", self._status.read_text())
            except OSError:  # this is no Linux
                return
            if match:
                self.mb = max(self.mb, int(match[1]) / 1024)

    def stop(self) -> None:
        """Stop looking."""
        self._ended.set()
        self.join()
