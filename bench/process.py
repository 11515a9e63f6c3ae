"""Whole processes: the memory and time of a run over two years, and the start of the command.

The run is `swiftbolt backfill AAPL --days 730` on a prepared home: one Dagster run in the
command's own process, the provider being a simulator in ours. What belongs here: processes from
outside. What does not: their parts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from results import Group, Line, milliseconds, spread
from timing import Timings

from resources.postgres.embedded.server import lease
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMORY_TARGET_MB = 350
HELP_TARGET_S = 0.5
_POLL_S = 0.01
COMMAND = Path(sys.executable).with_name("swiftbolt")


@dataclass(frozen=True)
class Ran:
    """What a process took: wall and CPU seconds, its own; the peak of its memory in MB."""

    wall: float
    cpu: float
    peak_mb: float
    output: str


def measure(home: Path, *, helps: int) -> Group:
    """Return the group; `home` is empty and belongs to the run."""
    group = Group("whole processes")
    with lease(home), SimulatorThread(SimulatorConfig()) as simulator:
        provider = simulator.polygon_url
        environment = clean_environment(home)
        environment |= {"POLYGON_BASE_URL": provider, "TRADIER_BASE_URL": provider}
        # The schema, Dagster's and all imports' first compilation are not the run's.
        _run(["backfill", "MSFT", "--days", "5"], environment)
        ran = _run(["backfill", "AAPL", "--days", "730", "--json"], environment)
    outcome = json.loads(ran.output)
    assert outcome["state"] == "complete", outcome
    group.lines += [
        Line(
            "run over two years of AAPL: peak memory",
            f"{ran.peak_mb:.0f} MB",
            target=f"<= {MEMORY_TARGET_MB} MB",
            reached=ran.peak_mb <= MEMORY_TARGET_MB,
        ),
        Line("  wall, imports included", f"{ran.wall:.2f} s"),
        Line("  CPU of the process", f"{ran.cpu:.2f} s"),
        Line("  of that wall: the run itself", f"{outcome['seconds']:.2f} s"),
    ]
    started = Timings(tuple(_run(["--help"], environment).wall for _ in range(helps)))
    group.lines.append(
        Line(
            "swiftbolt --help",
            milliseconds(started.median),
            spread(started.seconds),
            target="< 0.5 s",
            reached=started.median < HELP_TARGET_S,
        )
    )
    group.data = {
        "run": {
            "peak_mb": round(ran.peak_mb, 1),
            "wall_s": round(ran.wall, 3),
            "cpu_s": round(ran.cpu, 3),
            "run_s": outcome["seconds"],
            "requests": outcome["requests"],
            "bars": outcome["bars"],
        },
        "help": started.as_json(),
    }
    return group


def clean_environment(home: Path) -> dict[str, str]:
    """Return an environment without the caller's keys and settings, and without a budget."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"SWIFTBOLT_HOME": str(home), "POLYGON_REQUESTS_PER_MINUTE": "0"}


def _run(arguments: Sequence[str], environment: dict[str, str]) -> Ran:
    """Run the command to its end.

    Raises:
        RuntimeError: it failed; the message holds what it said.

    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(COMMAND), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    peak = _Peak(process.pid)
    peak.start()
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(process.stderr.read()))  # type: ignore[union-attr]
    reader.start()
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    peak.stop()
    reader.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"swiftbolt {' '.join(arguments)}: {output}{''.join(said)}")
    return Ran(wall, usage.ru_utime + usage.ru_stime, peak.mb or usage.ru_maxrss / 1024, output)


class _Peak(threading.Thread):
    """Watches the peak of a process's memory.

    Not `ru_maxrss`: Linux lets a child begin with its parent's.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self._ended = threading.Event()
        self.mb = 0.0

    def run(self) -> None:
        """Look until stopped; the kernel keeps the peak, so only the last look counts."""
        while not self._ended.wait(_POLL_S):
            try:
                text = self._status.read_text()
            except OSError:  # it has ended, or this is no Linux
                return
            match = re.search(r"VmHWM:\s+(\d+) kB", text)
            # A process that has just been forked still shows ours.
            if match and "Name:\tswiftbolt" in text:
                self.mb = int(match[1]) / 1024

    def stop(self) -> None:
        """Stop looking."""
        self._ended.set()
        self.join()
