"""The planner: from definitions to slices, on databases of different sizes.

Each size has a fresh database: symbols of three definitions over two years, nothing stored. What
belongs here: time of a plan and of a claim, and the memory of the server process that works. What
does not: the sensor around it (`sensor.py`).
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from results import Group, Line, milliseconds, spread
from timing import Timings, timed

from resources.work import WorkQueue

if TYPE_CHECKING:
    from server import Server

    from resources.postgres import Database

FULL = (100, 1_000, 10_000)
QUICK = (100, 1_000)
#: "In seconds", and "well under one", at the largest size.
PLAN_TARGET_S, IDLE_TARGET_S = 10.0, 0.5
_REPEATS = 5
_POLL_S = 0.005
_DEFINE = """
insert into job_definitions (job_type, symbol, timeframe, window_days, priority)
select 'fetch_intraday', 'S' || lpad(n::text, 5, '0'), t, 730, 100
  from generate_series(1, %s) n cross join unnest(array['m15', 'h1', 'h4']::timeframe[]) t
"""


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
    planned, peak, rows = _plan(database)
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
        Line("  memory of the server process, its own", f"{peak:.0f} MB"),
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
        "own_memory_mb": round(peak, 1),
        "idle": idle.as_json(),
        "claim": claim.as_json(),
        "load": round(load, 2),
    }


def _plan(database: Database) -> tuple[float, float, int]:
    """Plan once; return the seconds, the server process's peak in MB, and the slices."""
    rows: list[int] = []
    with database.connect(autocommit=False) as connection:
        pid = connection.info.backend_pid

        def plan() -> None:
            row = connection.execute("select plan_job_runs()").fetchone()
            connection.commit()
            rows.append(int(row[0]) if row else 0)

        peak = _OwnMemory(pid)
        peak.start()
        seconds = timed(plan)
        peak.stop()
    return seconds, peak.mb, rows[0]


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
