"""A service that is forked from the warm process is what it would be if it were started cold."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from swiftbolt_assets.orchestration.platform.processes import Service, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

#: Tells what it is, and lives until it is told to stop.
_PART = """
import json, os, pathlib, signal, sys, threading
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("to the log", flush=True)
print("and so is this", file=sys.stderr, flush=True)
told = {
    "arguments": sys.argv[1:],
    "name": __name__,
    "folder": os.getcwd(),
    "environment": {k: v for k, v in os.environ.items() if k.startswith("PART_")},
    "leads": os.getpgid(0) == os.getsid(0) == os.getpid(),
    "input": sys.stdin.read() if sys.stdin else "",
    "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "threads": threading.active_count(),
    "warm": "dagster" in sys.modules,
    "pid": os.getpid(),
}
target = pathlib.Path(sys.argv[1])
partial = target.with_suffix(".partial")
partial.write_text(json.dumps(told))
partial.replace(target)
while True:
    signal.pause()
"""

#: Tells the threads of a process that has imported what runs are forked with.
_THREADS = """
from pathlib import Path
from swiftbolt_assets.dagster_private.fork_server import warm_up
warm_up(("swiftbolt_assets.definitions",))
print(*((task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()))
"""
#: Sleeps until polars has spilled files that are to be deleted.
_POLARS_SWEEPER = "polars-ooc-clea"


class Parts:
    """A supervisor with one service, warm or cold."""

    def __init__(self, folder: Path, *, warm: bool) -> None:
        module = folder / "a_part_of_the_tests.py"
        module.write_text(_PART)
        self.logs = folder / "log"
        self._told = folder / "told.json"
        self.supervisor = Supervisor(
            self.logs,
            dict(os.environ) | {"PYTHONPATH": str(folder), "PART_WORD": "a word"},
            folder if warm else None,
        )
        self.service = Service(
            "a-part",
            module.stem,
            [str(self._told), "two words"],
            self._told.exists,
            needs_dagster=True,
        )

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._told.read_text())
        return found

    def again(self) -> dict[str, Any]:
        """Return what the service tells when it was started again."""
        self._told.unlink()
        deadline = time.monotonic() + 60
        mended: list[str] = []
        while not self._told.exists():
            mended += self.supervisor.mend()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert mended == ["a-part"]
        return self.told()


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Parts]]:
    made = []

    def make(*, warm: bool) -> Parts:
        folder = tmp_path / f"warm-{warm}"
        folder.mkdir()
        monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
        made.append(Parts(folder, warm=warm))
        return made[-1]

    yield make
    for one in made:
        one.supervisor.stop()


def is_over(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_forked_service_is_what_a_cold_one_is(
    parts: Callable[..., Parts],
) -> None:
    found = {}
    for warm in (True, False):
        one = parts(warm=warm)
        one.supervisor.start(one.service)
        found[warm] = one.told()
        assert (one.logs / "a-part.log").read_text() == "to the log\nand so is this\n"
        assert found[warm]["arguments"] == [str(one.logs.parent / "told.json"), "two words"]
        assert found[warm]["folder"] == str(one.logs)
    alike = ("name", "environment", "leads", "input", "interrupt", "threads")
    assert [found[True][what] for what in alike] == [found[False][what] for what in alike]
    assert found[True]["environment"] == {"PART_WORD": "a word"}
    assert found[True]["leads"]
    assert [found[warm]["warm"] for warm in (True, False)] == [True, False]


def test_a_killed_service_and_a_killed_warm_process_are_replaced_and_nothing_stays(
    parts: Callable[..., Parts],
) -> None:
    one = parts(warm=True)
    one.supervisor.start(one.service)
    first = one.told()["pid"]
    os.kill(first, signal.SIGKILL)
    second = one.again()
    server = psutil.Process(second["pid"]).parent()
    assert server is not None
    assert server.name() == "fork-server"
    assert server.num_threads() == 1
    server.kill()
    third = one.again()
    assert third["warm"]
    assert len({first, second["pid"], third["pid"]}) == 3
    another = psutil.Process(third["pid"]).parent()
    assert another is not None
    assert another.name() == "fork-server"
    one.supervisor.stop()
    pids = (first, second["pid"], third["pid"], server.pid, another.pid)
    assert all(map(is_over, pids))


def test_a_service_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, dict(os.environ), tmp_path)
    service = Service("a-part", "no_such_module", [], lambda: False, needs_dagster=True)
    with pytest.raises(Exception, match=r"a-part: it ended while starting; see .*a-part\.log"):
        supervisor.start(service)
    supervisor.stop()
    assert "no_such_module" in (tmp_path / "a-part.log").read_text()


def test_what_runs_are_forked_with_leaves_one_sleeping_thread_of_polars(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _THREADS]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    own, *others = sorted(told.stdout.split(), key=_POLARS_SWEEPER.__eq__)
    assert own.startswith("python")
    assert others == [_POLARS_SWEEPER]
