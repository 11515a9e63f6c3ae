"""Homes of their own, commands as real processes, and a simulator whose log can be read."""

# ruff: noqa: ANN401 - answers are JSON, options are handed on

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest

from resources.postgres.embedded import place as embedded_place
from resources.postgres.embedded import server as embedded
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rehearsal.commands import Commands

NOW = "2026-11-20T17:30:00-05:00"
PROJECT = Path(embedded.__file__).parents[3]
COMMAND = (sys.executable, "-m", "swiftbolt_assets.cli.main")
#: What an interpreter reads when it starts.
_PYTHONS = ("PYTHON", "LANG", "LC_")


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Return the first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"in {seconds:.0f} s not: {what}"
        time.sleep(0.05)
    return value


@dataclass
class Shell:
    """A home, and commands that run on it."""

    home: Path
    environment: dict[str, str]
    commands: Commands
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    first: Done | None = None

    def start(
        self,
        *arguments: str,
        argv: Sequence[str] = (),
        cold: bool = False,
        cwd: Path = PROJECT,
        **environment: str,
    ) -> subprocess.Popen[str]:
        """Start a command of swiftbolt, or another program.

        A command is forked from a warm process, unless it is to be `cold`, `argv` says how it is
        started, or Python itself is told something by its environment.
        """
        env = self.environment | environment
        process: subprocess.Popen[str]
        cold = cold or any(name.startswith(_PYTHONS) for name in environment)
        if not (argv or cold):
            process = self.commands.start(arguments, cwd=str(cwd), env=env)
        else:
            process = subprocess.Popen(
                [*(argv or COMMAND), *arguments],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        self.started.append(process)
        return process

    def run(self, *arguments: str, timeout: float = 120, **options: Any) -> Done:
        """Run a command to its end."""
        return finish(self.start(*arguments, **options), timeout)

    def settle(self, prepared: Path) -> None:
        """Begin with a copy of a stopped server's data instead of making an empty one."""
        self.home.mkdir(parents=True)
        place, _ = embedded_place.settle(embedded_place.resolve(self.home))
        subprocess.run(["cp", "--archive", str(prepared), str(place.data)], check=True)

    def left_over(self) -> list[str]:
        """Return the processes of this home, its database's included."""
        mine = f"SWIFTBOLT_HOME={self.home}"
        # A forked command shows the environment of the process that it was forked from.
        found = [f"{one.pid} {one.args}" for one in self.started if one.poll() is None]
        for process in psutil.process_iter():
            try:
                environ = process.environ()
                if process.status() != psutil.STATUS_ZOMBIE and (
                    mine == f"SWIFTBOLT_HOME={environ.get('SWIFTBOLT_HOME')}"
                ):
                    found.append(f"{process.pid} {' '.join(process.cmdline())}")
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        if self.home.exists() and embedded.is_running(self.home):
            found.append("the embedded database")
        return found

    @property
    def database_url(self) -> str:
        """Return the URL of the bars in the embedded server."""
        return embedded.locate(self.home).url("swiftbolt")

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement, if it has any; the embedded server must run."""
        with psycopg.connect(self.database_url) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """End what was started."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            # What it started may hold its pipes; nothing is worth waiting for ever.
            process.communicate(timeout=60)
        embedded.erase(self.home)


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value

    def one_line(self) -> str:
        """Return the only line on stderr, of a command that printed nothing else."""
        assert self.out == ""
        assert self.err.startswith("swiftbolt: ")
        assert self.err.count("\n") == 1, self.err
        assert self.err.endswith("\n")
        assert "Traceback" not in self.err
        return self.err.removeprefix("swiftbolt: ").strip()


def finish(process: subprocess.Popen[str], timeout: float = 120) -> Done:
    """Wait for a command's end."""
    out, err = process.communicate(timeout=timeout)
    return Done(process.returncode, out, err)


class Market:
    """A simulator in this process, its clock stopped at NOW."""

    def __init__(self, **settings: Any) -> None:
        instant = datetime.fromisoformat(NOW).astimezone(UTC)
        self._thread = SimulatorThread(SimulatorConfig(**{"now": lambda: instant, **settings}))
        self._thread.start()
        self.url = self._thread.polygon_url

    def requests(self) -> list[dict[str, Any]]:
        """Return the log of provider requests."""
        return self._ask("GET", "/simulator/requests")

    def reset(self) -> None:
        """Empty the log and end faults."""
        self._ask("DELETE", "/simulator/requests")
        self._ask("DELETE", "/simulator/faults")

    def spoil(self, **plan: Any) -> None:
        """Switch faults on."""
        self._ask("PUT", "/simulator/faults", plan)

    def truth(self, symbol: str, timeframe: str, first: str, last: str) -> list[dict[str, Any]]:
        """Return what should be stored."""
        path = f"/simulator/truth/{symbol}/{timeframe}?from={first}&to={last}"
        return self._ask("GET", path)

    def wait(self, count: int, seconds: float = 60) -> None:
        """Wait until so many requests have arrived."""
        wait_for(lambda: len(self.requests()) >= count, f"{count} requests", seconds)

    def close(self) -> None:
        self._thread.stop()

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.load(reply)


@pytest.fixture(scope="session")
def new_shell(
    home_folder: Path, surroundings: dict[str, str], commands: Commands
) -> Iterator[Callable[..., Shell]]:
    """Make homes; everything that was started on them ends with the tests."""
    made: list[Shell] = []
    numbers = itertools.count(1)

    def make(name: str = "home", **environment: str) -> Shell:
        home = home_folder / f"shell{next(numbers)}" / name
        home.parent.mkdir()
        settings = {"SWIFTBOLT_HOME": str(home), "SWIFTBOLT_NOW": NOW}
        settings["POLYGON_REQUESTS_PER_MINUTE"] = "0"
        made.append(Shell(home, surroundings | settings | environment, commands))
        return made[-1]

    yield make
    for shell in made:
        shell.close()


@pytest.fixture(scope="session")
def prepared_data(new_shell: Callable[..., Shell]) -> Path:
    """Return a stopped server's data with the newest schemas, ours and Dagster's.

    Making them costs 4 s of CPU, copying them next to nothing. They hold no kind of bars yet.
    """
    shell = new_shell()
    with embedded.lease(shell.home):
        assert shell.run("migrate").code == 0
        shell.sql("delete from installation where name = 'data_source'")
    return embedded.locate(shell.home).data


@pytest.fixture(scope="session")
def new_settled(new_shell: Callable[..., Shell], prepared_data: Path) -> Callable[..., Shell]:
    """Make homes whose databases have the newest schema, as after a first command."""

    def make(name: str = "home", **environment: str) -> Shell:
        shell = new_shell(name, **environment)
        shell.settle(prepared_data)
        return shell

    return make


@pytest.fixture
def shell(new_shell: Callable[..., Shell]) -> Iterator[Shell]:
    """Return a fresh home."""
    made = new_shell()
    yield made
    made.close()


@pytest.fixture
def market() -> Iterator[Callable[..., Market]]:
    """Start simulators with settings of their own."""
    running: list[Market] = []

    def start(**settings: Any) -> Market:
        running.append(Market(**settings))
        return running[-1]

    yield start
    for one in running:
        one.close()


def free_port_offset() -> str:
    """Return an offset that leaves all of the platform's ports free at this moment."""
    # Test processes begin at different ones.
    first = 100 + os.getpid() % 500 * 40
    for offset in range(first, first + 20_000, 7):
        with socket.socket() as web, socket.socket() as api, socket.socket() as simulator:
            try:
                web.bind(("127.0.0.1", 3000 + offset))
                api.bind(("127.0.0.1", 8000 + offset))
                simulator.bind(("127.0.0.1", 8900 + offset))
            except OSError:
                continue
            return str(offset)
    pytest.fail("no free ports")


@pytest.fixture
def port_offset() -> str:
    return free_port_offset()


@pytest.fixture(scope="module")
def module_port_offset() -> str:
    return free_port_offset()


@pytest.fixture(scope="module")
def module_market() -> Iterator[Market]:
    """Return a simulator for a module."""
    running = Market()
    yield running
    running.close()


@pytest.fixture(scope="session")
def new_market() -> Callable[..., Market]:
    """Return what makes a simulator; whoever makes it closes it."""
    return Market


@pytest.fixture(scope="module")
def slow_market() -> Iterator[Market]:
    """Return a simulator for a module whose replies take half a second: a kill meets requests."""
    running = Market(latency_seconds=0.5)
    yield running
    running.close()


@pytest.fixture(name="finish", scope="session")
def _finish() -> Callable[..., Done]:
    """Return the function that waits for a command's end."""
    return finish


@pytest.fixture(name="wait_for", scope="session")
def _wait_for() -> Callable[..., Any]:
    """Return the function that waits for a condition."""
    return wait_for
